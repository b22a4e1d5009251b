"""The sandbox on a loopback port: HTTP in, `argocd_api` behind, HTTP out. The only place that knows the web server.

Answers are compressed where the client offers gzip and did not ask for an event stream, as Argo CD does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.engine import in_thread
from backends.sandbox.access import Unauthenticated
from backends.sandbox.argocd_api import handle, token_of
from backends.sandbox.calls import EVENTS, Answer, ApiError, Call, Query, error_answer, plain
from backends.sandbox.faults import Fault, Faults, StreamSwitch, administer, whole_answer
from backends.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from aiohttp import web

_LARGE = 256 * 1024


class Server:
    """Serves one sandbox on 127.0.0.1.

    Args:
        prefix: the path below which the API lives ("/argo"), as behind a proxy; "" for none.
    """

    def __init__(self, sandbox: Sandbox, *, port: int = 0, prefix: str = "") -> None:
        self.sandbox = sandbox
        self.faults = Faults()
        self._port = port
        self._prefix = prefix.rstrip("/")
        self._runner: web.ServerRunner | None = None

    async def start(self) -> str:
        """Listen; gives the base URL."""
        from aiohttp import web

        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}{self._prefix}"

    async def close(self) -> None:
        for stream in list(self.faults.streams):
            stream.end.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if self._prefix and not path.startswith(f"{self._prefix}/"):
            return await _whole(request, plain(404, "Not Found"))
        path = path.removeprefix(self._prefix)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if path.startswith("/sandbox/"):
            return await _whole(request, await self._administer(request, path, headers))
        fault = self.faults.take(path) if self.sandbox.options.faults else None
        if fault is not None and (replaced := await self._break(request, fault)) is not None:
            return replaced
        wire = _Wire(request, self.faults, fault)
        call = Call(
            self.sandbox,
            None,
            {},
            Query(list(request.rel_url.query.items())),
            await request.read() if request.can_read_body else b"",
            headers.get("accept", ""),
            wire,
        )
        async with wire:
            answered = await _until(handle(request.method, path, headers, call), wire.switch.end)
        if answered is not None and not wire.begun:
            return await _whole(request, answered, fault=fault)
        return await wire.end()

    async def _administer(self, request: web.BaseRequest, path: str, headers: dict[str, str]) -> Answer:
        access = self.sandbox.access
        try:
            if not access.may(access.check(token_of(headers)), "accounts", "update", "admin"):
                raise ApiError(7, "permission denied")
            return await administer(self.sandbox, self.faults, request.method, path, await request.read())
        except Unauthenticated as error:
            return error_answer(ApiError(16, str(error)))
        except ApiError as error:
            return error_answer(error)
        except ValueError as error:  # a body that is no JSON, or not that of a switch
            return error_answer(ApiError(3, str(error)))

    async def _break(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse | None:
        if fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
            return None
        if fault.kind == "drop":
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError
        replaced = whole_answer(fault)
        return None if replaced is None else await _whole(request, replaced)


class _Wire:
    """One answer that is written bit by bit; obeys the faults that were set for it."""

    def __init__(self, request: web.BaseRequest, faults: Faults, fault: Fault | None) -> None:
        self._request = request
        self._faults = faults
        self._response: web.StreamResponse | None = None
        self._packer: zlib._Compress | None = None
        self.switch = StreamSwitch()
        if fault is not None and fault.kind == "cut":
            self.switch.left = fault.bytes
        if fault is not None and fault.kind == "drip":
            self.switch.rate = fault.bytes

    async def __aenter__(self) -> _Wire:
        if "/stream/" in self._request.path:  # one that has not begun can be ended, too
            self._faults.streams.add(self.switch)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._faults.streams.discard(self.switch)

    @property
    def begun(self) -> bool:
        return self._response is not None

    async def begin(self, kind: str, headers: Mapping[str, str]) -> None:
        from aiohttp import web

        sent = {**headers, "Content-Type": kind, "Vary": "Accept-Encoding"}
        if kind != EVENTS and "gzip" in self._request.headers.get("Accept-Encoding", ""):
            sent["Content-Encoding"] = "gzip"
            self._packer = zlib.compressobj(1, wbits=31)
        self._response = web.StreamResponse(headers=sent)
        self._faults.streams.add(self.switch)
        await self._response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        if self._response is None or self.switch.silent:
            return
        if self._packer is not None:
            data = self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        left = self.switch.left
        if left is not None:
            self.switch.left = max(0, left - len(data))
            if len(data) >= left:
                await self._response.write(data[:left])
                self.switch.end.set()
                self._abort()
                return
        if self.switch.rate:
            for start in range(0, len(data), self.switch.rate):
                await self._response.write(data[start : start + self.switch.rate])
                await asyncio.sleep(1.0)
            return
        await self._response.write(data)

    async def end(self) -> web.StreamResponse:
        """Finish properly; a stream that never began has no headers either."""
        from aiohttp import web

        if self._response is None:
            self._response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await self._response.prepare(self._request)
        if self.switch.left != 0:
            with contextlib.suppress(ConnectionError):
                await self._response.write_eof(self._packer.flush() if self._packer is not None else b"")
        return self._response

    def _abort(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.close()


async def _until(work: Any, end: asyncio.Event) -> Answer | None:
    """Run a handler until it is done or its stream is ended from outside."""
    task = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(end.wait())
    try:
        await asyncio.wait((task, ending), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task
            return None
        result: Answer | None = task.result()
    except ConnectionError:  # the reader went away: nobody is left to be told
        return None
    else:
        return result
    finally:
        ending.cancel()
        task.cancel()
        await asyncio.gather(task, ending, return_exceptions=True)  # a reader that went away leaves no word behind


async def _whole(request: web.BaseRequest, answered: Answer, *, fault: Fault | None = None) -> web.StreamResponse:
    from aiohttp import web

    headers, body = {**answered.headers, "Content-Type": answered.kind}, answered.body
    wants = "gzip" in request.headers.get("Accept-Encoding", "") and request.headers.get("Accept") != EVENTS
    if answered.status != 415:  # content types are looked at before compression comes in
        headers["Vary"] = "Accept-Encoding"
    if wants and answered.status != 415:
        headers["Content-Encoding"] = "gzip"
        body = await in_thread(gzip.compress, body, 1, mtime=0) if len(body) > _LARGE else gzip.compress(body, 1, mtime=0)
    if fault is not None and fault.kind in ("truncate", "drip", "cut"):
        return await _badly(request, answered.status, headers, body, fault)
    if len(body) <= _LARGE:
        return web.Response(status=answered.status, headers=headers, body=body)
    response = web.StreamResponse(status=answered.status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    for start in range(0, len(body), _LARGE):  # so that a big list lets streams through
        await response.write(body[start : start + _LARGE])
    await response.write_eof()
    return response


async def _badly(request: web.BaseRequest, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> web.StreamResponse:
    """Break an answer off in the middle, or write it drop by drop."""
    from aiohttp import web

    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    if fault.kind == "drip":
        for start in range(0, len(body), max(1, fault.bytes)):
            await response.write(body[start : start + max(1, fault.bytes)])
            await asyncio.sleep(1.0)
        await response.write_eof()
        return response
    await response.write(body[: min(fault.bytes, max(0, len(body) - 1))])
    if request.transport is not None:
        request.transport.close()
    return response
