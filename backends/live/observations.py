"""What was seen of releases: when each passed its milestones and where it was seen last. A cache, disposable, never a source of truth.

One file per workspace under the state folder. Deleting it costs dashes in the ruler of old releases and the words "was Live" in a list of
rollbacks, nothing else. Several Tiphys on one host add to the same file: what another one wrote meanwhile is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from backends.domain.ids import DeploymentId, Sha
from backends.domain.milestones import Milestones
from backends.domain.stage import Stage
from backends.paths import write_private

RELEASES = 20
"""Releases remembered of one deployment, the newest: as many as a ruler or a rollback list shows."""
IN_ALL = 20_000
"""Releases remembered of one workspace: some 5 MB."""
_FAILED = frozenset((Stage.DEGRADED, Stage.SYNC_FAILED, Stage.MISSING))
_POINTS = ("push", "detected", "synced", "first_ready", "all_ready", "live")


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One release of one deployment as far as anybody here saw it."""

    milestones: Milestones
    stage: Stage | None = None
    """The last stage that was shown."""

    @property
    def was_live(self) -> bool | None:
        """Whether it ever was Live; None when nobody watched to an end."""
        if self.milestones.live is not None:
            return True
        return False if self.stage in _FAILED else None


_Kept = dict[DeploymentId, dict[Sha, Observation]]


class Observations:
    """The observations of one workspace. Blocking; of one thread at a time.

    Args:
        path: the file, such as `state_dir() / "observations" / f"{workspace.id}.json"`. What is no such file counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = _read(path)
        self._fresh: _Kept = {}

    def of(self, id: DeploymentId, commit: Sha) -> Observation | None:
        """What was seen of one release."""
        return self._kept.get(id, {}).get(commit)

    def releases(self, id: DeploymentId) -> Iterator[Observation]:
        """What was seen of one deployment, the release that was seen first, first."""
        return iter(self._kept.get(id, {}).values())

    def add(self, id: DeploymentId, milestones: Milestones, stage: Stage | None = None) -> None:
        """Remember what was seen; points that are known stay. Kept in memory until `save`."""
        seen = Observation(milestones=milestones, stage=stage)
        for kept in (self._kept, self._fresh):
            releases = kept.setdefault(id, {})
            before = releases.pop(milestones.commit, None)
            releases[milestones.commit] = _joined(before, seen)

    def save(self) -> None:
        """Write what was added, beside what others wrote meanwhile. Nothing was added: nothing is written. Raises `OSError`."""
        if not self._fresh:
            return
        kept = _read(self._path)
        for id, releases in self._fresh.items():
            known = kept.pop(id, {})
            for commit, seen in releases.items():
                known[commit] = _joined(known.pop(commit, None), seen)
            kept[id] = dict(list(known.items())[-RELEASES:])
        _bound(kept)
        write_private(self._path, msgspec.json.encode(kept))
        self._kept, self._fresh = kept, {}


def _read(path: Path) -> _Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # absent, cut off, of another version: a cache begins anew
        return {}


def _joined(before: Observation | None, seen: Observation) -> Observation:
    if before is None:
        return seen
    known = {name: at for name in _POINTS if (at := getattr(before.milestones, name)) is not None}
    return Observation(milestones=msgspec.structs.replace(seen.milestones, **known), stage=seen.stage or before.stage)


def _bound(kept: _Kept) -> None:
    """Forget the deployments that nothing was added to for the longest time, until few enough releases are left."""
    count = sum(len(releases) for releases in kept.values())
    while count > IN_ALL:
        count -= len(kept.pop(next(iter(kept))))
