"""Time in the sandbox: what passes faster with `--speed`, and what time stamps say.

Delays of the simulated world (pods, hooks, retries, polling) are divided by the speed. Latencies of the simulated server itself (a few
hundredths of a second between two writes) are not: their order is what makes a sequence of messages look like a real one.
Time stamps are the wall clock's, except while the fleet's past is being played (`past`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

PAST_SPEED = 2_000.0


class Clock:
    """One clock for a whole sandbox.

    Args:
        speed: simulated seconds in one real second.
        latency: factor of the server's own latencies; 0 lets everything happen at once.
        timer: seconds on the event loop's clock, where that is not the machine's: time stamps follow it, then.
    """

    def __init__(self, speed: float = 1.0, latency: float = 1.0, timer: Callable[[], float] | None = None) -> None:
        self._timer = timer or time.monotonic
        self._wall = None if timer is None else (datetime.now(UTC), timer())
        self.speed = speed
        self.latency = latency
        self._past: tuple[datetime, float] | None = None
        self._present = (speed, latency)
        self._marked = (0.0, self._timer())

    def now(self) -> datetime:
        if self._past is not None:
            began, mark = self._past
            return began + timedelta(seconds=(self._timer() - mark) * self.speed)
        if self._wall is not None:
            began, mark = self._wall
            return began + timedelta(seconds=self._timer() - mark)
        return datetime.now(UTC)

    def stamp(self) -> str:
        """RFC 3339 with whole seconds, as Kubernetes writes it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def stamp_fine(self) -> str:
        """RFC 3339 with nanoseconds, as log lines carry it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z")

    @property
    def playing(self) -> bool:
        """Whether the past is being played."""
        return self._past is not None

    def mark(self) -> float:
        """Simulated seconds on a clock of our own, for measuring: time stamps know whole seconds only."""
        passed, at = self._marked
        return passed + (self._timer() - at) * self.speed

    def since(self, stamp: str) -> float:
        """Simulated seconds since a time stamp of ours, as exact as stamps are."""
        elapsed = (self.now() - parse(stamp)).total_seconds()
        return elapsed if self._past else elapsed * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.speed)

    def later(self, seconds: float, action: Callable[[], object]) -> asyncio.TimerHandle:
        """Call `action` after so many simulated seconds."""
        return asyncio.get_running_loop().call_later(max(0.0, seconds) / self.speed, action)

    async def tick(self, seconds: float) -> None:
        """A latency of the server: real seconds, whatever the speed."""
        await asyncio.sleep(seconds * self.latency)

    def soon(self, seconds: float, action: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds * self.latency, action)

    def past(self, at: datetime) -> None:
        """From now on it is `at`, and time flies: how a fleet gets its history before the server opens."""
        self._marked = (self.mark(), self._timer())
        self._past = (at, self._timer())
        self.speed, self.latency = PAST_SPEED, 0.0

    def present(self) -> None:
        """Now is now again."""
        self._marked = (self.mark(), self._timer())
        self._past = None
        self.speed, self.latency = self._present


def parse(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)
