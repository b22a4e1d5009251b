"""Resource trees, sparingly: streams for what is followed or on screen, a look now and then at what stays Progressing.

A tree stream of a crash loop was 2.5 MB in 80 s, and a tree is always sent whole; so nobody but a follower has a stream, and the other
deployments of a workspace are read only while they stay Progressing, a few at once (contract/rollout.md, *Trees, sparingly*).
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable
from datetime import datetime

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import ResourceTree
from backends.domain.ids import AppKey
from backends.errors import BackendError, Forbidden, NotFound
from backends.live.pace import TIMES, FeedTimes, at_most, ended, utc_now
from backends.live.store import Row, Store, TreeView

AT_ONCE = 4
"""Trees that are read at once for deployments that nobody follows."""


class TreeFeed:
    """Reads trees into the store. One for each store; `run` does the work of both kinds."""

    def __init__(
        self,
        argocd: ArgoCD,
        store: Store,
        *,
        times: FeedTimes = TIMES,
        now: Callable[[], datetime] = utc_now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._argocd = argocd
        self._store = store
        self._times = times
        self._now = now
        self._chance = chance
        self._followed: dict[AppKey, int] = {}
        self._since: dict[AppKey, float] = {}
        self._streams: dict[AppKey, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()

    def follow(self, key: AppKey) -> Callable[[], None]:
        """Keep the tree of one Application fresh by a stream; the answer ends it. Several may follow the same one."""
        self._followed[key] = self._followed.get(key, 0) + 1
        self._changed.set()

        def end() -> None:
            self._followed[key] -= 1
            if not self._followed[key]:
                del self._followed[key]
            self._changed.set()

        return end

    async def run(self) -> None:
        """Until cancelled."""
        stop_observing = self._store.observe(self._row_changed)
        for row in self._store.snapshot.rows.values():
            self._row_changed(None, row)
        try:
            while True:
                self._tend_streams()
                self._changed.clear()
                due = await self._look()
                try:
                    async with asyncio.timeout(due):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            stop_observing()
            await ended(*self._streams.values())

    def _row_changed(self, before: Row | None, after: Row | None) -> None:
        row = after or before
        if row is None:
            return
        key = row.application.key
        progressing = after is not None and after.application.status.health.status == "Progressing"
        if progressing and key not in self._since:
            self._since[key] = asyncio.get_running_loop().time() + self._times.tree_after
            self._changed.set()
        elif not progressing and self._since.pop(key, None) is not None and key not in self._followed:
            self._store.put_tree(key, None)

    def _tend_streams(self) -> None:
        for key in self._followed.keys() - self._streams.keys():
            self._streams[key] = asyncio.ensure_future(self._stream(key))
        for key in self._streams.keys() - self._followed.keys():
            self._streams.pop(key).cancel()
            if key not in self._since:
                self._store.put_tree(key, None)

    async def _look(self) -> float | None:
        """Read the trees that are due; says in how many seconds the next is."""
        time = asyncio.get_running_loop().time
        managed = self._store.managed
        due = [key for key, at in self._since.items() if at <= time() and key in managed and key not in self._followed]
        await at_most(AT_ONCE, [functools.partial(self._read, key) for key in due])
        for key in due:
            if key in self._since:
                self._since[key] = time() + self._times.tree_again
        waiting = [at for key, at in self._since.items() if key in managed and key not in self._followed]
        return max(0.0, min(waiting) - time()) if waiting else None

    async def _read(self, key: AppKey) -> None:
        try:
            self._put(key, await self._argocd.resource_tree(key, project=self._project(key)))
        except BackendError:
            return  # the feed of Applications says what is wrong with the server; the tree stays as old as it is

    async def _stream(self, key: AppKey) -> None:
        """The tree of one Application, by get and stream, again and again: a stream says nothing when it opens."""
        pause = self._times.retry_first
        while True:
            reading = asyncio.ensure_future(self._read_stream(key))
            try:
                while not reading.done():
                    await self._read(key)
                    await asyncio.wait({reading}, timeout=self._times.tree_again)
                reading.result()
                pause = self._times.retry_first
            except (Forbidden, NotFound):
                pause = self._times.tree_again
            except BackendError:
                pause = min(pause * 2, self._times.busy)
            finally:
                await ended(reading)
            await asyncio.sleep(pause * (0.5 + 0.5 * self._chance()))

    async def _read_stream(self, key: AppKey) -> None:
        async for tree in self._argocd.watch_tree(key, project=self._project(key)):
            if tree is not None:
                self._put(key, tree)

    def _put(self, key: AppKey, tree: ResourceTree) -> None:
        known = self._store.tree(key)
        if self._store.row(key) is None and key not in self._followed:
            return
        if known is None or known.tree != tree:
            self._store.put_tree(key, TreeView(tree, self._now()))

    def _project(self, key: AppKey) -> str:
        row = self._store.row(key)
        return row.application.project if row else ""
