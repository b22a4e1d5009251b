"""Connections that fail before, between and behind the words of HTTP, each as a sentence that says what to change.

httpx wraps the cause several times (httpx ← httpcore ← anyio ← OSError or OpenSSL): the innermost one that says something decides.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from backends.errors import BackendError, Invalid, ProtocolError, Unauthorized, Unavailable
from backends.secret import Secret
from backends.text import clean


def from_transport(error: Exception, *, url: str, proxy: Secret | None) -> BackendError:
    """The error of a connection that could not be made or broke. `url` is the base address that was asked."""
    import httpx

    where = _place(url)
    via = f" (through the proxy {_place(proxy.reveal())})" if proxy else ""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _tls(cause, where, via)
    if isinstance(error, httpx.ProxyError):
        return _by_proxy(str(error), where, via)
    if isinstance(error, httpx.DecodingError):
        return ProtocolError("the answer cannot be unpacked: its gzip is damaged", hint="a proxy on the way changes it", retryable=True)
    if isinstance(error, httpx.ConnectTimeout):
        return Unavailable(f"no connection to {where}{via} in time", hint="is a VPN, a firewall rule or a proxy needed?")
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return Unavailable(f"the name of {where} is not known{via}", hint="is the address right, and a VPN up if one is needed?")
        if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
            return Unavailable(f"nobody listens at {where}{via}", hint="is the address right, its port included?")
    if isinstance(error, httpx.ConnectError):
        reason = next((c.strerror for c in causes if isinstance(c, OSError) and c.strerror), str(error))
        return Unavailable(
            f"no connection to {where}{via}: {clean(reason, limit=120)}", hint="is a VPN, a firewall rule or a proxy needed?"
        )
    if isinstance(error, httpx.RemoteProtocolError):
        return _not_http(str(error), where, via)
    if isinstance(error, httpx.NetworkError):
        return Unavailable(f"the connection to {where}{via} broke")
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return Invalid(f"this cannot be asked of {where}")  # its text may quote a header
    return Unavailable(f"the connection to {where}{via} failed ({type(error).__name__})")


def _tls(error: ssl.SSLError, where: str, via: str) -> BackendError:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = clean(error.verify_message, limit=160)
        hint = "--ca-file FILE with its authority, or --insecure to trust it unseen"
        return Unavailable(f"the certificate of {where}{via} is not trusted: {reason}", hint=hint, retryable=False)
    reason = error.reason or str(error)
    if any(
        word in reason
        for word in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL")
    ):
        return ProtocolError(f"{where}{via} does not speak TLS", hint="http:// in the address, or --plaintext")
    if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason or "HANDSHAKE_FAILURE" in reason:
        hint = "--client-certificate FILE --client-key FILE, if the server asks for one"
        return Unauthorized(f"{where}{via} refuses the TLS handshake ({clean(reason, limit=80)})", hint=hint)
    return Unavailable(f"TLS with {where}{via} failed: {clean(reason, limit=120)}", hint="--plaintext if it speaks no TLS")


def _by_proxy(text: str, where: str, via: str) -> BackendError:
    if "407" in text or "auth" in text.lower():
        return Unauthorized(f"{where} is not reached{via}: the proxy wants a login", hint="user and password in HTTPS_PROXY's URL")
    return Unavailable(f"{where} is not reached{via}: {clean(text, limit=120)}", hint="NO_PROXY if it is reached without a proxy")


def _not_http(text: str, where: str, via: str) -> BackendError:
    if "\\x15\\x03" in text or "\\x16\\x03" in text:
        return ProtocolError(f"{where}{via} speaks TLS and was asked without", hint="https:// in the address, without --plaintext")
    if "without sending" in text and "complete" not in text:
        return Unavailable(f"{where}{via} closed the connection without an answer")
    if "closed connection" in text or "incomplete" in text:
        return ProtocolError(
            "the answer was cut off on its way", hint="try again, and ask who runs the proxy if it goes on", retryable=True
        )
    return ProtocolError(f"{where}{via} does not speak HTTP", hint="is the address right, its port included?")


def _place(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 1080)
    return f"{f'[{host}]' if ':' in host else clean(host, limit=253)}:{port}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The chain of causes, groups included, outermost first."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        waiting += [one.__cause__, one.__context__]
