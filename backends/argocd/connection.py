"""HTTP to one Argo CD: a call goes out with who we are, its answer comes back as checked bytes or as one `BackendError`.

What is decided here: timeouts, one renewal of a refused token, no redirect but that from http to https at the same place, one more try for
a read whose kept connection had died, what may stand in a log. Not for what Argo CD's calls are (`http`) nor what bytes mean.
httpx is imported when the first call is made: it costs more than everything else together.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from backends.argocd import broken, failures
from backends.argocd.auth import Login, parse_token
from backends.argocd.decoding import decode
from backends.argocd.endpoint import Endpoint, parse_url, tls_context
from backends.argocd.failures import Asked
from backends.argocd.proxy import is_loopback
from backends.argocd.session import Session
from backends.errors import BackendError, ProtocolError, Refused, TimedOut
from backends.secret import Secret

if TYPE_CHECKING:
    import httpx

LARGEST = 512 * 1024 * 1024
"""Bytes of one answer that is read whole; an unprojected list of 6,000 Applications was 187 MB."""
_LARGEST_REFUSAL = 64 * 1024
_EVENT_STREAM = "text/event-stream"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call: what it is for (operation and target of its errors), and its request.

    Args:
        path: below the base URL, its parts quoted (`segment`).
        query: in order; a repeated parameter is a repeated key.
        body: sent as JSON.
        stream: asked for as an event stream: no limit on the first byte, nor on silence unless `read` sets one.
        read: seconds of silence allowed; None: the endpoint's own for answers, no limit for streams.
        anonymous: without a token.
    """

    operation: str
    target: str = ""
    method: str = "GET"
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    stream: bool = False
    read: float | None = None
    anonymous: bool = False


class _Token(msgspec.Struct):
    token: str = ""


def segment(text: str) -> str:
    """One part of a path; a slash or a colon in it stays part of it."""
    return quote(text, safe="")


