"""Blocking work and the engine thread never hold the program back."""

import asyncio
import subprocess
import sys
import threading

import pytest

from backends.engine import Cancel, Engine, in_thread
from backends.errors import Cancelled


async def test_a_result_comes_back() -> None:
    assert 3 == await in_thread(lambda a, b: a + b, 1, b=2)


async def test_an_error_comes_back_whole() -> None:
    cancel = Cancel()
    cancel.request()
    with pytest.raises(Cancelled, match="stopped"):
        await in_thread(cancel.check)


async def test_cancelling_the_waiter_asks_the_work_to_stop() -> None:
    started, killed, cancel = threading.Event(), threading.Event(), Cancel()

    def work() -> None:
        with cancel.on_cancel(killed.set):
            started.set()
            killed.wait(30)

    task = asyncio.create_task(in_thread(work, cancel=cancel))
    await asyncio.get_running_loop().run_in_executor(None, started.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert killed.is_set()


def test_work_begun_after_the_stop_never_starts() -> None:
    cancel = Cancel()
    cancel.request()
    with pytest.raises(Cancelled), cancel.on_cancel(lambda: None):
        pytest.fail("went in")


def test_the_engine_runs_coroutines_and_cancels_what_is_left() -> None:
    engine = Engine()
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def answer() -> int:
        return 7

    engine.submit(forever())
    assert 7 == engine.submit(answer()).result(30)
    engine.stop()
    assert ended.wait(30)


def test_a_process_ends_although_blocking_work_does_not() -> None:
    code = """
import asyncio, threading
from backends.engine import in_thread
async def main():
    task = asyncio.create_task(in_thread(threading.Event().wait))
    await asyncio.sleep(0.05)
    task.cancel()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
