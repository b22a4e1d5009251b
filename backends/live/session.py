"""Everything live of one Argo CD, running: the feeds, the store that they keep, trees, Kubernetes events and the tail.

    async with Live(argocd, workspace=workspace.id) as live:
        await live.ready()
        live.store.snapshot …  live.tail.follow() …

Of a workspace's Applications everything is asked for that a stage is derived from; of all others what a row shows (contract/rollout.md,
*Inputs*). Several may run beside each other, one for each endpoint and workspace. Following a commit is `live.follow`, which reads this store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from backends.argocd.protocol import ArgoCD
from backends.domain.ids import AppKey
from backends.domain.rollout import FeedState
from backends.live.events import EventsFeed
from backends.live.feeds import ApplicationsFeed
from backends.live.pace import TIMES, FeedTimes, ended, utc_now
from backends.live.snapshot import FeedStatus
from backends.live.store import Store
from backends.live.tail import Tail
from backends.live.trees import TreeFeed

WORKSPACE_LABEL = "tiphys.dev/workspace"
APPLICATIONS, OTHERS = "applications", "others"
"""Names of the feeds: the workspace's own Applications (all of them, without a workspace), and everybody else's."""


class Live:
    """Feeds of one endpoint as long as it is entered. Belongs to one event loop; `store.snapshot` is for everybody.

    Args:
        workspace: the workspace's id; "" where there is none: then rows of everything are kept, and no more than rows.
        others: keep rows of Applications outside the workspace, too.
    """

    def __init__(
        self,
        argocd: ArgoCD,
        *,
        workspace: str = "",
        others: bool = True,
        times: FeedTimes = TIMES,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.store = Store()
        self.tail = Tail(self.store, now=now)
        self.trees = TreeFeed(argocd, self.store, times=times, now=now)
        self.events = EventsFeed(argocd, self.store, self.tail, times=times, now=now)
        ours = f"{WORKSPACE_LABEL}={workspace}" if workspace else ""
        feeds = [ApplicationsFeed(argocd, self.store, selector=ours, rows=not workspace, name=APPLICATIONS, times=times, now=now)]
        if workspace and others:
            theirs = f"{WORKSPACE_LABEL}!={workspace}"
            feeds.append(ApplicationsFeed(argocd, self.store, selector=theirs, rows=True, name=OTHERS, times=times, now=now))
        self.feeds = tuple(feeds)
        self._tasks: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Live:
        running = (*(feed.run() for feed in self.feeds), self.trees.run(), self.events.run())
        self._tasks = [asyncio.ensure_future(one) for one in running]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.tail.close()
        await ended(*self._tasks)

    async def ready(self, seconds: float = 20.0) -> FeedStatus:
        """Wait until the workspace's feed is live, has failed or says an error, at most so long. Raises nothing."""
        changed = asyncio.Event()
        end = self.store.subscribe(lambda _: changed.set())
        try:
            async with asyncio.timeout(seconds):
                while (status := self.feeds[0].status).state not in (FeedState.LIVE, FeedState.FAILED) and not status.error:
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            pass
        finally:
            end()
        return self.feeds[0].status

    def follow(self, key: AppKey) -> Callable[[], None]:
        """Keep tree and events of one Application fresh, because somebody looks at it; the answer ends it."""
        ends = (self.trees.follow(key), self.events.follow(key))

        def end() -> None:
            for one in ends:
                one()

        return end