class Connection:
    """The connections of one endpoint; to be used on one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.session = Session(endpoint.token, self._login)
        self.url = endpoint.url
        self._client: httpx.AsyncClient | None = None
        self._clients: list[httpx.AsyncClient] = []

    async def close(self) -> None:
        """Close every connection; what is under way ends."""
        clients, self._clients, self._client = self._clients, [], None
        for client in clients:
            await client.aclose()

    async def request(self, call: Call) -> bytes:
        """The whole answer of a call. Raises `BackendError`."""
        async with self.open(call) as chunks:
            parts: list[bytes] = []
            size = 0
            async for chunk in chunks:
                parts.append(chunk)
                size += len(chunk)
                if size > LARGEST:
                    self._fail(call, ProtocolError(f"the answer is larger than {LARGEST // 2**20} MB", hint="name a project or a selector"))
        return b"".join(parts)

    @contextlib.asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        """The answer of a call as it arrives, its status and kind checked; leaving closes it. Raises `BackendError`."""
        response = await self._accepted(call)
        try:
            async with contextlib.aclosing(self._chunks(response, call)) as chunks:
                yield chunks
        finally:
            await response.aclose()

    def asked(self) -> Asked:
        """What the sentence of a failure has to know of us."""
        return Asked(who=self.session.who(), secrets=(*self.session.secrets, *self.endpoint.secrets))

    async def _accepted(self, call: Call) -> httpx.Response:
        if self.endpoint.readonly and not call.anonymous and (call.method != "GET" or any(name == "refresh" for name, _ in call.query)):
            self._fail(call, Refused("read-only: nothing is asked of Argo CD that changes something"))
        """The answer of a call once it is one: a JSON success."""
        token = None if call.anonymous else await self._placed(call, self.session.token())
        response = await self._send(call, token)
        try:
            if response.status_code == 401 and not call.anonymous and (fresh := await self._renewed(call, token)):
                await response.aclose()
                response = await self._send(call, fresh)
            if response.has_redirect_location and self._upgraded(response, call):
                await response.aclose()
                response = await self._send(call, token)
            renewal = response.headers.get("grpc-metadata-renew-token")
            if renewal and not call.anonymous:
                self.session.adopt(renewal)
            if not 200 <= response.status_code < 300 or not _is_json(response):
                self._fail(call, await self._refusal(response, call))
        except BaseException:  # cancelled, too: nobody else will close it
            await response.aclose()
            raise
        return response

    async def _renewed(self, call: Call, refused: Secret | None) -> Secret | None:
        """Another token after a 401; when none can be had for a reason of its own, the server's answer stands."""
        try:
            return await self.session.renewed(refused)
        except BackendError as error:
            if isinstance(self.endpoint.token, Login):
                self._fail(call, error)
            return None

    async def _refusal(self, response: httpx.Response, call: Call) -> BackendError:
        """The error of an answer that is no JSON success. Not raised here, where variables hold what may quote the request."""
        asked = self.asked()
        location = response.headers.get("location", "")
        body = b""
        try:
            async with contextlib.aclosing(self._chunks(response, call)) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > _LARGEST_REFUSAL:
                        break
        except BackendError:  # the refusal itself says more than that its text was cut off
            if response.status_code < 300:
                raise
        if response.has_redirect_location:
            return failures.redirected(response.status_code, str(response.url), urljoin(str(response.url), location))
        if 200 <= response.status_code < 300:
            return failures.not_json(response.headers, body, asked)
        return failures.from_answer(response.status_code, response.headers, body, asked)

    async def _send(self, call: Call, token: Secret | None) -> httpx.Response:
        _load_httpx()
        import httpx

        again = call.method == "GET"
        while True:
            client = self._open_client()
            request = client.build_request(call.method, self._address(call), content=_body(call), headers=self._headers(call, token))
            limit = None if call.stream else self.endpoint.timeouts.first_byte
            try:
                async with asyncio.timeout(limit):
                    return await client.send(request, stream=True)
            except TimeoutError:
                self._fail(call, TimedOut(f"no answer within {limit:g} s", hint="the server is busy or a proxy holds it back; try again"))
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                if not again:
                    self._fail(call, self._transport(error))
                again = False  # a connection kept from before may have died unnoticed
            except httpx.HTTPError as error:
                self._fail(call, self._transport(error))
            except httpx.InvalidURL as error:
                self._fail(call, self._transport(error))

    async def _chunks(self, response: httpx.Response, call: Call) -> AsyncGenerator[bytes, None]:
        import httpx

        loop = asyncio.get_running_loop()
        timeouts = self.endpoint.timeouts
        silence = call.read if call.read is not None or call.stream else timeouts.read
        end = None if call.stream else loop.time() + timeouts.total
        got = 0
        async with contextlib.aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_bytes())) as pieces:
            while True:
                try:
                    async with asyncio.timeout_at(_sooner(loop.time(), silence, end)):
                        chunk = await anext(pieces, b"")
                except TimeoutError:
                    ended = end is not None and loop.time() >= end
                    what = f"the answer was not whole within {timeouts.total:g} s" if ended else f"nothing came for {silence:g} s"
                    self._fail(call, TimedOut(f"{what} (after {got:,} bytes)", hint="the line or the server is slow; try again"))
                except httpx.HTTPError as error:
                    self._fail(call, self._transport(error))
                if not chunk:
                    return
                got += len(chunk)
                yield chunk

    def _address(self, call: Call) -> str:
        query = urlencode(call.query, quote_via=quote, safe="")
        return f"{self.url}{call.path}{f'?{query}' if query else ''}"

    def _headers(self, call: Call, token: Secret | None) -> dict[str, str]:
        headers = {name: value.reveal() for name, value in self.endpoint.headers}
        plain = call.stream or is_loopback(urlsplit(self.url).hostname or "")  # gzip of a list costs a loopback server 0.2 s
        headers["Accept"] = _EVENT_STREAM if call.stream else "application/json"
        headers["Accept-Encoding"] = "identity" if plain else "gzip"
        headers["User-Agent"] = "tiphys"
        if call.method != "GET":
            headers["Content-Type"] = "application/json"  # exactly this, on a DELETE without a body too: else 415
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        return headers

    def _upgraded(self, response: httpx.Response, call: Call) -> bool:
        """Whether the redirect says no more than "the same with TLS"; then all calls go there from now on."""
        target = urljoin(str(response.url), response.headers.get("location", ""))
        here, there = urlsplit(str(response.url)), urlsplit(target)
        same = (here.hostname, here.path, here.query) == (there.hostname, there.path, there.query)
        if call.method != "GET" or not same or "@" in there.netloc or (here.scheme, there.scheme) != ("http", "https"):
            return False
        ports = here.port or 80, there.port or 443
        if ports != (80, 443) and ports[0] != ports[1]:  # another port may be another's
            return False
        if self.url.startswith("http:"):  # else another call has learnt it meanwhile
            self.url = parse_url(f"https://{there.netloc}{urlsplit(self.url).path}")
            self._client = None
        return True

    async def _login(self, login: Login) -> Secret:
        body = {"username": login.username, "password": login.password}
        call = Call(operation="log in", target=self.url, method="POST", path="/api/v1/session", body=body, anonymous=True)
        return parse_token(decode(await self.request(call), _Token).token, "the answer to the login")

    async def _placed(self, call: Call, waiting: Any) -> Any:
        try:
            return await waiting
        except BackendError as error:
            self._fail(call, error)

    def _transport(self, error: Exception) -> BackendError:
        return broken.from_transport(error, url=self.url, proxy=self.endpoint.proxy)

    def _fail(self, call: Call, error: BackendError) -> NoReturn:
        error.operation = error.operation or call.operation
        error.target = error.target or call.target
        error.mask(self.asked().secrets)
        raise error from None

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = _client(self.endpoint, tls=self.url.startswith("https:"))
            self._clients.append(self._client)
        return self._client


