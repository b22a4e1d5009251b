"""Faults on purpose, for tests of clients: dropped, stalled, cut, truncated, refused and slow answers; and edits past Argo CD.

Only served when the sandbox was started with `--faults`, and only to its administrator.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from backends.sandbox.calls import Answer, ApiError, answer, plain
from backends.sandbox.merge import merge_patch
from backends.sandbox.objects import Key

if TYPE_CHECKING:
    from backends.sandbox.sandbox import Sandbox


class Fault(msgspec.Struct, kw_only=True):
    """What goes wrong with the next requests that fit.

    kinds: `drop` closes the connection without an answer · `stall` answers after `seconds` · `status` answers with `status` and `body` ·
    `html` a page of a proxy · `redirect` to a login page · `truncate` breaks the answer off after `bytes` · `drip` writes `bytes` a
    second · `cut` breaks a stream off after `bytes`, wherever that is.
    """

    kind: Literal["drop", "stall", "status", "html", "redirect", "truncate", "drip", "cut"]
    path: str = ""
    """A regular expression that the path has to hold; "" fits all."""
    times: int = 1
    """How many requests; 0 for all until faults are cleared."""
    status: int = 500
    seconds: float = 0.0
    bytes: int = 100
    body: str = ""


class StreamSwitch:
    """What an open stream's wire obeys."""

    def __init__(self) -> None:
        self.silent = False
        self.left: int | None = None
        self.rate: int | None = None
        self.end = asyncio.Event()


class Faults:
    """The faults of one sandbox, and its open streams."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.streams: set[StreamSwitch] = set()

    def add(self, faults: Iterable[Fault]) -> None:
        self._faults.extend(faults)

    def clear(self) -> None:
        self._faults.clear()

    def take(self, path: str) -> Fault | None:
        """The fault that a request meets, counted down."""
        for fault in self._faults:
            if re.search(fault.path, path):
                if fault.times == 1:
                    self._faults.remove(fault)
                elif fault.times > 1:
                    fault.times -= 1
                return fault
        return None

    def switch_streams(self, what: str, *, after: int = 0) -> int:
        """Do something to all open streams: `end` them properly, `cut` them after some bytes, `silence` them. Gives how many."""
        for one in list(self.streams):
            if what == "end":
                one.end.set()
            elif what == "cut":
                one.left = after
                if not after:
                    one.end.set()
            elif what == "silence":
                one.silent = True
        return len(self.streams)


def whole_answer(fault: Fault) -> Answer | None:
    """The answer that replaces the real one; None where the fault is in how it is written."""
    if fault.kind == "status":
        kind = "application/json" if fault.body.startswith("{") else "text/plain; charset=utf-8"
        body = fault.body or msgspec.json.encode({"error": "injected", "code": 2, "message": "injected"}).decode()
        return Answer(body.encode(), fault.status, kind, {})
    if fault.kind == "html":
        return Answer(b"<html><body><h1>502 Bad Gateway</h1><hr>proxy</body></html>", fault.status, "text/html", {})
    if fault.kind == "redirect":
        return plain(302, "Found")._replace(headers={"Location": fault.body or "/login"})
    return None


async def administer(sandbox: Sandbox, faults: Faults, method: str, path: str, body: bytes) -> Answer:
    """The switches below /sandbox/, for whoever was let in.

    GET stats · POST faults (one or a list) · DELETE faults · POST streams {"do": "end|cut|silence", "after": bytes} · POST edit
    {"cluster", "group", "kind", "namespace", "name", "patch"} (a merge patch past Argo CD; null deletes) · POST changes {"count"}.
    """
    if (method, path) == ("GET", "/sandbox/stats"):
        return answer(_stats(sandbox, faults))
    if not sandbox.options.faults:
        raise ApiError(7, "the sandbox was started without --faults")
    value: Any = msgspec.json.decode(body) if body.strip() else {}
    if (method, path) == ("POST", "/sandbox/faults"):
        faults.add(msgspec.convert(value if isinstance(value, list) else [value], list[Fault]))
    elif (method, path) == ("DELETE", "/sandbox/faults"):
        faults.clear()
    elif (method, path) == ("POST", "/sandbox/streams"):
        return answer({"streams": faults.switch_streams(str(value.get("do")), after=int(value.get("after") or 0))})
    elif (method, path) == ("POST", "/sandbox/edit"):
        _edit(sandbox, value)
    elif (method, path) == ("POST", "/sandbox/changes"):
        sandbox.synthetic.change(int(value.get("count") or 1))
    else:
        return plain(404, "Not Found")
    return answer({})


def _edit(sandbox: Sandbox, value: dict[str, Any]) -> None:
    cluster = sandbox.fleet.named(str(value.get("cluster") or "in-cluster"))
    key = Key(*(str(value.get(field) or "") for field in ("group", "kind", "namespace", "name")))
    if cluster is None or cluster.get(key) is None:
        raise ApiError(5, f"no such object: {key}")
    if value.get("patch") is None:
        cluster.delete(key)
    else:
        cluster.edit(key, lambda obj: merge_patch(value["patch"], obj), manager="kubectl-edit")


def _stats(sandbox: Sandbox, faults: Faults) -> dict[str, Any]:
    return {
        "applications": len(sandbox.applications.names()) + len(sandbox.applications.light),
        "changes": sandbox.synthetic.changes,
        "listeners": sandbox.applications.listening,
        "streams": len(faults.streams),
        "version": sandbox.world.version,
        "idle": sandbox.controller.idle,
    }
