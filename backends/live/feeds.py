"""The feed of Applications: a stream that says when it is open, lists that say what the stream cannot.

A stream is opened without resourceVersion, so its burst proves that it is open; a projected list beside it gives the first rows. What
happened between burst and subscription, and deletions, no stream tells: a list begun after the burst does, and again every few minutes
(contract/argocd-api.md §3.3, §3.7). A feed is live from that list on, stale from the first doubt. Not for what overwrites what: that is
`live.store`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from backends.argocd.failures import TooManyRequests
from backends.argocd.protocol import ArgoCD
from backends.argocd.types import WatchEvent
from backends.domain.ids import AppKey
from backends.domain.rollout import FeedState
from backends.errors import BackendError, Forbidden, NotFound, ProtocolError, Unauthorized, Unavailable
from backends.live.pace import TIMES, FeedTimes, at_most, ended, utc_now
from backends.live.store import FeedStatus, Store

SLICE = 500
"""Applications of a list that are taken without letting the loop do anything else (some 10 ms)."""
GETS = 8
"""Requests for single Applications at once."""
GETS_IN_ALL = 64
"""Rows out of date that are asked for one by one; more are asked for by one unprojected list."""


class ApplicationsFeed:
    """Keeps the rows of one label selector in step with Argo CD.

    Args:
        selector: which Applications; "" for all one may see. Feeds of one store must not overlap.
        rows: ask only for what a row shows, not for all that a stage is derived from (design.md, *Trees, sparingly*: 9 KB or 1 KB each).
        name: of the feed, in `FeedStatus`.
        chance: gives numbers in [0, 1) for jitter.
    """

    def __init__(
        self,
        argocd: ArgoCD,
        store: Store,
        *,
        selector: str = "",
        rows: bool = False,
        name: str = "applications",
        times: FeedTimes = TIMES,
        now: Callable[[], datetime] = utc_now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._argocd = argocd
        self._store = store
        self._selector = selector
        self._narrow = rows
        self._times = times
        self._now = now
        self._chance = chance
        self._attempt = 0
        self._was_live = False
        self._heard_at: float | None = None
        self._last_key = ("", "")
        self._burst_over = False
        self._expected: set[AppKey] | None = None
        self._listed: int | None = None
        self._list_due = 0.0
        self.status = FeedStatus(name=name, since=now())
        store.report(self.status)

    async def run(self) -> None:
        """Until cancelled, or until Argo CD forbids it for good (state FAILED)."""
        while True:
            try:
                await self._connection()
                error: BackendError = Unavailable("the server ended the stream")
            except BackendError as raised:
                error = raised
            state = FeedState.STALE if self._was_live else FeedState.CONNECTING
            if isinstance(error, Forbidden | Unauthorized):
                state = FeedState.FAILED
            self._report(state, error=error.message)
            if isinstance(error, Forbidden):
                return
            await asyncio.sleep(self._pause(error))

    async def _connection(self) -> None:
        """One connection, to its end. Raises what ended it; returns at EOF."""
        loop = asyncio.get_running_loop()
        self._first: asyncio.Future[None] = loop.create_future()
        self._heard_at, self._last_key, self._burst_over = None, ("", ""), False
        self._expected = None
        opened = loop.time()
        self._list_due = opened if self._listed is None else opened + self._times.unproven
        stream = self._argocd.watch_applications(selector=self._selector, rows=self._narrow)
        reader = asyncio.ensure_future(self._read(stream))
        lister: asyncio.Future[bool] | None = None
        try:
            while not reader.done():
                wake = self._next_step(opened, loop.time())
                if lister is None and loop.time() >= self._list_due:
                    lister = asyncio.ensure_future(self._list())
                waiting: set[asyncio.Future[Any]] = {reader} if lister is None else {reader, lister}
                if self._heard_at is None:
                    waiting.add(self._first)
                due = wake if lister else min(wake, self._list_due)
                await asyncio.wait(waiting, timeout=max(0.0, due - loop.time()), return_when=asyncio.FIRST_COMPLETED)
                if lister is not None and lister.done():
                    self._after_list(lister, loop.time())
                    lister = None
            reader.result()
        finally:
            await ended(reader, lister)

    async def _read(self, stream: AsyncIterator[WatchEvent | None]) -> None:
        time = asyncio.get_running_loop().time
        try:
            async for event in stream:
                self._heard_at = time()
                if not self._first.done():
                    self._first.set_result(None)
                if event is not None:
                    self._take(event)
                self._report(self.status.state, error=self.status.error, events=0 if event is None else 1)
        finally:
            if isinstance(stream, contextlib.AbstractAsyncContextManager) or hasattr(stream, "aclose"):
                await stream.aclose()  # a generator left to the collector closes its connection at some other time

    def _take(self, event: WatchEvent) -> None:
        key = event.application.key
        in_burst = event.type == "ADDED" and key > self._last_key  # it is sorted by namespace and name
        if not self._burst_over:
            if self._expected:
                self._expected.discard(key)
            if not in_burst:
                self._end_burst()
        elif in_burst and self._store.row(key) is not None:  # added, and known: it paused, it was not over
            self._burst_over = False
        self._last_key = key
        self._store.apply_event(event)

    def _end_burst(self) -> None:
        self._burst_over = True
        self._list_due = float("-inf")

    def _next_step(self, opened: float, now: float) -> float:
        """When to look again; notices the end of a burst on the way. Raises `Unavailable` when the connection is dead."""
        silent_at = (opened if self._heard_at is None else self._heard_at) + self._times.silence
        if self._heard_at is None:
            if now < silent_at:
                return silent_at
            if not self._listed:  # nothing is selected: there is nothing to be said
                return now + self._times.silence
            said = f"the stream said nothing for {self._times.silence:g} s"
            raise Unavailable(said, hint="does a proxy before Argo CD hold streams back?")
        if now >= silent_at:
            raise Unavailable(f"nothing heard for {self._times.silence:g} s")
        if self._burst_over:
            return silent_at
        pause = self._times.quiet if self._expected is None else self._times.slow if self._expected else self._times.complete
        over_at = self._heard_at + pause
        if now >= over_at:
            self._end_burst()
            return now
        return min(over_at, now + self._times.quiet)  # what is expected may come meanwhile

    async def _list(self) -> bool:
        """One list, taken in slices; then what it could not mend. Says whether it was begun after the burst; then the feed is live."""
        proven = self._burst_over
        ticket = self._store.begin_list()
        applications = await self._argocd.list_applications(selector=self._selector)
        if not proven and not self._was_live:
            rows = ((one.key, self._store.row(one.key)) for one in applications)
            self._expected = {key for key, row in rows if row is None or row.partial != self._narrow or not row.version}
        out_of_date: set[AppKey] = set()
        for start in range(0, len(applications), SLICE):
            out_of_date |= self._store.apply_list(applications[start : start + SLICE], ticket)
            await asyncio.sleep(0)
        listed = {one.key for one in applications}
        self._store.sweep(listed, ticket, selector=self._selector)
        self._listed = len(listed)
        if proven and not self._narrow:  # what the burst owed us and did not send
            out_of_date |= {key for key in listed if (row := self._store.row(key)) is not None and row.partial}
        if proven or (not applications and self._heard_at is None):
            self._attempt, self._was_live = 0, True
            self._report(FeedState.LIVE)
        if out_of_date:
            await asyncio.sleep(self._times.settle)
            await self._mend(out_of_date)
        return proven

    def _after_list(self, lister: asyncio.Future[bool], now: float) -> None:
        """When the next list is due."""
        try:
            proven = lister.result()
        except BackendError as error:
            self._report(self.status.state, error=f"the list failed: {error.message}")
            self._list_due = now + self._pause(error)
            return
        if not self._burst_over:  # it makes the list due when it ends; where nothing is selected it never comes
            pause = self._times.silence if self._listed else self._times.unproven
        elif proven:
            pause = self._times.relist * (0.9 + 0.2 * self._chance())
        else:
            pause = 0.0
        self._list_due = now + pause

    async def _mend(self, keys: set[AppKey]) -> None:
        """Ask for rows that a list showed to be out of date and that no message of the stream has renewed meanwhile."""
        waiting = [key for key in sorted(keys) if (row := self._store.row(key)) is not None and row.partial]
        if len(waiting) > GETS_IN_ALL:
            ticket = self._store.begin_list()
            applications = await self._argocd.list_applications(selector=self._selector, full=True)
            for start in range(0, len(applications), SLICE):
                self._store.apply_list(applications[start : start + SLICE], ticket)
                await asyncio.sleep(0)
            return

        async def ask(key: AppKey) -> None:
            row = self._store.row(key)
            ticket = self._store.begin_list()
            with contextlib.suppress(NotFound, Forbidden):  # gone meanwhile: the stream or the next list says so
                self._store.apply_get(await self._argocd.get_application(key, project=row.application.project if row else ""), ticket)

        await at_most(GETS, [functools.partial(ask, key) for key in waiting])

    def _pause(self, error: BackendError) -> float:
        """Seconds until the next attempt: short where nobody answered, long where somebody asked us to wait."""
        if isinstance(error, Unauthorized):
            return self._times.unauthorized
        after = error.retry_after if isinstance(error, TooManyRequests) else None
        cut = type(error) is Unavailable or (isinstance(error, ProtocolError) and error.retryable)
        longest = self._times.retry if cut else self._times.busy
        pause = min(longest, self._times.retry_first * 2.0 ** min(self._attempt, 30))
        self._attempt += 1
        return max(after or 0.0, pause * (0.5 + 0.5 * self._chance()))

    def _report(self, state: FeedState, *, error: str = "", events: int = 0) -> None:
        now, before = self._now(), self.status
        self.status = FeedStatus(
            name=before.name,
            state=state,
            since=before.since if before.state is state else now,
            last_message=now if self._heard_at is not None and state is not FeedState.STALE else before.last_message,
            error=error,
            events=before.events + events,
        )
        self._store.report(self.status)
