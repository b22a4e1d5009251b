"""Streams of the API: Applications, trees, logs; their bursts, projections, keep-alives and silences.

The wire is Argo CD's (argoproj/pkg grpc/http): SSE when `Accept` is exactly `text/event-stream`, else one JSON object a line; headers are
withheld until the first message; a message that equals the last one of the same Application name is not sent again; nothing is replayed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from backends.sandbox.applications import NAMESPACE, Shown
from backends.sandbox.applications_api import permitted, visible
from backends.sandbox.calls import EVENTS, JSON, Answer, ApiError, Call, error_answer
from backends.sandbox.projection import Fields
from backends.sandbox.selectors import SelectorError, parse

KEEP_ALIVE = 15.0
BUFFER = 1_000
"""Events that wait for a slow reader; what comes beyond is dropped without a word, as in Argo CD."""
_CHUNK = 64 * 1024
_HEADERS = {"Grpc-Metadata-Content-Type": "application/grpc"}


class Messages:
    """Writes the messages of one stream in one of the two formats."""

    def __init__(self, call: Call) -> None:
        self._wire = call.wire
        self._sse = call.accept == EVENTS
        self._clock = call.sandbox.world.clock
        self._keep: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def send(self, messages: list[bytes]) -> None:
        """Write messages in as few pieces as they fit in; the first one opens the answer."""
        if not messages:
            return
        if not self._wire.begun:
            headers = _HEADERS | ({"X-Content-Type-Options": "nosniff"} if self._sse else {})
            await self._wire.begin(EVENTS if self._sse else JSON, headers)
            if self._sse:
                self._keep = asyncio.get_running_loop().create_task(self._keep_alive())
        data, size = [], 0
        for message in messages:
            data.append(b"data: %s \n\n\n" % message if self._sse else message + b"\n")
            size += len(message)
            if size > _CHUNK:
                await self._write(b"".join(data))
                data, size = [], 0
        if data:
            await self._write(b"".join(data))

    async def close(self) -> None:
        if self._keep is not None:
            self._keep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keep

    async def _write(self, data: bytes) -> None:
        async with self._lock:
            await self._wire.write(data)

    async def _keep_alive(self) -> None:
        while True:
            await self._clock.sleep(KEEP_ALIVE)
            await self._write(b":\n")


async def applications(call: Call) -> Answer | None:
    """GET /api/v1/stream/applications."""
    name, version = call.query.get("name"), call.query.number("resourceVersion") or 0
    try:
        wants = _filter(call, parse(call.query.get("selector")), name, version)
        burst = [] if call.query.get("resourceVersion") and not name else visible(call, prefix="error parsing labels with selectors: ")
    except SelectorError as error:
        return error_answer(ApiError(2, f"error parsing labels with selectors: {error}"), stream=True)
    except ApiError as error:
        return error_answer(error, stream=error.code != 16)
    fields = Fields.of(call.query.get("fields"))
    seen: dict[str, int] = {}
    messages, waiting, more = Messages(call), deque[tuple[str, Shown]](), asyncio.Event()

    def encoded(events: list[tuple[str, Shown]]) -> list[bytes]:
        out = []
        for kind, shown in events:
            if wants(shown):
                data = shown.event(kind, fields)
                mark = hash(data)
                if seen.get(shown.name) != mark:
                    seen[shown.name] = mark
                    out.append(data)
        return out

    def heard(kind: str, shown: Shown) -> None:
        if len(waiting) < call.sandbox.options.watch_buffer:
            waiting.append((kind, shown))
            more.set()

    try:
        for start in range(0, len(burst), 200):
            await messages.send(encoded([("ADDED", one) for one in burst[start : start + 200]]))
            await asyncio.sleep(0)
        stop = call.sandbox.applications.listen(heard)
        try:
            while True:
                await more.wait()
                more.clear()
                while waiting:
                    batch = [waiting.popleft() for _ in range(min(len(waiting), 200))]
                    await messages.send(encoded(batch))
                    await asyncio.sleep(0)
        finally:
            stop()
    finally:
        await messages.close()


async def tree(call: Call) -> Answer | None:
    """GET /api/v1/stream/applications/{name}/resource-tree: nothing at first, then the whole tree with every change."""
    try:
        shown = permitted(call, "get", project=call.query.get("project"))
    except ApiError as error:
        return error_answer(error, stream=True)
    fields, messages, trees, more = Fields.of(call.query.get("fields")), Messages(call), deque[Any](maxlen=BUFFER), asyncio.Event()

    def heard(value: Any) -> None:
        trees.append(value)
        more.set()

    stop = call.sandbox.applications.listen_tree(shown.name, heard)
    try:
        while True:
            await more.wait()
            more.clear()
            while trees:
                await messages.send([fields.encode({"result": trees.popleft()})])
    finally:
        stop()
        await messages.close()


async def lines(call: Call, entries: AsyncIterator[dict[str, Any]]) -> None:
    """Log entries as they come."""
    fields, messages = Fields.of(call.query.get("fields")), Messages(call)
    try:
        async for entry in entries:
            await messages.send([fields.encode({"result": entry})])
    finally:
        await messages.close()


def _filter(call: Call, selector: Callable[[dict[str, str]], bool], name: str, version: int) -> Callable[[Shown], bool]:
    """Which events one subscriber gets; looked at for every event, with the rights of when it began."""
    projects, access, who = set(call.query.all("projects", "project")), call.sandbox.access, call.who
    namespace = call.query.get("appNamespace") or NAMESPACE
    everything = access.may(who, "applications", "get", "*/*")

    def wants(shown: Shown) -> bool:
        return (
            (not name or (shown.name == name and namespace == NAMESPACE))
            and (not projects or shown.project in projects)
            and shown.version >= version
            and selector(shown.labels)
            and (everything or access.may(who, "applications", "get", f"{shown.project}/{shown.name}"))
        )

    return wants
