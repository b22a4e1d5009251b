"""One Argo CD as it is reached: its address, who we are there, what TLS to accept, how long to wait.

A value, made by `options.resolve` from what the user typed, or by a test; nothing here opens a connection.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from backends.argocd.auth import TokenSource
from backends.errors import Invalid
from backends.secret import Secret, basic
from backends.text import clean

if TYPE_CHECKING:
    import ssl

Origin = tuple[str, str, int]
"""Scheme, host, port: what a token is bound to."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_HEADER_VALUE = re.compile(r"[\t -~]*\Z")
_TELLING = 6
"""Characters from which on a header's value is taken for a secret: `X-Environment: 1` is none, and 1 stands in many sentences."""
_OURS = frozenset(
    ("authorization", "host", "content-length", "content-type", "accept", "accept-encoding", "connection", "transfer-encoding")
)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds to wait. Streams have no first-byte limit: Argo CD withholds even the status line of an idle one."""

    connect: float = 10.0
    first_byte: float = 60.0
    """From the request to the answer's head: unprojected lists and refreshes are slow."""
    read: float = 30.0
    """Between two pieces of a body."""
    total: float = 300.0
    """For one whole answer, so that a drip ends too."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An Argo CD endpoint, as one user.

    Args:
        url: base URL with any path prefix ("https://tools.example.org/argo-cd"), http or https, without user information.
        token: where the token comes from; None: anonymous.
        ca: certificate authorities in PEM, trusted beside the system's.
        client_certificate: certificate chain and key in PEM.
        insecure: accept any certificate.
        headers: sent with every call, and never to another origin.
        proxy: URL of the proxy to go by.
        readonly: refuse every call that changes something, refreshes included.

    Raises `Invalid` when the URL or a header cannot be used.
    """

    url: str
    token: TokenSource | None = None
    ca: str = ""
    client_certificate: Secret | None = None
    insecure: bool = False
    headers: tuple[tuple[str, Secret], ...] = ()
    proxy: Secret | None = None
    readonly: bool = False
    timeouts: Timeouts = Timeouts()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "url", parse_url(self.url))
        for name, value in self.headers:
            check_header(name, value)

    @property
    def origin(self) -> Origin:
        return origin_of(self.url)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What is sent beside the token and must not come back in any text: header values, the proxy's password as it is written."""
        values = [value.reveal() for _, value in self.headers]
        found = [text for value in values for text in (value, value.rpartition(" ")[2]) if len(text) >= _TELLING]
        if self.proxy:
            parts = urlsplit(self.proxy.reveal())
            found.append(self.proxy.reveal())
            if parts.password:
                user, password = unquote(parts.username or ""), unquote(parts.password)
                found += [parts.password, password, basic(user, Secret(password)).reveal()]
        return tuple(Secret(text) for text in found)


def parse_url(text: str, *, plaintext: bool = False) -> str:
    """A base URL as it is kept: scheme and host in lower case, no trailing slash, no query. Raises `Invalid`.

    Args:
        text: what was typed; without a scheme it gets https, or http where `plaintext` says so.
    """
    if "@" in text:
        raise Invalid("an address of an Argo CD holds no user name, password or token", hint="--auth-token-file FILE, or --username NAME")
    shown = clean(text, limit=200)
    if not text.isascii() or any(c <= " " or c in "\\\x7f" for c in text):
        raise Invalid(
            f"not an address of an Argo CD: {shown!r}", hint="spaces, control characters and non-ASCII letters have no place in it"
        )
    try:
        parts = urlsplit(text if "://" in text else f"{'http' if plaintext else 'https'}://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"not an address of an Argo CD ({clean(str(error), limit=80)})", hint="https://HOST[:PORT][/PREFIX]") from None
    if parts.scheme not in ("http", "https"):
        raise Invalid(f"not an address of an Argo CD: {shown!r}", hint="its scheme is https or http")
    if not host or host.startswith("-"):
        raise Invalid(f"not an address of an Argo CD: {shown!r}", hint="https://HOST[:PORT][/PREFIX]")
    if parts.query or parts.fragment:
        raise Invalid(
            f"not a base address: {clean(re.split('[?#]', text)[0], limit=200)!r} is followed by ? or #",
            hint="https://HOST[:PORT][/PREFIX]",
        )
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        raise Invalid(f"not a base address: {shown!r} has . or .. in its path")
    named = f"[{host}]" if ":" in host else host
    if port is not None and port != (443 if parts.scheme == "https" else 80):
        named = f"{named}:{port}"
    return urlunsplit((parts.scheme, named, re.sub(r"/{2,}", "/", parts.path).rstrip("/"), "", ""))


def origin_of(url: str) -> Origin:
    """Scheme, host and port of a URL, the port filled in."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def parse_header(text: Secret | str) -> tuple[str, Secret]:
    """A `--header 'NAME: VALUE'`. Raises `Invalid`, never showing the value."""
    if isinstance(text, str):
        text = Secret(text)
    if ":" not in text.reveal():
        raise Invalid("a header is 'NAME: VALUE'")
    header = text.reveal().partition(":")[0].strip(), Secret(text.reveal().partition(":")[2].strip())
    check_header(*header)
    return header


def check_header(name: str, value: Secret) -> None:
    """Raises `Invalid` for what would end a header line, or is ours to send; the value is never shown."""
    if not _HEADER_NAME.match(name):
        raise Invalid(f"not the name of a header: {clean(name, limit=60)!r}")
    if name.lower() in _OURS:
        hint = "--auth-token-file FILE" if name.lower() == "authorization" else ""
        raise Invalid(f"the header {name} is Tiphys' own to send", hint=hint)
    if not _HEADER_VALUE.match(value.reveal()):
        raise Invalid(f"the value of the header {name} holds a control or non-ASCII character")


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """What to accept and to show, the system's own authorities included. Raises `Invalid` for certificates that cannot be read."""
    import ssl
    import tempfile

    context = ssl.create_default_context()
    if endpoint.ca:
        try:
            context.load_verify_locations(cadata=endpoint.ca)
        except (ssl.SSLError, ValueError) as error:
            raise Invalid("the CA file holds no certificate in PEM", hint=clean(str(error), limit=120)) from None
    if endpoint.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if endpoint.client_certificate:
        with tempfile.NamedTemporaryFile("w", prefix="tiphys-", suffix=".pem") as file:  # 0600; OpenSSL reads files only
            file.write(endpoint.client_certificate.reveal())
            file.flush()
            try:
                context.load_cert_chain(file.name, password=lambda: "")
            except (ssl.SSLError, ValueError) as error:
                raise Invalid(
                    "the client certificate and its key cannot be used",
                    hint=f"both in PEM, the key without a passphrase ({clean(str(error), limit=100)})",
                ) from None
    return context
