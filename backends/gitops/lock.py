"""Turns: two Tiphys processes (or threads) that work in one clone wait for each other. Not a lock on the remote: nobody holds that."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from backends.engine import Cancel
from backends.errors import TimedOut
from backends.gitops.progress import OnProgress, Progress
from backends.gitops.remote_errors import not_writable
from backends.paths import private_dir

_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.05


class TurnLock:
    """A lock on one file, held by one thread of one process at a time; the holding thread may enter again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.RLock()
        self._depth = 0
        self._handle = -1

    @contextlib.contextmanager
    def turn(self, *, timeout: float | None = None, progress: OnProgress | None = None, cancel: Cancel | None = None) -> Iterator[None]:
        """Wait for our turn and hold it while inside.

        Raises `TimedOut` after `timeout` seconds, `Cancelled`, `GitFailed` when the file cannot be made.
        """
        self._wait(timeout, progress, cancel)
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                os.close(self._handle)  # closing it gives up the lock
                self._handle = -1
            self._thread.release()

    def _wait(self, timeout: float | None, progress: OnProgress | None, cancel: Cancel | None) -> None:
        begun, pause, told = time.monotonic(), _FIRST_WAIT, False
        mine = False
        try:
            while True:
                if not mine:
                    mine = self._thread.acquire(blocking=False)
                if mine and (self._depth or self._take()):
                    self._depth += 1
                    return
                if cancel is not None:
                    cancel.check()
                if timeout is not None and time.monotonic() - begun > timeout:
                    raise TimedOut(
                        f"another Tiphys on this host has been busy for {timeout:.3g} s", operation="wait", target=str(self._path)
                    )
                if progress is not None and not told:
                    progress(Progress("wait", "waiting for another Tiphys on this host"))
                    told = True
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_WAIT)
        except BaseException:
            if mine:
                self._thread.release()
            raise

    def _take(self) -> bool:
        try:
            private_dir(self._path.parent)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise not_writable("wait", self._path, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:  # a file system without locks
            os.close(handle)
            raise not_writable("wait", self._path, error) from None
        self._handle = handle
        return True
