"""The one engine thread: network, Git and rendering run on its asyncio loop; blocking work on daemon threads of ours.

A `ThreadPoolExecutor` is joined when the interpreter exits (7.7 s were measured behind a dead server), so `in_thread` starts daemon
threads and quitting never waits for one. A screen holds an `Engine` and calls `submit`; library code
that already runs on a loop awaits `in_thread`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from backends.errors import Cancelled

T = TypeVar("T")


class Cancel:
    """Asks a blocking piece of work to stop: it calls `check` between steps, and `on_cancel` registers what to kill."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = False
        self._actions: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        return self._done

    def request(self) -> None:
        """Stop: run what was registered, once; safe from any thread."""
        with self._lock:
            self._done, actions, self._actions = True, self._actions, []
        for action in actions:
            action()

    def check(self) -> None:
        """Raises `Cancelled` when a stop was asked for."""
        if self._done:
            raise Cancelled("stopped")

    @contextlib.contextmanager
    def on_cancel(self, action: Callable[[], None]) -> Any:
        """While inside, a stop runs `action` (from the thread that asks). Raises `Cancelled` at once when it was asked for before."""
        with self._lock:
            self.check()
            self._actions.append(action)
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._actions.remove(action)


async def in_thread(work: Callable[..., T], *args: Any, cancel: Cancel | None = None, **kwargs: Any) -> T:
    """Run blocking `work` on a daemon thread and wait for it; when the waiting task is cancelled, `cancel` is requested.

    `work` gets no token by itself: pass the same one among its arguments when it takes one.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            setter(value)

    def run() -> None:
        try:
            result = work(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - handed whole to whoever waits
            outcome: tuple[Callable[[Any], None], Any] = (future.set_exception, error)
        else:
            outcome = (future.set_result, result)
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name=f"tiphys-{getattr(work, '__name__', 'work')}", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        if cancel is not None:
            cancel.request()
        raise


class Engine:
    """A daemon thread with an asyncio loop of its own, for callers that have none or must not block theirs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tiphys-engine", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine on the engine; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self) -> None:
        """Cancel what runs and end the thread, without waiting for anything that blocks."""
        self.loop.call_soon_threadsafe(self._cancel_all)
        self._thread.join(timeout=0.2)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.call_soon(self.loop.stop)
