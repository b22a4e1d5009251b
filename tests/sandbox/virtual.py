"""An event loop whose clock jumps to the next timer as soon as nothing is left to do: waiting costs nothing, and a slow machine no order.

Work on other threads is waited for in real time, and takes none on the loop's clock.
"""

from __future__ import annotations

import asyncio
import selectors
import threading

_BACKGROUND = ("tiphys-warm-helm", "tiphys-idle-helm")
"""Threads that nobody waits for."""


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._seconds = 1_000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._seconds

    def jump(self, seconds: float) -> None:
        self._seconds += seconds


class _Jumping(selectors.DefaultSelector):
    """Where another selector would sleep until the next timer, the clock goes there."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        while not events and (timeout is None or timeout > 0):
            if timeout is not None and not _working():
                self._loop.jump(timeout)
                break
            events = super().select(0.001)
        return events


def _working() -> bool:
    return any(one.name.startswith("tiphys-") and one.name not in _BACKGROUND for one in threading.enumerate())
