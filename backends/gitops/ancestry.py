"""Whether a revision's history holds a commit, answered thousands of times a second.

The branch's first-parent line is numbered once; a commit is known by the number at which it came in. So a question about two commits of
the branch compares two numbers. Everything else (a revision of another branch, one that was pushed away) asks git once a pair.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from backends.domain.ids import Sha, is_sha
from backends.gitops.git import Git
from backends.gitops.objects import Objects


class Ancestry:
    """The history of one tracked branch, 20,000 commits in about 0.1 s and 5 MB. Thread-safe."""

    def __init__(self, git: Git, objects: Objects) -> None:
        self._git, self._objects = git, objects
        self._lock = threading.Lock()
        self._tip: Sha | None = None
        self._line: dict[bytes, int] = {}
        """First-parent line of the branch, oldest 0."""
        self._merged: dict[bytes, int] = {}
        """Commits beside the line → number of the merge that brought them in."""
        self._pairs: dict[tuple[str, Sha], bool] = {}

    def contains(self, revision: str, commit: Sha, head: Callable[[], Sha | None]) -> bool | None:
        """Does `revision`'s history hold `commit`? None: the revision is not here (yet), or is no commit id.

        `head` gives the branch's newest fetched commit; it is called only for a revision that is not known yet.
        Raises `GitError` when git fails.
        """
        if not revision:
            return False
        if not is_sha(revision):
            return None
        with self._lock:
            at = self._line.get(bytes.fromhex(revision))
            if at is None and (tip := head()) is not None and tip != self._tip:
                self._move(tip)
                at = self._line.get(bytes.fromhex(revision))
            if at is not None:  # all that a known commit holds is known, too
                key = bytes.fromhex(commit)
                since = self._line.get(key, self._merged.get(key))
                return since is not None and since <= at
            known = self._pairs.get((revision, commit))
            if known is None:
                known = self._ask(revision, commit)
            if known is not None:
                self._pairs[(revision, commit)] = known
            return known

    def _ask(self, revision: str, commit: Sha) -> bool | None:
        stored = self._objects.read(revision)
        if stored is None or stored.kind != "commit":
            return None
        if self._objects.read(commit) is None:
            return False  # a commit's ancestors are here with it
        return self._git.try_run("merge-base", "--is-ancestor", commit, revision).code == 0

    def _move(self, tip: Sha) -> None:
        new = self._rows(tip, self._tip)
        if self._tip is not None and not self._extend(tip, self._tip, new):
            self._tip, self._line, self._merged = None, {}, {}
            new = self._rows(tip, None)
        if self._tip is None:
            self._extend(tip, None, new)
        self._tip = tip

    def _rows(self, tip: Sha, after: Sha | None) -> dict[bytes, tuple[bytes, ...]]:
        """Commits of `tip` that `after` does not hold, with their parents."""
        out = self._git.run("rev-list", "--parents", tip, *([f"^{after}"] if after else []), "--", operation="log").decode("ascii")
        rows = (line.split() for line in out.splitlines())
        return {bytes.fromhex(sha): tuple(bytes.fromhex(parent) for parent in parents) for sha, *parents in rows}

    def _extend(self, tip: Sha, after: Sha | None, new: dict[bytes, tuple[bytes, ...]]) -> bool:
        """Number what is new; False when the line does not go on from `after` (a rewritten history, a merge the other way round)."""
        line: list[bytes] = []
        here: bytes | None = bytes.fromhex(tip)
        while here is not None and here in new:
            line.append(here)
            parents = new[here]
            here = parents[0] if parents else None
        if here != (bytes.fromhex(after) if after else None):
            return False
        line.reverse()
        number = len(self._line)
        for commit in line:
            self._line[commit] = number
            beside = list(new[commit][1:])
            while beside:
                other = beside.pop()
                if other in new and other not in self._line and other not in self._merged:
                    self._merged[other] = number
                    beside.extend(new[other])
            number += 1
        return True
