"""Work by key, once at a time: what a controller's work queue does.

A key that is added while it waits keeps its earlier time; one that is added while it is worked on is worked on again afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from backends.sandbox.clock import Clock

_LOG = logging.getLogger(__name__)


class WorkQueue:
    """Runs `work(key)` for keys that were added, on the running loop."""

    def __init__(self, clock: Clock, work: Callable[[str], Awaitable[None]]) -> None:
        self._clock = clock
        self._work = work
        self._due: dict[str, asyncio.TimerHandle] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, float] = {}
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether anything runs or is due at once."""
        now = asyncio.get_running_loop().time()
        return bool(self._running or self._again) or any(handle.when() <= now + 0.05 for handle in self._due.values())

    def add(self, key: str, seconds: float = 0.0) -> None:
        """Work on a key after so many simulated seconds."""
        if self._closed:
            return
        if key in self._running:
            self._again[key] = min(seconds, self._again.get(key, seconds))
            return
        at = asyncio.get_running_loop().time() + seconds / self._clock.speed
        waiting = self._due.get(key)
        if waiting is not None:
            if waiting.when() <= at:
                return
            waiting.cancel()
        self._due[key] = self._clock.later(seconds, lambda: self._start(key))

    def close(self) -> None:
        self._closed = True
        for handle in self._due.values():
            handle.cancel()
        for task in self._running.values():
            task.cancel()
        self._due.clear()
        self._again.clear()

    def _start(self, key: str) -> None:
        self._due.pop(key, None)
        task = asyncio.get_running_loop().create_task(self._run(key))
        self._running[key] = task

    async def _run(self, key: str) -> None:
        try:
            await self._work(key)
        except Exception:  # noqa: BLE001 - the trouble of one Application must not end the controller; it is logged
            _LOG.exception("working on %s", key)
        finally:
            self._running.pop(key, None)
            if key in self._again and not self._closed:
                self.add(key, self._again.pop(key))
