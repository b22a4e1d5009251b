"""How fast and how many at once: the delays and limits of the feeds, in one place, so that tests and slow servers can have others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec


class FeedTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Every delay of the feeds, in seconds."""

    relist: float = 180.0
    """Between two lists while the stream is open."""
    quiet: float = 0.25
    """A burst that pauses this long is over; it has no end mark."""
    complete: float = 0.05
    """The same once everything that the first list named has come."""
    slow: float = 5.0
    """The same while Applications of the first list have not come yet."""
    silence: float = 35.0
    """No message and no keep-alive (one comes every 15 s) for this long: the connection is dead."""
    unproven: float = 5.0
    """Between two lists while the stream has said nothing at all: where nothing is selected it sends not even headers."""
    settle: float = 0.5
    """How long the stream may lag behind a list before a row that differs is asked for by itself."""
    retry_first: float = 0.2
    retry: float = 3.0
    """The longest pause after a refused, reset or ended connection."""
    busy: float = 60.0
    """The longest pause after 429, 5xx and answers that are none."""
    unauthorized: float = 120.0
    """Between two attempts with a token that was refused: five wrong logins in five minutes lock a user."""

    tree_after: float = 10.0
    """A deployment that stays Progressing this long has its resource tree read (contract/rollout.md, *Trees, sparingly*)."""
    tree_again: float = 15.0
    """Between two reads of a tree that no stream renews."""
    events_again: float = 5.0
    """Between two looks at the events of what is followed."""
    events_after: float = 1.0
    """From a change of something else to the one look at its events: they are written a moment later."""


TIMES = FeedTimes()


def utc_now() -> datetime:
    return datetime.now(UTC)


async def at_most(limit: int, work: list[Callable[[], Awaitable[None]]]) -> None:
    """Run all of `work`, at most `limit` at once. The first error ends the rest and is raised."""
    gate = asyncio.Semaphore(limit)

    async def one(job: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await job()

    tasks = [asyncio.ensure_future(one(job)) for job in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        await ended(*tasks)


async def ended(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel what still runs and wait until it has ended, so that nothing is left behind."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
