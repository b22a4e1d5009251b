"""The event tail: changes of Applications, Kubernetes events and commits, in one bounded list that many can follow.

Changes of Applications come out of the store by themselves; whoever asks for Kubernetes events (`live.events`) or reads commits adds them.
After a cut the list says how long nobody heard anything: what happened meanwhile is known by its end state alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime

import msgspec

from backends.argocd.types import Application
from backends.domain.event import WARNING, EventSource, LiveEvent
from backends.domain.ids import DeploymentId
from backends.domain.release import Release
from backends.domain.rollout import FeedState
from backends.live.pace import utc_now
from backends.live.store import Change, Row, Store
from backends.live.transitions import transitions

LIMIT = 2_000
"""Events kept; a follower that falls further behind loses the oldest."""


class Tail:
    """Joins the three sources of events of one store. Belongs to the feeds' event loop.

    Args:
        limit: events kept, and events that may wait for one slow follower.
    """

    def __init__(self, store: Store, *, limit: int = LIMIT, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._now = now
        self._limit = limit
        self._kept: deque[LiveEvent] = deque(maxlen=limit)
        self._followers: dict[int, tuple[deque[LiveEvent], asyncio.Event]] = {}
        self._next_id = 0
        self._lost_at: dict[str, datetime] = {}
        self._ends = (store.observe(self._row_changed), store.subscribe(self._feeds_changed))

    @property
    def events(self) -> tuple[LiveEvent, ...]:
        """What is kept, oldest first."""
        return tuple(sorted(self._kept, key=lambda event: event.at))

    def close(self) -> None:
        """Listen to the store no more."""
        for end in self._ends:
            end()

    def add(self, events: Iterable[LiveEvent]) -> None:
        """Events of another source; whoever adds sees to it that none comes twice."""
        for event in events:
            self._kept.append(event)
            for queue, waiting in self._followers.values():
                queue.append(event)
                waiting.set()

    async def follow(self) -> AsyncIterator[LiveEvent]:
        """Events as they come, from now on."""
        self._next_id += 1
        number, queue, waiting = self._next_id, deque[LiveEvent](maxlen=self._limit), asyncio.Event()
        self._followers[number] = (queue, waiting)
        try:
            while True:
                await waiting.wait()
                waiting.clear()
                while queue:
                    yield queue.popleft()
        finally:
            del self._followers[number]

    def _row_changed(self, before: Row | None, after: Row | None) -> None:
        if before is None and not all(feed.state is FeedState.LIVE for feed in self._store.feeds):
            return  # the first sight of what was there before us
        old, new = before.application if before else None, after.application if after else None
        shown = new or old
        if shown is not None:
            deployment = deployment_of(shown)
            self.add(msgspec.structs.replace(event, deployment=deployment) for event in transitions(old, new, at=self._now()))

    def _feeds_changed(self, change: Change) -> None:
        for feed in change.snapshot.feeds:
            if feed.state is FeedState.STALE:
                self._lost_at.setdefault(feed.name, feed.last_message or feed.since or self._now())
            elif feed.state is FeedState.LIVE and feed.name in self._lost_at:
                seconds = (self._now() - self._lost_at.pop(feed.name)).total_seconds()
                self.add((_gap(feed.name, seconds, self._now()),))


def deployment_of(application: Application) -> DeploymentId | None:
    """The deployment that an Application is by its labels; None for root, Managers and what is not of a workspace."""
    if application.label("tiphys.dev/workspace") and application.label("tiphys.dev/app"):
        return DeploymentId(application.metadata.name)
    return None


def of_release(release: Release) -> LiveEvent:
    """A commit of the workspace repository as a line of the tail."""
    return LiveEvent(
        at=release.at,
        source=EventSource.GIT,
        deployment=release.deployments[0] if len(release.deployments) == 1 else None,
        kind="Commit",
        name=release.commit,
        reason=release.op,
        message=f"{release.subject} ({release.author})",
    )


def _gap(name: str, seconds: float, at: datetime) -> LiveEvent:
    text = f"gap {seconds:.0f} s: what happened meanwhile is known by its end alone"
    return LiveEvent(at=at, source=EventSource.ARGO, kind="Feed", name=name, type=WARNING, reason="Gap", message=text)
