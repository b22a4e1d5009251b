"""Time that passes only when everybody waits: minutes of feeds and followers in milliseconds of a test.

The loop's clock jumps to the next timer as soon as nothing is ready. Only for code without real sockets; work in threads is waited for.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.live.samples import START

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """A selector that does not wait for time: it tells the loop how far to jump."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._idle_turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        working = any(thread.name.startswith("tiphys-") for thread in threading.enumerate())
        self._idle_turns = self._idle_turns + 1 if timeout == 0 else 0
        if self._idle_turns > 200_000:
            raise AssertionError("somebody is busy without end, and no time passes")
        ready = super().select(0.01 if working and (timeout is None or timeout > 0) else 0)
        if not ready and not working:
            if timeout is None:
                raise AssertionError("everybody waits, and nothing will ever happen")
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run one scenario in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


def now() -> datetime:
    """The virtual date: `START` and the seconds that have passed."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())
