"""Text that means harm, an Argo CD that says nothing else, and the one rule that what reaches a terminal or a script is held to."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

EVIL = (
    "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b31m\x00\x7f\x08 \u202egnp.exe\u202c \u2066x\u2069 z\u200bw\u200d\ufeff \r\n\u2028"
    "[/x][bold red]\u0301e\u0301 \u4f60\u597d \U0001f600\U000e0041 it's $(id) `id` EVIL"
)
"""OSC 52, CSI (7 and 8 bit), NUL, DEL, BS, bidi overrides and isolates, zero-width, CR, LF, LS, markup, combining, wide, tags, quotes."""
HOSTILE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""What is never written raw; LF alone ends lines."""
VISIBLE = "EVIL"
LONG = 1_000_000


def hostile_in(value: Any) -> list[str]:
    """Every text of a JSON value that still holds something hostile, keys included (whoever reads the JSON may print it)."""
    match value:
        case str():
            return [value] if HOSTILE.search(value.replace("\t", "")) else []
        case dict():
            return [found for pair in value.items() for each in pair for found in hostile_in(each)]
        case list():
            return [found for each in value for found in hostile_in(each)]
    return []


def application(name: str, **more: Any) -> dict[str, Any]:
    """An Application whose every text was written by somebody who means harm."""
    at = "2026-11-24T10:00:00Z"
    resource = {"group": "apps", "version": "v1", "kind": f"Deployment{EVIL}", "namespace": EVIL, "name": f"web{EVIL}"}
    return {
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "labels": {EVIL: EVIL},
            "annotations": {EVIL: EVIL * 20},
            "creationTimestamp": at,
            "resourceVersion": "7",
            "uid": "u",
        },
        "spec": {
            "project": EVIL,
            "source": {"repoURL": EVIL, "path": EVIL, "targetRevision": EVIL},
            "destination": {"name": EVIL, "namespace": EVIL},
        },
        "status": {
            "sync": {"status": "OutOfSync", "revision": EVIL},
            "health": {"status": f"Degraded{EVIL}", "message": EVIL},
            "conditions": [{"type": "ComparisonError", "message": f"{EVIL}\n{EVIL}", "lastTransitionTime": at}],
            "operationState": {
                "operation": {"sync": {"revision": EVIL}, "initiatedBy": {"username": EVIL}},
                "phase": "Failed",
                "message": EVIL + "x" * LONG,
                "startedAt": at,
                "finishedAt": at,
                "syncResult": {"revision": EVIL, "resources": [{**resource, "status": EVIL, "message": EVIL, "hookType": EVIL}]},
            },
            "history": [{"id": 1, "revision": EVIL, "deployedAt": at, "initiatedBy": {"username": EVIL}}],
            "resources": [{**resource, "status": "OutOfSync", "health": {"status": "Degraded", "message": EVIL}}],
            "summary": {"images": [EVIL, "x" * LONG]},
            "reconciledAt": at,
        },
        **more,
    }


def _tree() -> dict[str, Any]:
    node = {"group": "apps", "version": "v1", "kind": f"Deployment{EVIL}", "namespace": EVIL, "name": f"web{EVIL}", "uid": EVIL}
    pod = {"version": "v1", "kind": "Pod", "namespace": EVIL, "name": EVIL, "uid": "pod", "parentRefs": [{"uid": EVIL}], "images": [EVIL]}
    info = [{"name": name, "value": EVIL} for name in ("Status Reason", "Containers", "Restart Count", EVIL)]
    return {"nodes": [node, {**pod, "info": info, "health": {"status": "Degraded", "message": EVIL}, "createdAt": "0001-01-01T00:00:00Z"}]}


