"""An Argo CD over HTTP on loopback that fails on cue: killed and restarted, cut in the middle, silent, losing bytes, refusing.

It speaks the few calls that feeds make, with the habits of the real one (a burst in order, subscription after it, no headers for an empty
selection, keep-alives). Not the sandbox: that one behaves; this one misbehaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from aiohttp import web

from backends.argocd.types import Application
from backends.domain.ids import AppKey
from backends.live import selector as selectors
from tests.live.samples import projected


class Scripted:
    """One server; `change` and `delete` move the truth, the other verbs are faults."""

    def __init__(self, *applications: Application, keepalive: float = 0.1) -> None:
        self.truth: dict[AppKey, Application] = {one.key: one for one in applications}
        self.version = max((int(one.metadata.resource_version) for one in applications), default=0)
        self.keepalive: float | None = keepalive
        self.answer: int | None = None
        """An HTTP status that every call is refused with."""
        self.losing = False
        """A proxy on the way drops bytes out of the middle of messages."""
        self.port = 0
        self.requests: list[str] = []
        self._queues: dict[asyncio.Queue[bytes | None], selectors.Matches] = {}
        self._transports: set[asyncio.Transport] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Scripted:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Listen: on a free port the first time, on the same one ever after."""
        app = web.Application()
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/v1/applications", self._list)
        app.router.add_get("/api/v1/applications/{name}", self._get)
        app.router.add_get("/api/v1/stream/applications", self._stream)
        self._runner = web.AppRunner(app, shutdown_timeout=0.0, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def kill(self) -> None:
        """Nobody listens any more, and every connection is reset in the middle of what it says."""
        for transport in tuple(self._transports):
            transport.abort()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def end(self) -> None:
        """Every stream ends without a word."""
        self._tell(None, everybody=True)

    def half_a_line(self) -> None:
        """Every stream ends in the middle of a message."""
        self._tell(b'data: {"result":{"type":"MODIFIED","application":{"metadata":{"na', everybody=True)
        self.end()

    def change(self, application: Application) -> Application:
        self.version += 1
        kind = "MODIFIED" if application.key in self.truth else "ADDED"
        metadata = msgspec.structs.replace(application.metadata, resource_version=str(self.version))
        application = msgspec.structs.replace(application, metadata=metadata)
        self.truth[application.key] = application
        self._tell(_message(kind, application), application=application)
        return application

    def delete(self, key: AppKey) -> None:
        self.version += 1
        last = self.truth.pop(key)
        self._tell(_message("DELETED", last), application=last)

    def _tell(self, data: bytes | None, *, application: Application | None = None, everybody: bool = False) -> None:
        for queue, matches in self._queues.items():
            if everybody or (application is not None and matches(application.metadata.labels or {})):
                queue.put_nowait(data)

    def _begin(self, request: web.Request) -> None:
        self.requests.append(request.path)
        if isinstance(request.transport, asyncio.Transport):
            self._transports.add(request.transport)
        if self.answer is not None:
            raise {401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 429: web.HTTPTooManyRequests, 503: web.HTTPServiceUnavailable}[
                self.answer
            ]()

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"Version": "v3.6.0"})

    async def _list(self, request: web.Request) -> web.Response:
        self._begin(request)
        matches = selectors.parse(request.query.get("selector", ""))
        full = "fields" not in request.query
        found = [self.truth[key] for key in sorted(self.truth) if matches(self.truth[key].metadata.labels or {})]
        items = [one if full else msgspec.structs.replace(projected(one), partial=False) for one in found]
        return web.Response(body=msgspec.json.encode({"metadata": {}, "items": items}), content_type="application/json")

    async def _get(self, request: web.Request) -> web.Response:
        self._begin(request)
        found = self.truth.get(AppKey(request.query.get("appNamespace", "argocd"), request.match_info["name"]))
        if found is None:
            return web.json_response({"error": "not found", "code": 5, "message": "not found"}, status=404)
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self._begin(request)
        matches = selectors.parse(request.query.get("selector", ""))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        burst = [self.truth[key] for key in sorted(self.truth) if matches(self.truth[key].metadata.labels or {})]
        self._queues[queue] = matches
        try:
            if not burst:  # headers are withheld until there is something to say
                queue.put_nowait(await queue.get())
            await response.prepare(request)
            for application in burst:
                await response.write(_message("ADDED", application))
            await self._talk(response, queue)
        finally:
            del self._queues[queue]
        return response

    async def _talk(self, response: web.StreamResponse, queue: asyncio.Queue[bytes | None]) -> None:
        while True:
            data: bytes | None = b":\n"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.keepalive):
                    data = await queue.get()
            if data is None:
                return
            await response.write(data[: len(data) // 3] + data[len(data) // 2 :] if self.losing and len(data) > 10 else data)


def _message(kind: str, application: Application) -> bytes:
    body: dict[str, Any] = {"result": {"type": kind, "application": application}}
    return b"data: " + msgspec.json.encode(body) + b" \n\n\n"
