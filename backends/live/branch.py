"""The workspace's branch as a follower knows it: which commits are here, and bringing those that Argo CD has seen and we have not.

Asking whether a revision contains a commit is cheap and happens at every look; a fetch is not, so it is made once somebody has asked about
a revision that is not here, and ever more rarely where that did not bring it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

from backends.domain.ids import Sha, is_sha
from backends.engine import Cancel, in_thread
from backends.errors import BackendError
from backends.gitops.repo import Repo
from backends.live.errands import Errands
from backends.live.following import FollowTimes


class Branch:
    """One repository's branch, on one event loop.

    Args:
        moved: called when the head is another one than `head` says; it is to be read anew then.
        failed: told why the repository could not be fetched.
    """

    def __init__(
        self,
        repo: Repo,
        errands: Errands,
        *,
        times: FollowTimes,
        moved: Callable[[], Awaitable[None]],
        failed: Callable[[str], None],
    ) -> None:
        self._repo, self._errands, self._times = repo, errands, times
        self._moved, self._failed = moved, failed
        self._unknown: set[str] = set()
        self._fetches = 0
        self._fetched_at = self._looked_at = float("-inf")
        self.head: Sha | None = None
        """The head that what is known rests on: set by whoever reads it."""

    @property
    def incomplete(self) -> bool:
        """Whether somebody asked about a revision that is not here, since the last `tend`."""
        return bool(self._unknown)

    def contains(self, revision: str, commit: Sha) -> bool | None:
        """Does `revision`'s history hold `commit`? None: it is not here; then it will be fetched."""
        found = self._repo.contains(revision, commit)
        if found is None and is_sha(revision):
            self._unknown.add(revision)
        return found

    def tend(self) -> None:
        """Start a fetch where one is due; notice where somebody else in this process has moved the branch."""
        unknown, self._unknown = self._unknown, set()
        at = asyncio.get_running_loop().time()
        if unknown:
            pause = min(self._times.fetch * 2.0**self._fetches, self._times.fetch_longest) if self._fetches else 0.0
            if at - self._fetched_at >= pause and self._errands.start("branch", self.bring, counts=False):
                self._fetches, self._fetched_at = self._fetches + 1, at
            return
        self._fetches = 0
        if at - self._looked_at >= self._times.idle:
            self._looked_at = at
            if self._repo.head() != self.head:
                self._errands.start("branch", self._read, counts=False)

    async def bring(self) -> None:
        """Fetch now."""
        self._unknown.clear()
        cancel = Cancel()
        try:
            await in_thread(functools.partial(self._repo.fetch, cancel=cancel), cancel=cancel)
        except BackendError as error:
            self._failed(f"the repository cannot be fetched: {error.message}")
            return
        if self._repo.head() != self.head:
            await self._read()

    async def _read(self) -> None:
        try:
            await self._moved()
        except BackendError as error:
            self._failed(f"what is wanted now cannot be read: {error.message}")
