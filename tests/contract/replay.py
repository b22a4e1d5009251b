"""Recorded streams replayed through derive and settle under a virtual clock, as a follower of one Application would see them.

Every message is a look, and a timer looks again every quarter of a second of recorded time, as the live store does. The order of `pushed`
steps is the ancestry: a revision contains those pushed before it; what was seen before the first push contains none of them.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from backends.argocd.types import Application, ResourceTree, SyncWindows
from backends.domain.ids import DeploymentId, Sha, is_sha
from backends.domain.rollout import FeedState, Rollout, Seen, Wanted, look
from tests.shared import stream

TICK = 0.25
SILENCE = 35.0
FULL = ("apps", "with-resourceVersion")
PUSHES = ("pushed", "reverted", "resumed", "annotation")


class Shown(msgspec.Struct, frozen=True):
    """A follower's history: what was shown, each change once."""

    rollouts: tuple[Rollout, ...]

    @property
    def stages(self) -> list[str]:
        """Stage names in order, without flags."""
        names = [str(one.stage) for one in self.rollouts]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]

    @property
    def story(self) -> list[str]:
        """Stages and flags in order: "Live +hooks_skipped"."""
        told = [" +".join((str(one.stage), *sorted(one.flags))) for one in self.rollouts]
        return [name for i, name in enumerate(told) if i == 0 or told[i - 1] != name]

    @property
    def last(self) -> Rollout:
        return self.rollouts[-1]

    def reasons(self, stage: str) -> list[str]:
        found = [one.reason for one in self.rollouts if one.stage == stage]
        return [text for i, text in enumerate(found) if i == 0 or found[i - 1] != text]


class Recording:
    """One recorded stream, decoded: `looks` yields (seconds, Seen) for an Application."""

    def __init__(self, name: str) -> None:
        self.lines = [_without_nulls(line) for line in stream(name)]
        self.pushes = [str(s["revision"]) for s in self.lines if s.get("step", "").startswith(PUSHES) and is_sha(str(s.get("revision")))]
        first = self.at(self.pushes[0]) if self.pushes else float("inf")
        self._older = {text for line in self.lines if line["t"] < first for text in _shas(line.get("data"))}
        self.base = max(_newest(line["data"]) - timedelta(seconds=line["t"]) for line in self.lines if _result(line).get("application"))

    def at(self, revision: str) -> float:
        """When a commit was pushed, in seconds of the recording."""
        return next(float(s["t"]) for s in self.lines if s.get("revision") == revision and s.get("step", "").startswith(PUSHES))

    def step(self, text: str) -> float:
        return next(float(s["t"]) for s in self.lines if s.get("step", "").startswith(text))

    def contains(self, revision: str, commit: Sha, order: Sequence[str] = ()) -> bool:
        known = [*order, *(sha for sha in self.pushes if sha not in order)]
        if revision == commit:
            return True
        if revision in known and commit in known:
            return known.index(revision) > known.index(commit)
        return revision not in self._older and revision not in known

    def specs(self, app: str, since: float = 0.0) -> list[dict[str, Any]]:
        """The distinct specs an Application was seen with, in order."""
        found: list[dict[str, Any]] = []
        for line in self.lines:
            one = _result(line).get("application")
            if line["t"] >= since and one and one["metadata"]["name"] == app and line["stream"] in FULL and one["spec"] not in found:
                found.append(one["spec"])
        return found

    def looks(self, app: str, *, manager: str, root: str, until: float, tail: float) -> Iterator[tuple[float, Seen]]:
        seen = Seen(feed=FeedState.LIVE)
        heard, trees = 0.0, _tree_stream(self.lines, app)
        clock = 0.0
        for line in [*(one for one in self.lines if one["t"] <= until), {"t": until + tail}]:
            while clock + TICK < line["t"]:
                clock += TICK
                if clock - heard > SILENCE and seen.feed is FeedState.LIVE:
                    seen = msgspec.structs.replace(seen, feed=FeedState.STALE)
                yield clock, seen
            clock = line["t"]
            if "stream" in line and "step" not in line:
                heard = clock
                seen = msgspec.structs.replace(seen, feed=FeedState.LIVE)
            seen = _after(seen, line, app, {manager: "manager", root: "root"}, trees)
            yield clock, seen