def _client(endpoint: Endpoint, *, tls: bool) -> httpx.AsyncClient:
    import ssl
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    _silence_traces()
    context = tls_context(endpoint) if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proxy = None
    if endpoint.proxy:
        by = endpoint.proxy.reveal()
        proxy = httpx.Proxy(by, ssl_context=tls_context(endpoint) if by.startswith("https:") else None)
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(
            verify=context,
            proxy=proxy,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30),
        ),
        timeout=httpx.Timeout(None, connect=endpoint.timeouts.connect, write=endpoint.timeouts.read),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # the server sets the token as a cookie: one way to send it is enough
        trust_env=False,
        follow_redirects=False,
    )


def _load_httpx() -> None:
    """Import httpx without its command line, as where click is not installed: with click it costs twice the time and 6 MB more."""
    if "httpx" not in sys.modules:
        modules = cast("dict[str, Any]", sys.modules)
        modules["httpx._main"] = None
        try:
            import httpx  # noqa: F401
        finally:
            modules.pop("httpx._main")


class _NoTraces(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG


_NO_TRACES = _NoTraces()


def _silence_traces() -> None:
    """httpcore's debug lines print the headers of answers, a renewed token among them."""
    for part in ("connection", "http11", "http2", "proxy", "socks"):
        logging.getLogger(f"httpcore.{part}").addFilter(_NO_TRACES)


def _is_json(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("application/json", _EVENT_STREAM)


def _body(call: Call) -> bytes | None:
    if call.body is not None:
        return msgspec.json.encode(call.body, enc_hook=_revealed)
    return None if call.method == "GET" else b"{}" if call.method != "DELETE" else None


def _revealed(value: Any) -> str:
    """A secret in a body (the password of a login) stays one until it is sent."""
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"no JSON for {type(value).__name__}")


def _sooner(now: float, silence: float | None, end: float | None) -> float | None:
    limits = [limit for limit in (None if silence is None else now + silence, end) if limit is not None]
    return min(limits, default=None)