def _events() -> dict[str, Any]:
    about = {"kind": EVIL, "namespace": EVIL, "name": EVIL, "uid": EVIL}
    times = ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    return {
        "items": [
            {
                "metadata": {"uid": f"{EVIL}{at}"},
                "involvedObject": about,
                "reason": EVIL,
                "message": EVIL + "y" * (LONG // 10),
                "type": EVIL,
            }
            | {"count": 2, "lastTimestamp": at}
            for at in times
        ]
    }


def _managed() -> dict[str, Any]:
    live = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": EVIL, "namespace": EVIL},
        "data": {EVIL: EVIL, "long": "a" * LONG},
    }
    target = {**live, "data": {EVIL: f"other {EVIL}", "long": "b" * LONG}}
    states = {"targetState": json.dumps(target), "liveState": json.dumps(live), "normalizedLiveState": json.dumps(live)}
    return {
        "items": [
            {"kind": "ConfigMap", "namespace": EVIL, "name": EVIL, "modified": True, **states, "predictedLiveState": json.dumps(target)}
        ]
    }


class HostileArgoCD(ThreadingHTTPServer):
    """Answers like an Argo CD that somebody else owns. `refusal` is what it answers instead, as raw bytes."""

    daemon_threads = True

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.applications = {name: application(name) for name in names}
        self.refusal: bytes | None = None
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        """Method, target and headers of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news."""


@contextlib.contextmanager
def serving(*names: str) -> Iterator[HostileArgoCD]:
    server = HostileArgoCD(names)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: HostileArgoCD
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer()

    def _answer(self) -> None:
        server, parts = self.server, urlsplit(self.path)
        server.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        if server.refusal is not None:
            self.wfile.write(server.refusal)
            self.close_connection = True
            return
        path, query = unquote(parts.path), parse_qs(parts.query)
        if path.startswith("/api/v1/stream/applications"):
            return self._stream(path, query)
        if path.endswith("/logs"):
            lines = [{"content": text, "podName": EVIL, "timeStampStr": EVIL} for text in (EVIL, "z" * LONG, "")]
            return self._events([{"result": line} for line in [*lines, {"last": True}]])
        self._json(self._found(path, query))

    def _found(self, path: str, query: dict[str, list[str]]) -> Any:
        fixed: dict[str, Callable[[], Any]] = {
            "/api/version": lambda: {"Version": f"v3.0.0{EVIL}"},
            "/api/v1/session/userinfo": lambda: {"loggedIn": True, "username": EVIL, "iss": EVIL, "groups": [EVIL]},
            "/api/v1/settings": lambda: {"url": EVIL},
            "/api/v1/clusters": lambda: {
                "items": [
                    {"name": EVIL, "server": EVIL, "info": {"connectionState": {"status": EVIL, "message": EVIL}, "serverVersion": EVIL}}
                ]
            },
            "/api/v1/projects": lambda: {
                "items": [
                    {
                        "metadata": {"name": EVIL},
                        "spec": {"sourceRepos": [EVIL], "destinations": [{"name": EVIL, "namespace": EVIL}], "description": EVIL},
                    }
                ]
            },
        }
        if path in fixed:
            return fixed[path]()
        if path == "/api/v1/applications":
            named = query.get("name")
            items = [one for name, one in self.server.applications.items() if not named or name == named[0]]
            return {"items": items, "metadata": {"resourceVersion": "7"}}
        name, _, what = path.removeprefix("/api/v1/applications/").partition("/")
        made = {"resource-tree": _tree, "events": _events, "managed-resources": _managed, "syncwindows": dict}
        if what in made:
            return made[what]()
        if not what or what in ("sync", "operation"):
            return self.server.applications.get(name) or next(iter(self.server.applications.values()))
        return {}

    def _stream(self, path: str, query: dict[str, list[str]]) -> None:
        if path.endswith("/resource-tree"):
            return self._events([{"result": _tree()}], hold=1.0)
        named = query.get("name")
        found = [one for name, one in self.server.applications.items() if not named or name == named[0]]
        self._events([{"result": {"type": "ADDED", "application": one}} for one in found], hold=1.0)

    def _events(self, messages: list[Any], hold: float = 0.0) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for message in messages:
            self.wfile.write(b"data: " + json.dumps(message).encode() + b"\n\n")
        self.wfile.flush()
        time.sleep(hold)
        self.close_connection = True

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""