def replay(
    name: str,
    app: str,
    commit: str,
    *,
    start: float | None = None,
    until: float | None = None,
    manager: str = "tiphys-root",
    root: str = "tiphys-root",
    specs: Sequence[dict[str, Any]] | None = None,
    order: Sequence[str] = (),
    tail: float = 5.0,
    superseded: Mapping[str, Any] | None = None,
    **wanted: Any,
) -> Shown:
    """Follow `commit` (its first digits do) on `app` through a recording, from its push on.

    `until` ends the recording early, `tail` seconds of timer follow; `superseded` adds `superseded_by` from the given second on.
    """
    recording = Recording(name)
    full = Sha(next(sha for sha in [*order, *recording.pushes] if sha.startswith(commit)))
    begin = recording.at(full) if start is None else start
    end = recording.lines[-1]["t"] if until is None else until
    want = Wanted(
        id=DeploymentId(app),
        commit=full,
        committed_at=recording.base + timedelta(seconds=begin),
        specs=tuple(recording.specs(app)[-1:] if specs is None else specs),
        **wanted,
    )
    shown: Rollout | None = None
    told: list[Rollout] = []
    before: datetime | None = None
    for t, seen in recording.looks(app, manager=manager, root=root, until=end, tail=tail):
        if t < begin:
            before = seen.application.status.reconciled_at if seen.application else None
            continue
        now = recording.base + timedelta(seconds=t)
        newer = superseded["by"] if superseded and t >= superseded["at"] else None
        ask = msgspec.structs.replace(want, before=before, superseded_by=newer)
        shown = look(shown, ask, seen, contains=lambda revision, sha: recording.contains(revision, sha, order), now=now)
        bare = msgspec.structs.replace(shown, pending=None, held=())
        if not told or told[-1] != bare:
            told.append(bare)
    return Shown(tuple(told))


def _after(seen: Seen, line: dict[str, Any], app: str, keepers: dict[str, str], trees: str) -> Seen:
    data = _result(line)
    step = line.get("step", "")
    if step == "syncwindows":
        return msgspec.structs.replace(seen, windows=msgspec.convert(line["body"], SyncWindows))
    if step.startswith(f"hard refresh of {app} returned"):
        return msgspec.structs.replace(seen, hard_refreshed=True)
    if line.get("stream") == trees and "nodes" in data:
        return msgspec.structs.replace(seen, tree=msgspec.convert(data, ResourceTree, strict=False))
    one = data.get("application")
    if not one or line["stream"] not in (*FULL, "without"):
        return seen
    application = msgspec.convert(one, Application, strict=False)
    name = application.metadata.name
    if line["stream"] == "without":
        application = msgspec.structs.replace(application, partial=True)
    changes: dict[str, Any] = {}
    if name == app and data["type"] == "DELETED":
        changes = {"application": None, "gone": True}
    elif name == app:
        changes = {"application": application, "gone": False}
        state = application.status.operation_state
        if application.operation or (state and state.phase in ("Running", "Terminating")):
            changes["windows"] = None  # what was said of windows is asked anew once an operation was seen
    if name in keepers and line["stream"] in FULL:
        changes |= {role: application for keeper, role in keepers.items() if keeper == name}
        if keepers[name] == "root" and len(keepers) == 1:
            changes["manager"] = application
    return msgspec.structs.replace(seen, **changes)


def _result(line: dict[str, Any]) -> dict[str, Any]:
    data = line.get("data") or {}
    found: dict[str, Any] = data.get("result") or data
    return found


def _tree_stream(lines: Sequence[dict[str, Any]], app: str) -> str:
    return next((s["stream"] for s in lines if f"/{app}/resource-tree" in str(s.get("path"))), "")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else copy.copy(value)


def _shas(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _shas(one)
    elif isinstance(value, list):
        for one in value:
            yield from _shas(one)
    elif isinstance(value, str) and is_sha(value):
        yield value


def _newest(value: Any) -> datetime:
    found = datetime(2000, 1, 1, tzinfo=UTC)
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(one, dict | list):
            found = max(found, _newest(one))
        elif isinstance(one, str) and len(one) == 20 and one.endswith("Z") and one[10:11] == "T":
            found = max(found, datetime.fromisoformat(one))
    return found
