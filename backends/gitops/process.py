"""A child process with a session of its own: bytes in, bytes out, progress while it runs, killed when asked or when nothing comes.

Knows nothing of Git. A session of its own means no terminal to prompt on and one group to kill; whatever is left dies with this
interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from backends.engine import Cancel

GRACE_SECONDS = 0.5
"""Between SIGTERM, on which git removes its lock files, and SIGKILL."""
_TICK_SECONDS = 0.2
_CHUNK = 1 << 16
_COMPLAINTS = 4 << 20
"""Bytes of stderr that are kept at most."""
Child = subprocess.Popen[bytes]
_alive: set[subprocess.Popen[bytes]] = set()


class Finished(NamedTuple):
    """How a child ended. `stopped` says why we killed it: "" (we did not), "cancelled", "timeout" or "stalled"."""

    code: int
    out: bytes
    err: bytes
    stopped: str = ""


def spawn(
    command: Sequence[str], environment: Mapping[str, str], *, stderr: int = subprocess.PIPE, bufsize: int = 0
) -> subprocess.Popen[bytes]:
    """Start a child in its own session with pipes; it is killed when this interpreter ends. Raises `OSError`."""
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        bufsize=bufsize,
    )
    _alive.add(process)
    return process


def kill(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a child's whole group; nothing happens when it has been reaped already."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def reap(process: subprocess.Popen[bytes]) -> int:
    """Close a child's pipes, wait for its end and forget it."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    code = process.wait()
    _alive.discard(process)
    return code


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    data: bytes = b"",
    timeout: float | None = None,
    stall: float | None = None,
    cancel: Cancel | None = None,
    on_line: Callable[[str], None] | None = None,
    busy: Callable[[], bool] | None = None,
) -> Finished:
    """Run a child to its end.

    Args:
        data: written to its stdin.
        timeout: seconds until it is killed.
        stall: seconds without a byte on stdout or stderr until it is killed.
        on_line: gets each line of stderr as it comes (ended by LF or CR).
        busy: while it answers True (a person is being asked), neither clock runs.

    Raises `OSError` when it cannot be started, `Cancelled` when a stop was asked for before.
    """
    if cancel is not None:
        cancel.check()
    process = spawn(command, environment)
    group = contextlib.ExitStack()
    try:
        if cancel is not None:
            group.enter_context(cancel.on_cancel(lambda: kill(process, signal.SIGTERM)))
        with group:
            out, err, stopped = _Exchange(process, data, on_line).run(timeout, stall, cancel, busy)
    except BaseException:
        kill(process)
        raise
    finally:
        code = reap(process)
    return Finished(code, out, err, stopped)


class _Exchange:
    """Reads and writes all three pipes of one child without blocking on any."""

    def __init__(self, process: subprocess.Popen[bytes], data: bytes, on_line: Callable[[str], None] | None) -> None:
        self._process, self._data, self._on_line = process, memoryview(data), on_line
        self._out, self._err, self._line = bytearray(), bytearray(), bytearray()
        self._selector = selectors.DefaultSelector()
        assert process.stdin is not None  # noqa: S101 - spawned with pipes
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        self._stdin, self._stdout, self._stderr = process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno()
        for number in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(number, False)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)
        if data:
            self._selector.register(self._stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()

    def run(
        self, timeout: float | None, stall: float | None, cancel: Cancel | None, busy: Callable[[], bool] | None
    ) -> tuple[bytes, bytes, str]:
        now = begun = last = time.monotonic()
        stopped, dying = "", 0.0
        with self._selector:
            while self._open():
                events = self._selector.select(_TICK_SECONDS)
                before, now = now, time.monotonic()
                for key, _ in events:
                    self._serve(key.fd)
                if busy is not None and busy():
                    begun, last = begun + now - before, now
                elif events:
                    last = now
                if not events and _ended(self._process):
                    break  # something it left behind (an ssh connection master) holds the pipes
                if not stopped:
                    if cancel is not None and cancel.requested:
                        stopped = "cancelled"
                    elif timeout is not None and now - begun > timeout:
                        stopped = "timeout"
                    elif stall is not None and now - last > stall:
                        stopped = "stalled"
                    if stopped:
                        dying = now + GRACE_SECONDS
                        kill(self._process, signal.SIGTERM)
                elif now > dying:
                    kill(self._process)
        if stopped:
            kill(self._process)  # what the leader of the group left behind
        self._emit(self._line)
        if not stopped and cancel is not None and cancel.requested:
            stopped = "cancelled"
        return bytes(self._out), bytes(self._err), stopped

    def _open(self) -> bool:
        return any(key.fd in (self._stdout, self._stderr) for key in self._selector.get_map().values())

    def _serve(self, number: int) -> None:
        if number == self._stdin:
            try:
                self._data = self._data[os.write(number, self._data[:_CHUNK]) :]
            except BrokenPipeError:
                self._data = self._data[:0]  # it ended early; its exit code and stderr say why
            if not self._data:
                self._selector.unregister(number)
                assert self._process.stdin  # noqa: S101 - spawned with pipes
                self._process.stdin.close()
            return
        chunk = os.read(number, _CHUNK)
        if not chunk:
            self._selector.unregister(number)
        elif number == self._stdout:
            self._out += chunk
        else:
            self._err += chunk
            if len(self._err) > _COMPLAINTS:  # a remote may talk without end; its first and its last words say what there is to say
                del self._err[_COMPLAINTS // 4 : -_COMPLAINTS // 4]
            self._lines(chunk)

    def _lines(self, chunk: bytes) -> None:
        if self._on_line is None:
            return
        self._line += chunk.replace(b"\r", b"\n")
        *whole, rest = self._line.split(b"\n")
        self._line = bytearray(rest[-_CHUNK:])
        for line in whole:
            self._emit(line)

    def _emit(self, line: bytes | bytearray) -> None:
        if self._on_line is not None and line:
            self._on_line(line.decode("utf-8", "replace"))


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has ended, leaving it unreaped where the system can, so that its group can still be signalled safely."""
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_all() -> None:
    for process in list(_alive):
        kill(process)


atexit.register(_kill_all)
