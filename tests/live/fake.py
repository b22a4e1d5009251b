"""An Argo CD in memory that fails on request: the protocol's calls that live state makes, with the server's own habits.

A stream bursts in order of namespace and name from a copy of the truth made when it opens, subscribes only after the burst (what happens
between is lost to it), sends nothing at all, headers included, while nothing is selected, and forgets nobody's deletions but those that
leave the selector.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from backends.argocd.types import Application, Event, Node, ResourceTree, SyncWindows, WatchEvent
from backends.domain.ids import AppKey
from backends.errors import BackendError, NotFound, Unavailable
from backends.live import selector as selectors
from tests.live.samples import added, deleted, modified, projected


class Stream:
    """One open stream of the fake."""

    def __init__(self, selector: str, name: str, *, rows: bool) -> None:
        self.rows = rows
        self.matches = selectors.parse(selector)
        self.name = name
        self.queue: asyncio.Queue[WatchEvent | BackendError | str | None] = asyncio.Queue()
        self.subscribed = False

    def show(self, event: WatchEvent) -> WatchEvent:
        """The event as this stream's projection lets it through."""
        if not self.rows:
            return event
        full = event.application
        metadata = msgspec.structs.replace(projected(full).metadata, uid=full.metadata.uid, resource_version=full.metadata.resource_version)
        return msgspec.structs.replace(event, application=msgspec.structs.replace(projected(full), metadata=metadata))

    def wants(self, application: Application) -> bool:
        return self.matches(application.metadata.labels or {}) and self.name in ("", application.metadata.name)


class FakeArgoCD:
    """Truth in `truth`; `change`, `delete` and the faults act at once."""

    url = "http://argocd.test"

    def __init__(self, *applications: Application) -> None:
        self.truth: dict[AppKey, Application] = {one.key: one for one in applications}
        self.version = max((int(one.metadata.resource_version) for one in applications), default=0)
        self.streams: list[Stream] = []
        self.calls: list[str] = []
        self.refusing: BackendError | None = None
        self.list_refusing: BackendError | None = None
        self.list_seconds = 0.01
        self.burst_seconds = 0.0
        self.keepalive: float | None = 15.0
        self.lossy = False
        self.trees: dict[AppKey, ResourceTree] = {}
        self.silent_trees = False
        """A stream of a tree tells changes alone, as the real one does, and there is none."""
        self.object_events: dict[str, tuple[Event, ...]] = {}
        self.windows = SyncWindows(can_sync=True)
        self.opened = 0

    # what tests do

    def change(self, application: Application) -> Application:
        self.version += 1
        metadata = msgspec.structs.replace(application.metadata, resource_version=str(self.version))
        application = msgspec.structs.replace(application, metadata=metadata)
        event = modified(application) if application.key in self.truth else added(application)
        self.truth[application.key] = application
        self._send(event)
        return application

    def delete(self, key: AppKey, *, told: bool = True) -> None:
        last = self.truth.pop(key)
        self.version += 1
        if told:
            self._send(deleted(last))

    def cut(self, error: BackendError | None = None) -> None:
        """End every stream: EOF, or with an error."""
        for stream in self.streams:
            stream.queue.put_nowait(error or "end")

    def restart(self) -> None:
        self.cut(Unavailable("the connection broke"))

    def _send(self, event: WatchEvent) -> None:
        for stream in self.streams:
            if stream.subscribed and stream.wants(event.application) and not self.lossy:
                stream.queue.put_nowait(stream.show(event))

    # what feeds ask

    async def list_applications(
        self, *, selector: str = "", projects: Sequence[str] = (), name: str = "", full: bool = False
    ) -> tuple[Application, ...]:
        self.calls.append("list full" if full else "list")
        self._refuse(self.list_refusing)
        await asyncio.sleep(self.list_seconds / 2)
        matches = selectors.parse(selector)
        found = [self.truth[key] for key in sorted(self.truth) if matches(self.truth[key].metadata.labels or {})]
        await asyncio.sleep(self.list_seconds / 2)
        self._refuse(self.list_refusing)
        return tuple(one if full else projected(one) for one in found)

    async def get_application(self, key: AppKey, *, project: str = "", refresh: str = "") -> Application:
        self.calls.append(f"get {key.name}{f' {refresh}' if refresh else ''}")
        self._refuse(None)
        await asyncio.sleep(self.list_seconds)
        if key not in self.truth:
            raise NotFound("application not found")
        return self.truth[key]

    async def watch_applications(
        self, *, selector: str = "", name: str = "", projected: bool = True, rows: bool = False
    ) -> AsyncIterator[WatchEvent | None]:
        self.calls.append("watch")
        self._refuse(None)
        self.opened += 1
        stream = Stream(selector, name, rows=rows)
        self.streams.append(stream)
        try:
            burst = [self.truth[key] for key in sorted(self.truth) if stream.wants(self.truth[key])]
            for application in burst:
                await asyncio.sleep(self.burst_seconds)
                yield stream.show(added(application))
            await asyncio.sleep(0)
            stream.subscribed = True
            heard = bool(burst)
            while True:
                try:
                    async with asyncio.timeout(self.keepalive if heard else None):
                        item = await stream.queue.get()
                except TimeoutError:
                    yield None
                    continue
                if isinstance(item, BackendError):
                    raise item
                if isinstance(item, str):
                    return
                heard = True
                yield item
        finally:
            self.streams.remove(stream)

    async def resource_tree(self, key: AppKey, *, project: str = "") -> ResourceTree:
        self.calls.append(f"tree {key.name}")
        await asyncio.sleep(self.list_seconds)
        return self.trees.get(key, ResourceTree())

    async def watch_tree(self, key: AppKey, *, project: str = "") -> AsyncIterator[ResourceTree | None]:
        self.calls.append(f"watch tree {key.name}")
        last: ResourceTree | None = None
        while True:
            await asyncio.sleep(0.05)
            tree = self.trees.get(key)
            if tree is not last and tree is not None and not self.silent_trees:
                last = tree
                yield tree

    async def events(self, key: AppKey, *, project: str = "", node: Node | None = None) -> tuple[Event, ...]:
        self.calls.append(f"events {node.name if node else key.name}")
        await asyncio.sleep(self.list_seconds)
        return self.object_events.get(node.uid if node else key.name, ())

    async def sync_windows(self, key: AppKey, *, project: str = "") -> SyncWindows:
        self.calls.append(f"windows {key.name}")
        return self.windows

    def _refuse(self, also: BackendError | None) -> None:
        for error in (self.refusing, also):
            if error is not None:
                raise error

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"live state asked for {name}")
