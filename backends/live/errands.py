"""Small requests that run beside a loop: one of a name at a time, a few at once, ended together.

Whoever starts one handles the errors that a server may answer with; anything else is a fault of ours and is raised by `check`, in the loop
that the errands belong to. No task outlives `close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]


class Errands:
    """The errands of one loop.

    Args:
        at_once: how many of those that count run at a time; the rest wait.
        done: called when one has ended.
    """

    def __init__(self, at_once: int, done: Callable[[], None]) -> None:
        self._gate = asyncio.Semaphore(at_once)
        self._done = done
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._fault: BaseException | None = None

    def start(self, name: Hashable, work: Work, *, counts: bool = True) -> bool:
        """Begin an errand, unless one of that name runs. `counts`: it waits for its turn (a stream, which never ends, does not)."""
        if name in self._tasks:
            return False
        task = asyncio.ensure_future(self._turn(work) if counts else work())
        self._tasks[name] = task
        task.add_done_callback(lambda ended: self._ended(name, ended))
        return True

    def running(self, name: Hashable) -> bool:
        return name in self._tasks

    def count(self, kind: str) -> int:
        """How many run whose name begins with `kind`."""
        return sum(1 for name in self._tasks if isinstance(name, tuple) and name[0] == kind)

    def stop(self, name: Hashable) -> None:
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()

    def check(self) -> None:
        """Raise what an errand did not expect."""
        if self._fault is not None:
            raise self._fault

    async def idle(self, deadline: float) -> None:
        """Wait until none runs, at most until the loop's time `deadline`."""
        while self._tasks:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.wait(list(self._tasks.values()), timeout=left)
            await asyncio.sleep(0)  # their end is noted by a callback
        self.check()

    async def close(self) -> None:
        """End them all and wait until they have ended."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _turn(self, work: Work) -> None:
        async with self._gate:
            await work()

    def _ended(self, name: Hashable, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault = self._fault or error
        self._done()
