"""`tiphys` as a process: in a terminal (a pty), in a pipe, with signals; for what cannot be seen in this process."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of a user whose home is the test's own."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})}


def piped(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run to the end, with no terminal anywhere."""
    return subprocess.run(argv(*arguments), env=environment(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tui", *arguments]


class Terminal:
    """One command in a terminal of its own; `shown` is everything that it printed."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.shown = ""
        self._pid, self._fd = pty.fork()
        if not self._pid:
            os.execve(sys.executable, argv(*arguments), environment({"TERM": "xterm", **(env or {})}))

    def until(self, text: str, *, seconds: float = 30.0) -> None:
        """Wait until it has printed `text`."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if not self._read(0.5) and text not in self.shown:
                raise AssertionError(self.shown)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Ctrl+C."""
        self.type("\x03")

    def hang_up(self) -> None:
        os.kill(self._pid, signal.SIGHUP)

    def end(self, *, seconds: float = 30.0) -> int:
        """Wait for its end and give its exit code."""
        end = time.monotonic() + seconds
        while self._read(0.2):
            assert time.monotonic() < end, self.shown
        _, status = os.waitpid(self._pid, 0)
        with contextlib.suppress(OSError):
            os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def _read(self, seconds: float) -> bool:
        """Whether there may be more to come."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 65_536)
        except OSError:  # Linux says EIO when the other side is closed
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)
