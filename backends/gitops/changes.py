"""The newest release of each deployment, kept by the branch's tip and moved on as the branch moves. A cache of `history` and nothing else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from weakref import WeakKeyDictionary

import msgspec

from backends.domain.ids import DeploymentId, Sha
from backends.domain.release import Release
from backends.engine import Cancel
from backends.gitops.log import Commit
from backends.gitops.progress import OnProgress, Progress
from backends.gitops.repo import Repo
from backends.paths import write_private

_VERSION = 2
"""Of the file's form and of what `history` makes of a commit."""
_WORTH_KEEPING = 50
"""Commits to go on from what is on disk before it is written again (3,000 deployments: 10 ms)."""
_TOLD_EACH = 250

Newest = Callable[[Iterable[Commit]], Iterator[tuple[DeploymentId, Release]]]
"""The deployments that commits touched and by which release, newest first."""


class _Kept(msgspec.Struct, array_like=True):
    version: int
    tip: str
    releases: list[Release]
    of: dict[str, int]
    """Deployment → index into `releases`: one release of many deployments is kept once."""


class _Known:
    def __init__(self, tip: Sha, releases: dict[DeploymentId, Release]) -> None:
        self.tip, self.releases = tip, releases
        self.unsaved = 0


_memory: WeakKeyDictionary[Repo, _Known] = WeakKeyDictionary()
_walking: WeakKeyDictionary[Repo, threading.Lock] = WeakKeyDictionary()
_guard = threading.Lock()


def last(repo: Repo, newest: Newest, *, progress: OnProgress | None, cancel: Cancel | None) -> Mapping[DeploymentId, Release]:
    """The newest release of each deployment at `repo.head()`. Raises `GitError`, `Cancelled`."""
    head = repo.head()
    if head is None:
        return {}
    file = repo.cache_file("changes")
    with _guard:
        walking = _walking.setdefault(repo, threading.Lock())
    with walking:  # two threads that ask at once walk once
        known = _memory.get(repo) or _load(file)
        if known is not None and known.tip != head and not repo.descends(head, known.tip):
            known = None  # the history was rewritten
        if known is None or known.tip != head:
            walked = 0

            def walk() -> Iterator[Commit]:
                nonlocal walked
                for commit in repo.log(until=head, since=known.tip if known else None, names=True):
                    walked += 1
                    if walked % _TOLD_EACH == 0:
                        if cancel is not None:
                            cancel.check()
                        if progress is not None:
                            progress(Progress("read", "reading the history", walked))
                    yield commit

            found: dict[DeploymentId, Release] = {}
            for id, release in newest(walk()):
                found.setdefault(id, release)
            moved = _Known(head, {**known.releases, **found} if known else found)
            moved.unsaved = walked + (known.unsaved if known else _WORTH_KEEPING)
            known = moved
            if known.unsaved >= _WORTH_KEEPING:
                _save(file, known)
        _memory[repo] = known
        return MappingProxyType(known.releases)


def _load(file: Path) -> _Known | None:
    try:
        kept = msgspec.msgpack.decode(file.read_bytes(), type=_Kept)
        if kept.version != _VERSION:
            return None
        return _Known(Sha(kept.tip), {DeploymentId(id): kept.releases[at] for id, at in kept.of.items()})
    except (OSError, msgspec.DecodeError, IndexError):
        return None  # never written, or in another form: walked anew


def _save(file: Path, known: _Known) -> None:
    known.unsaved = 0
    numbers: dict[int, int] = {}
    releases: list[Release] = []
    for release in known.releases.values():
        if id(release) not in numbers:
            numbers[id(release)] = len(releases)
            releases.append(release)
    kept = _Kept(_VERSION, known.tip, releases, {name: numbers[id(release)] for name, release in known.releases.items()})
    with contextlib.suppress(OSError):  # a full disk costs the next process a walk
        write_private(file, msgspec.msgpack.encode(kept))
