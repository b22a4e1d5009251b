"""A contained process: what it may use and see, and how one talks to it without waiting for ever.

Every program that renders runs through here: limits and no network by `contain`, a scrubbed environment by `environment`, a session of its
own that is killed whole, output that is counted while it comes. Not for what the programs are asked to do.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

import msgspec

from backends.engine import Cancel
from backends.errors import Invalid, TimedOut
from backends.render import contain
from backends.render.export import ours
from backends.text import clean

_CHUNK = 1 << 16
_FATAL = re.compile(rb"^(?:fatal error|panic|runtime): (.+)", re.MULTILINE)
"""How a Go program ends when it cannot go on; a page of stacks follows."""
_MEMORY = re.compile(rb"cannot allocate memory|out of memory|malloc failed|MemoryError|stack overflow|exceeds \d+-byte limit")
_ERRORS_KEPT = 1 << 16
"""Bytes of stderr that are kept, half from its beginning and half from its end; the rest is read and dropped."""


class Limits(msgspec.Struct, frozen=True):
    """What one rendering may use: bytes of memory, of output and of any file it writes; seconds of processor time (0: not limited)."""

    memory: int = 1 << 30
    output: int = 32 << 20
    file: int = 16 << 20
    cpu: int = 120
    offline: bool = True


class Exchange(msgspec.Struct, frozen=True):
    """What a process said. `code` is its exit status, negative for a signal, None while it runs on."""

    out: bytes
    err: bytes
    code: int | None


def environment(private: Path) -> dict[str, str]:
    """The whole environment of a contained program: nothing of the user's, every folder of its own inside `private`.

    `LD_LIBRARY_PATH` is the one thing handed on: interpreters built with a shared library of their own need it to start.
    """
    home = private / "home"
    empty = private / "empty"
    for folder in (private, home, empty, private / "tmp"):
        ours(folder)
    env = {
        "HOME": str(home),
        "PATH": str(empty),
        "TMPDIR": str(private / "tmp"),
        "LANG": "C.UTF-8",
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "HELM_PLUGINS": str(empty),
        "HELM_REGISTRY_CONFIG": str(home / "registry.json"),
        "HELM_REPOSITORY_CONFIG": str(home / "repositories.yaml"),
        "HELM_REPOSITORY_CACHE": str(home / "cache"),
        "KUSTOMIZE_PLUGIN_HOME": str(empty),
        "GOMAXPROCS": "2",
        "GOMEMLIMIT": "600MiB",
        "GOTRACEBACK": "none",
    }
    if "LD_LIBRARY_PATH" in os.environ:
        env["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return env


def crash(exchange: Exchange, limits: Limits) -> str:
    """Why a program ended that did not say so itself, as the end of a sentence."""
    err = exchange.err
    if _MEMORY.search(err):
        return f"needs more than {limits.memory >> 20} MiB of memory and was stopped"
    if fatal := _FATAL.search(err):
        return f"crashed the program that rendered it: {clean(fatal[1], limit=200)}"
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return f"ended the program that rendered it: {clean(lines[-1] if lines else f'status {exchange.code}', limit=300)}"


class Child:
    """One running contained process. Used by one thread at a time; `kill` is safe from any.

    Args:
        argv: the program by absolute path, and its arguments.
        cwd: where it runs.
        env: its whole environment (`environment`).
        target: what is rendered, for errors ("charts/service/1.0.0").
    """

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: dict[str, str], limits: Limits, target: str = "") -> None:
        bounds = (str(limits.memory), str(limits.file), str(limits.cpu), "1" if limits.offline else "0")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", contain.__file__, *bounds, "--", *argv],
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._stdin, self._stdout, self._stderr = (
            cast(IO[bytes], one) for one in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
        self._limits = limits
        self._killed = False
        self.target = target

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs and may go on."""
        return not self._killed and self._process.poll() is None

    def kill(self) -> None:
        """End the process and whatever it started, at once."""
        self._killed = True
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of a group that is ending
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill it and give back what it held."""
        self.kill()
        self._process.wait()
        for stream in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()

    def exchange(
        self, data: bytes = b"", *, complete: Callable[[bytearray], bool] | None, deadline: float, cancel: Cancel | None = None
    ) -> Exchange:
        """Write `data`, then read until `complete` says that the answer is whole, or the process has ended.

        Args:
            complete: told all output so far; None for a program that answers by ending (its input is closed after `data`).
            deadline: on the monotonic clock.

        Raises `TimedOut`, `Cancelled`, and `Invalid` for more output than allowed; the process is dead after any of them.
        """
        out, err = bytearray(), bytearray()
        waiting = memoryview(data)
        with (cancel or Cancel()).on_cancel(self.kill), selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ, out)
            selector.register(self._stderr, selectors.EVENT_READ, err)
            if waiting or complete is None:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            while selector.get_map():
                left = deadline - time.monotonic()
                if left <= 0:
                    self.kill()
                    raise TimedOut("took too long and was stopped", operation="render", target=self.target, retryable=False)
                for key, _ in selector.select(left):
                    if key.fileobj is self._stdin:
                        waiting = self._write(waiting)
                        if not waiting:
                            selector.unregister(self._stdin)
                            if complete is None:
                                self._stdin.close()
                    elif not self._read(key.fileobj, key.data, cap=_ERRORS_KEPT if key.data is err else 0):
                        selector.unregister(key.fileobj)
                if len(out) > self._limits.output:
                    self.kill()
                    size = self._limits.output >> 20
                    raise Invalid(f"renders to more than {size} MiB and was stopped", operation="render", target=self.target)
                if complete is not None and complete(out):
                    return Exchange(bytes(out), bytes(err), None)
            code = self._ended(deadline)
        if cancel is not None:
            cancel.check()
        return Exchange(bytes(out), bytes(err), code)

    def _write(self, waiting: memoryview) -> memoryview:
        try:
            return waiting[os.write(self._stdin.fileno(), waiting[:_CHUNK]) :] if waiting else waiting
        except BlockingIOError:
            return waiting
        except BrokenPipeError:
            return waiting[:0]  # it ended; its exit status says why

    def _read(self, stream: object, into: bytearray, *, cap: int) -> bool:
        """Whether there may be more to read."""
        try:
            piece = os.read(stream.fileno(), _CHUNK)  # type: ignore[attr-defined]
        except BlockingIOError:
            return True
        into += piece
        if cap and len(into) > cap:
            del into[cap // 2 : len(into) - cap // 2]
        return bool(piece)

    def _ended(self, deadline: float) -> int:
        try:
            return self._process.wait(max(0.05, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()
