"""Helm by its SDK, in processes of their own that are kept warm.

A process takes one chart at a time; a killed or dead one is replaced at the next rendering, and an idle one goes after a while, since it
holds 69 MB. Not for what a chart may contain (`helm`), nor for how the process is bounded (`child`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from backends.engine import Cancel
from backends.errors import Invalid, TimedOut, Unavailable
from backends.render import helm_process
from backends.render.child import Child, Exchange, Limits, crash, environment
from backends.render.helm_process import LENGTH, Answer, Ask, Hello, framed
from backends.render.types import RenderRequest
from backends.text import clean

_VERSION = re.compile(r"v?(\d+\.\d+)")


def installed() -> bool:
    """Whether the Helm SDK is there (the extra `helm`), without loading it."""
    return importlib.util.find_spec("helm_python") is not None


class _Leaving(msgspec.Struct):
    """The one thing about an answer that matters to the process it came from."""

    leaving: bool = False


class HelmSdk:
    """The Helm SDK. Safe to use from several threads.

    Args:
        private: a folder of this user alone, for what the processes take for their home.
        processes: how many at most, each rendering one chart at a time.
        idle: seconds after which a process that nobody used is ended.
    """

    def __init__(self, private: Path, *, limits: Limits, processes: int = 1, idle: float = 300.0) -> None:
        self._private, self._most, self._idle_for = private, processes, idle
        self._limits = msgspec.structs.replace(limits, cpu=0)  # of a process that lives on
        self._free = threading.Condition()
        self._idle: list[tuple[float, Child]] = []
        self._busy: set[Child] = set()
        self._made = 0
        self._closed = False
        self._reaper: threading.Thread | None = None
        self._hello = Hello("", "")

    def by(self, _request: RenderRequest) -> str:
        """ "Helm 4.2 for Kubernetes 1.36", once a process has said so."""
        return f"Helm {_short(self._hello.helm)} for Kubernetes {_short(self._hello.kubernetes)}"

    def template(
        self,
        chart: Path,
        values: Sequence[tuple[str, bytes]],
        request: RenderRequest,
        *,
        deadline: float,
        cancel: Cancel | None,
    ) -> Answer:
        """Render one chart; see `helm.Helm`."""
        ask = Ask(
            chart=str(chart),
            values=tuple((name, _text(name, data)) for name, data in values),
            name=request.release_name,
            namespace=request.namespace or "default",
            most=self._limits.output,
        )
        exchange = self._asked(framed(ask), deadline, cancel, request.path)
        if exchange.code == -signal.SIGKILL:  # not by us, who would have raised: it was killed while it waited, or for the machine's sake
            exchange = self._asked(framed(ask), deadline, cancel, request.path)
        if exchange.code is not None:
            raise Invalid(crash(exchange, self._limits), operation="render", target=request.path)
        answer = msgspec.msgpack.decode(exchange.out[LENGTH:], type=Answer)
        if answer.excess:
            raise Invalid(f"renders to more than {self._limits.output >> 20} MiB and was stopped", operation="render", target=request.path)
        return answer

    def warm(self) -> None:
        """Start a process now, on a thread of its own, so that the first rendering does not wait for it."""

        def start() -> None:
            # Whoever renders next gets the same error, and can say what it was for.
            with contextlib.suppress(Unavailable, TimedOut, ValueError), self._process(time.monotonic() + 30, None, ""):
                pass

        threading.Thread(target=start, name="tiphys-warm-helm", daemon=True).start()

    def close(self) -> None:
        """End all processes; what renders now fails."""
        with self._free:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = tuple(self._busy)
            self._free.notify_all()
        for _, child in idle:
            child.close()
        for child in busy:
            child.kill()

    def _asked(self, data: bytes, deadline: float, cancel: Cancel | None, target: str) -> Exchange:
        with self._process(deadline, cancel, target) as child:
            exchange = child.exchange(data, complete=_whole, deadline=deadline, cancel=cancel)
            if exchange.code is None and msgspec.msgpack.decode(exchange.out[LENGTH:], type=_Leaving).leaving:
                child.kill()
            return exchange

    @contextlib.contextmanager
    def _process(self, deadline: float, cancel: Cancel | None, target: str) -> Iterator[Child]:
        child = self._take(deadline, cancel, target)
        child.target = target
        try:
            yield child
        except BaseException:
            child.kill()
            raise
        finally:
            self._give(child)

    def _take(self, deadline: float, cancel: Cancel | None, target: str) -> Child:
        with (cancel or Cancel()).on_cancel(self._wake), self._free:
            while True:
                if cancel is not None:
                    cancel.check()
                if self._closed:
                    raise ValueError("this renderer was closed")
                while self._idle:
                    _, child = self._idle.pop()
                    if child.alive:
                        self._busy.add(child)
                        return child
                    child.close()
                    self._made -= 1
                if self._made < self._most:
                    self._made += 1
                    break
                if not self._free.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise TimedOut("waited for other renderings until the time was over", operation="render", target=target)
        try:
            return self._start(deadline, cancel)
        except BaseException:
            with self._free:
                self._made -= 1
                self._free.notify_all()  # renderings and the reaper wait on the same condition
            raise

    def _start(self, deadline: float, cancel: Cancel | None) -> Child:
        argv = [sys.executable, "-I", "-B", helm_process.__file__]
        child = Child(argv, cwd=self._private, env=environment(self._private), limits=self._limits, target="the Helm SDK")
        try:
            exchange = child.exchange(complete=_whole, deadline=deadline, cancel=cancel)
            if exchange.code is not None:
                raise Unavailable(
                    f"the Helm SDK does not start: {crash(exchange, self._limits)}",
                    hint="install a helm program, or `pip install --force-reinstall 'tiphys[helm]'`",
                )
        except BaseException:
            child.close()
            raise
        with self._free:
            self._hello = msgspec.msgpack.decode(exchange.out[LENGTH:], type=Hello)
            self._busy.add(child)
        return child

    def _give(self, child: Child) -> None:
        with self._free:
            self._busy.discard(child)
            keep = child.alive and not self._closed
            if keep:
                self._idle.append((time.monotonic(), child))
                if self._reaper is None:
                    self._reaper = threading.Thread(target=self._reap, name="tiphys-idle-helm", daemon=True)
                    self._reaper.start()
            else:
                self._made -= 1
            self._free.notify_all()  # renderings and the reaper wait on the same condition
        if not keep:
            child.close()

    def _reap(self) -> None:
        while True:
            with self._free:
                if self._closed or not self._made:
                    self._reaper = None
                    return
                since = min((since for since, _ in self._idle), default=time.monotonic())
                self._free.wait(max(0.01, since + self._idle_for - time.monotonic()))
                old = [child for since, child in self._idle if time.monotonic() - since >= self._idle_for]
                self._idle = [(since, child) for since, child in self._idle if child not in old]
                self._made -= len(old)
            for child in old:
                child.close()

    def _wake(self) -> None:
        with self._free:
            self._free.notify_all()


def _whole(out: bytearray) -> bool:
    return len(out) >= LENGTH and len(out) >= LENGTH + int.from_bytes(out[:LENGTH], "big")


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(f"{name} is not UTF-8", operation="render") from None


def _short(version: str) -> str:
    found = _VERSION.match(version)
    return found[1] if found else clean(version, limit=20)
