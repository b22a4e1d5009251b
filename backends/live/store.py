"""Everything known of one Argo CD's Applications now, as immutable snapshots.

Feeds write (on one event loop), anybody reads: `Store.snapshot` is safe from every thread, `subscribe` and `changes` say what moved,
the first change at once and then at most every `interval` seconds. A list and a stream tell of the same thing at different times, and
the rules by which neither undoes the other are here; when to list and when to reconnect is `live.feeds`' matter.

A row costs one dictionary slot in each snapshot: copying 10,000 of them takes 0.1 ms, so snapshots are plain copies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from types import MappingProxyType

from backends.argocd.types import Application, WatchEvent
from backends.domain.ids import AppKey
from backends.live import selector as selectors
from backends.live.merge import differs, merge
from backends.live.snapshot import Change, FeedStatus, Row, Snapshot, TreeView

__all__ = ["INTERVAL", "Change", "FeedStatus", "Observer", "Row", "Snapshot", "Store", "TreeView"]

INTERVAL = 0.1
"""Seconds between two snapshots while things change."""


Observer = Callable[[Row | None, Row | None], None]
"""Told of each single change of a row, before and after; None is absence. Runs inside the write: keep it short."""


class Store:
    """The rows of one endpoint (and one workspace), written by its feeds.

    Every method but `snapshot` and `feeds` belongs to the thread of the feeds' event loop. Without a running loop nothing is published
    by itself: call `publish`.

    Args:
        interval: seconds between snapshots while things change.
    """

    def __init__(self, *, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._rows: dict[AppKey, Row] = {}
        self._trees: dict[AppKey, TreeView] = {}
        self._feeds: dict[str, FeedStatus] = {}
        self._deleted: dict[AppKey, Row] = {}
        self._managed: frozenset[AppKey] = frozenset()
        self._seq = 0
        self._dirty: set[AppKey] = set()
        self._pending = False
        self._timer: asyncio.TimerHandle | None = None
        self._published_at = float("-inf")
        self._subscribers: dict[int, Callable[[Change], None]] = {}
        self._observers: dict[int, Observer] = {}
        self._next_id = 0
        self.snapshot = Snapshot()

    # reading

    @property
    def feeds(self) -> tuple[FeedStatus, ...]:
        """The feeds as of now; a snapshot holds them as of its making. Safe from every thread."""
        return tuple(self._feeds.values())

    @property
    def managed(self) -> frozenset[AppKey]:
        """What the directories of the workspace name, as of now."""
        return self._managed

    def row(self, key: AppKey) -> Row | None:
        """The row as of now, not as of the last snapshot."""
        return self._rows.get(key)

    def tree(self, key: AppKey) -> TreeView | None:
        return self._trees.get(key)

    def __len__(self) -> int:
        return len(self._rows)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` with each change; the answer ends it. It runs on the feeds' loop and must not block."""
        return self._register(self._subscribers, callback)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with every single change of a row, none of them coalesced; the answer ends it."""
        return self._register(self._observers, observer)

    async def changes(self) -> AsyncIterator[Change]:
        """Each change as it is published, beginning with what is there; a slow reader gets several as one."""
        waiting = asyncio.Event()
        keys: set[AppKey] = set(self.snapshot.rows)

        def more(change: Change) -> None:
            keys.update(change.keys)
            waiting.set()

        end = self.subscribe(more)
        try:
            while True:
                ready, keys = frozenset(keys), set()
                waiting.clear()
                yield Change(self.snapshot, ready)
                await waiting.wait()
        finally:
            end()

    # writing

    def begin_list(self) -> int:
        """The ticket of a list that is asked for now: `apply_list` needs it to know what the list cannot know."""
        return self._seq

    def apply_event(self, event: WatchEvent) -> None:
        """One message of a stream."""
        application = event.application
        key, version = application.key, _number(application.metadata.resource_version)
        row = self._rows.get(key)
        if event.type == "DELETED":
            if row is None or _same_life(row.application, application) or not _is_older(application, version, row):
                self._remove(key, application, version)
            return
        known = row or self._deleted.get(key)
        if known is not None and _is_older(application, version, known):
            return
        if row is not None and application.partial and not row.partial:
            if version == row.version:
                return
            application = merge(row.application, application)
        self._put(key, application, version, row)

    def apply_list(self, applications: Iterable[Application], ticket: int) -> frozenset[AppKey]:
        """Applications of a list that was asked for at `ticket`; in slices, since 10,000 take 0.2 s. It removes nothing: that is `sweep`.

        Returns the keys whose row was out of date in a way that the list alone cannot mend: ask for them one by one.
        """
        out_of_date: set[AppKey] = set()
        for application in applications:
            key, version = application.key, _number(application.metadata.resource_version)
            row = self._rows.get(key)
            if row is None:
                gone = self._deleted.get(key)
                if gone is None or gone.seq <= ticket:
                    self._put(key, application, version, None)
            elif row.seq > ticket:
                continue
            elif not application.partial:
                self._put(key, application, version, row)
            elif row.partial:
                self._put(key, merge(row.application, application), 0, row)
            elif differs(row.application, application):
                out_of_date.add(key)
                self._put(key, merge(row.application, application), 0, row)
        return frozenset(out_of_date)

    def sweep(self, listed: Collection[AppKey], ticket: int, *, selector: str = "") -> None:
        """Remove what a list lacks that was asked for at `ticket`, after the burst of an open stream.

        Args:
            listed: the keys that it held.
            selector: the list's label selector: the rows that it is the truth about.
        """
        matches = selectors.parse(selector)
        for key, row in tuple(self._rows.items()):
            if row.seq <= ticket and key not in listed and matches(row.application.metadata.labels or {}):
                self._remove(key, row.application, row.version)
        self._deleted = {key: row for key, row in self._deleted.items() if row.seq > ticket}

    def apply_get(self, application: Application, ticket: int) -> None:
        """The answer of a get that was asked for at `ticket`: Kubernetes' own word, so only what came later is newer."""
        key = application.key
        row, gone = self._rows.get(key), self._deleted.get(key)
        version = _number(application.metadata.resource_version)
        if gone is not None and gone.seq > ticket:
            return
        if row is None or row.seq <= ticket or (not row.partial and version > row.version):
            self._put(key, application, version, row)

    def put_tree(self, key: AppKey, view: TreeView | None) -> None:
        """The newest resource tree of an Application; None forgets it."""
        if view is None:
            if self._trees.pop(key, None) is None:
                return
        else:
            self._trees[key] = view
        self._touch(key)

    def manage(self, keys: Collection[AppKey]) -> None:
        """Say which Applications the directories of the workspace name."""
        managed = frozenset(keys)
        if managed != self._managed:
            moved = managed ^ self._managed
            self._managed = managed
            self._dirty.update(moved)
            self._schedule()

    def report(self, status: FeedStatus) -> None:
        """A feed says how it does. Published when its state or its error is another; the time of its last message alone is not news."""
        before = self._feeds.get(status.name)
        self._feeds[status.name] = status
        if before is None or (before.state, before.error) != (status.state, status.error):
            self._schedule()

    def publish(self) -> Snapshot:
        """Make a snapshot of what is there now and tell the subscribers."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._pending = None, False
        keys, self._dirty = frozenset(self._dirty), set()
        self.snapshot = Snapshot(
            number=self.snapshot.number + 1,
            rows=MappingProxyType(self._rows.copy()),
            trees=MappingProxyType(self._trees.copy()),
            feeds=self.feeds,
            managed=self._managed,
        )
        change = Change(self.snapshot, keys)
        for callback in tuple(self._subscribers.values()):
            callback(change)
        return self.snapshot

    # inside

    def _put(self, key: AppKey, application: Application, version: int, before: Row | None) -> None:
        self._seq += 1
        self._deleted.pop(key, None)
        if before is not None and before.application == application:
            self._rows[key] = Row(before.application, version, self._seq)  # heard again: proven, but no news
            return
        self._rows[key] = row = Row(application, version, self._seq)
        self._told(key, before, row)

    def _remove(self, key: AppKey, last: Application, version: int) -> None:
        self._seq += 1
        before = self._rows.pop(key, None)
        self._deleted[key] = Row(last, version, self._seq)
        self._trees.pop(key, None)
        if before is not None:
            self._told(key, before, None)

    def _told(self, key: AppKey, before: Row | None, after: Row | None) -> None:
        for observer in self._observers.values():
            observer(before, after)
        self._touch(key)

    def _touch(self, key: AppKey) -> None:
        self._dirty.add(key)
        if not self._pending:
            self._schedule()

    def _schedule(self) -> None:
        if self._pending:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # no loop: whoever writes publishes
        self._pending = True
        self._timer = loop.call_later(max(0.0, self._published_at + self._interval - loop.time()), self._due, loop)

    def _due(self, loop: asyncio.AbstractEventLoop) -> None:
        self._published_at = loop.time()
        self.publish()

    def _register(self, where: dict[int, Callable[..., None]], callback: Callable[..., None]) -> Callable[[], None]:
        self._next_id += 1
        number = self._next_id
        where[number] = callback
        return lambda: where.pop(number, None) and None


def _number(version: str) -> int:
    """A resourceVersion as the server itself compares it; 0 for what is no number."""
    return int(version) if version.isdecimal() else 0


def _same_life(known: Application, heard: Application) -> bool:
    """Whether two looks are at one object, not at two of the same name, one created after the other was deleted."""
    return known.metadata.uid == heard.metadata.uid or not known.metadata.uid or not heard.metadata.uid


def _is_older(heard: Application, version: int, known: Row) -> bool:
    """Whether what was just heard is older than what is known.

    Versions grow over the life of the whole cluster; in one that was set up anew they begin again, and then the objects are younger.
    """
    if not version or version >= known.version:
        return False
    if _same_life(known.application, heard):
        return True
    before, now = known.application.metadata.creation_timestamp, heard.metadata.creation_timestamp
    return before is None or now is None or now <= before
