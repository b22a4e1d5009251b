"""A server of raw bytes on loopback: it answers whatever a test makes of a request, broken answers included."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from backends.argocd.auth import FixedToken
from backends.argocd.endpoint import Endpoint, Timeouts
from backends.argocd.http import HttpArgoCD, connect
from backends.secret import Secret

TOKEN = "canary-token.never-shown.0123456789"
QUICK = Timeouts(connect=5, first_byte=5, read=5, total=10)


@dataclass
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Wire:
    """A running server: where it is and what it was asked."""

    url: str
    port: int
    requests: list[Request] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed a connection."""


@contextlib.asynccontextmanager
async def serving(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """Serve connections, one request after the other, until the context is left."""
    wire = Wire("", 0)
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while (request := await read_request(reader)) is not None:
                wire.requests.append(request)
                serve = asyncio.ensure_future(handler(request, writer))
                gone = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({serve, gone}, return_when=asyncio.FIRST_COMPLETED)
                answered = serve.done()
                serve.cancel()
                gone.cancel()
                result, rest = await asyncio.gather(serve, gone, return_exceptions=True)
                if not answered or result is not None or isinstance(rest, bytes) or writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            wire.closed.set()
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    wire.port = server.sockets[0].getsockname()[1]
    wire.url = f"{'https' if tls else 'http'}://127.0.0.1:{wire.port}"
    try:
        yield wire
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


def head(status: int = 200, reason: str = "OK", **headers: str) -> bytes:
    """A status line and headers; `content_type="…"` becomes Content-Type."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answering(body: bytes | str | dict[str, Any], status: int = 200, content_type: str = "application/json", **headers: str) -> Handler:
    """Always the same whole answer."""
    data = msgspec.json.encode(body) if isinstance(body, dict) else body.encode() if isinstance(body, str) else body

    async def handler(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, "-", content_type=content_type, content_length=str(len(data)), **headers) + data)
        await writer.drain()

    return handler


def raw(*pieces: bytes, close: bool = True) -> Handler:
    """These bytes one after the other, then the end of the connection."""

    async def handler(_request: Request, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.close()

    return handler


def stream_head() -> bytes:
    """The head of an event stream that ends with its connection."""
    return head(content_type="text/event-stream", connection="close")


@contextlib.asynccontextmanager
async def client(url: str, *, token: str = TOKEN, timeouts: Timeouts = QUICK, **options: Any) -> AsyncIterator[HttpArgoCD]:
    """A client of `url` with the canary token, closed at the end."""
    source = FixedToken(Secret(token), "the test") if token else None
    argocd = connect(Endpoint(url=url, token=options.pop("source", source), timeouts=timeouts, **options))
    try:
        yield argocd
    finally:
        await argocd.close()
