"""The one call of `get applications`, without httpx and asyncio: a list over a plain connection, or nothing.

Importing httpx with its machinery costs a process 60 to 190 ms and 10 to 16 MB, more than a list of 1,000 Applications itself, so the
command that only lists asks here first. Only the plain case is served: a direct connection, a token at hand, a JSON success. Whatever is
else (`NotPlain`) is asked again by `http.HttpArgoCD`, which knows renewals, proxies and redirects and names what is wrong.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from backends.argocd.auth import Login
from backends.argocd.decoding import decode
from backends.argocd.endpoint import Endpoint, tls_context
from backends.argocd.listing import ApplicationListing
from backends.argocd.projection import list_fields, list_query, parse_version
from backends.argocd.proxy import is_loopback
from backends.argocd.types import Application, ServerVersion
from backends.errors import BackendError

if TYPE_CHECKING:
    import http.client

_CHUNK = 64 * 1024
LARGEST = 512 * 1024 * 1024
"""Bytes of one answer, as of any other (`connection`)."""


class NotPlain(Exception):
    """This list needs the whole client; nothing was changed by trying."""


def list_applications(
    endpoint: Endpoint, *, selector: str = "", projects: Sequence[str] = (), name: str = ""
) -> Iterator[list[Application]]:
    """The rows of a projected list, in batches while they arrive. Blocks. Raises `NotPlain`, also after some batches, and `Invalid` for certificates."""
    if endpoint.proxy or isinstance(endpoint.token, Login):
        raise NotPlain
    import http.client

    connection, total = _connection(endpoint), endpoint.timeouts.total
    try:
        version = decode(b"".join(_body(_answer(connection, endpoint, "/api/version"), total)), ServerVersion)
        query = list_query(list_fields(parse_version(version.version)), selector=selector, projects=projects, name=name)
        path = f"/api/v1/applications?{urlencode(query, quote_via=quote, safe='')}"
        listing = ApplicationListing(partial=True)
        for chunk in _body(_answer(connection, endpoint, path), total):
            if batch := listing.feed(chunk):
                yield batch
        if batch := listing.finish():
            yield batch
    except (OSError, http.client.HTTPException, zlib.error, BackendError) as error:
        raise NotPlain(type(error).__name__) from None  # its frames hold the headers
    finally:
        connection.close()


def _connection(endpoint: Endpoint) -> http.client.HTTPConnection:
    import http.client

    parts, connect = urlsplit(endpoint.url), endpoint.timeouts.connect
    options: dict[str, Any] = {"timeout": connect}
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, context=tls_context(endpoint), **options)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, **options)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {name: value.reveal() for name, value in endpoint.headers}
    headers["Accept"] = "application/json"
    headers["Accept-Encoding"] = "identity" if is_loopback(urlsplit(endpoint.url).hostname or "") else "gzip"
    headers["User-Agent"] = "tiphys"
    if endpoint.token is not None:
        headers["Authorization"] = f"Bearer {endpoint.token.read().reveal()}"
    return headers


def _answer(connection: http.client.HTTPConnection, endpoint: Endpoint, path: str) -> http.client.HTTPResponse:
    connection.request("GET", f"{urlsplit(endpoint.url).path}{path}", headers=_headers(endpoint))
    if connection.sock is not None:
        connection.sock.settimeout(endpoint.timeouts.first_byte)
    response = connection.getresponse()
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status != 200 or kind != "application/json":
        raise NotPlain
    return response


def _body(response: http.client.HTTPResponse, total: float) -> Iterator[bytes]:
    packed = response.headers.get("content-encoding", "identity")
    if packed not in ("identity", "gzip"):
        raise NotPlain
    end, size = time.monotonic() + total, 0
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if packed == "gzip" else None
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        if size > LARGEST or time.monotonic() > end:
            raise NotPlain
        yield unpack.decompress(chunk) if unpack else chunk
    response.close()  # the connection can take the next request; an end that came too early shows in the JSON
    if unpack and not unpack.eof:
        raise NotPlain
