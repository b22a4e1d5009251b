"""Kubernetes events for the tail: asked for, because Argo CD has no stream of them.

What is followed is looked at every few seconds, its troubled objects included; any other deployment once after its sync, health or
operation changed. The same event comes again with a higher count, or not at all: it is known by uid and count. Kubernetes keeps events
for about an hour, so after a cut nothing of that hour is lost.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from datetime import datetime

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import Event, Node
from backends.domain.event import EventSource, LiveEvent
from backends.domain.ids import AppKey
from backends.errors import BackendError
from backends.live.pace import TIMES, FeedTimes, at_most, utc_now
from backends.live.store import Row, Store
from backends.live.tail import Tail, deployment_of
from backends.text import clean

AT_ONCE = 8
OBJECTS = 8
"""Troubled objects of one Application that are asked for at each look."""
WAITING = 200
"""Deployments that may wait for their one look; more at once are an outage, and their events tell nothing that the tail does not."""
KNOWN = 20_000
"""Events remembered, so that none is told twice."""
_KINDS = ("Pod", "Job", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "PersistentVolumeClaim")


class EventsFeed:
    """Brings Kubernetes events into a tail."""

    def __init__(
        self, argocd: ArgoCD, store: Store, tail: Tail, *, times: FeedTimes = TIMES, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._argocd = argocd
        self._store = store
        self._tail = tail
        self._times = times
        self._began = now()
        self._followed: dict[AppKey, int] = {}
        self._once: dict[AppKey, float] = {}
        self._known: dict[str, int] = {}
        self._changed = asyncio.Event()

    def follow(self, key: AppKey) -> Callable[[], None]:
        """Look at one Application's events every few seconds, from what Kubernetes still keeps on; the answer ends it."""
        self._followed[key] = self._followed.get(key, 0) + 1
        self._changed.set()

        def end() -> None:
            self._followed[key] -= 1
            if not self._followed[key]:
                del self._followed[key]

        return end

    async def run(self) -> None:
        """Until cancelled."""
        stop_observing = self._store.observe(self._row_changed)
        time = asyncio.get_running_loop().time
        look_at = time()
        try:
            while True:
                self._changed.clear()
                now = time()
                due = [key for key, at in self._once.items() if at <= now]
                for key in due:
                    del self._once[key]
                if self._followed and now >= look_at:
                    due += [key for key in self._followed if key not in due]
                    look_at = now + self._times.events_again
                await at_most(AT_ONCE, [functools.partial(self.look, key) for key in due])
                next_at = min([*self._once.values(), *([look_at] if self._followed else [])], default=None)
                try:
                    async with asyncio.timeout(None if next_at is None else max(0.0, next_at - time())):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            stop_observing()

    def _row_changed(self, before: Row | None, after: Row | None) -> None:
        if before is None or after is None:
            return
        key = after.application.key
        old, new = before.application.status, after.application.status
        moved = old.sync.status != new.sync.status or old.health.status != new.health.status
        phases = tuple(one.operation_state.phase if one.operation_state else "" for one in (old, new))
        if (moved or phases[0] != phases[1]) and key in self._store.managed and key not in self._once and len(self._once) < WAITING:
            self._once[key] = asyncio.get_running_loop().time() + self._times.events_after
            self._changed.set()

    async def look(self, key: AppKey) -> None:
        """One look at an Application's events now; with `follow` before it, at all that Kubernetes still keeps."""
        row = self._store.row(key)
        project = row.application.project if row else ""
        found: list[Event] = []
        try:
            found += await self._argocd.events(key, project=project)
            for node in self._troubled(key) if key in self._followed else ():
                found += await self._argocd.events(key, project=project, node=node)
        except BackendError:
            pass  # what came is told; the feed of Applications says what is wrong with the server
        self._tail.add(sorted(self._news(key, found), key=lambda event: event.at))

    def _troubled(self, key: AppKey) -> tuple[Node, ...]:
        view = self._store.tree(key)
        nodes = (view.tree.nodes if view else None) or ()
        troubled = [one for one in nodes if one.kind in _KINDS and one.uid and one.health and one.health.status != "Healthy"]
        return tuple(sorted(troubled, key=lambda one: (_KINDS.index(one.kind), one.name))[:OBJECTS])

    def _news(self, key: AppKey, events: list[Event]) -> Iterator[LiveEvent]:
        row = self._store.row(key)
        deployment = deployment_of(row.application) if row else None
        for event in events:
            uid = event.metadata.uid or f"{event.involved_object.uid} {event.reason} {event.message}"
            count, at = max(1, event.count), event.at
            if at is None or self._known.get(uid, 0) >= count:
                continue
            self._known.pop(uid, None)
            self._known[uid] = count  # the newest last, so that the oldest are forgotten first
            if at < self._began and key not in self._followed:
                continue
            yield LiveEvent(
                at=at,
                source=EventSource.KUBERNETES,
                application=key,
                deployment=deployment,
                kind=clean(event.involved_object.kind, limit=80),
                name=clean(event.involved_object.name, limit=260),
                type=clean(event.type, limit=40),
                reason=clean(event.reason, limit=120),
                message=clean(event.message),
                count=count,
            )
        while len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
