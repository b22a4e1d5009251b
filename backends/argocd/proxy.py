"""Which proxy leads to an address: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as Go programs (the argocd CLI) read them.

Decided here once per endpoint because httpx knows neither networks (10.0.0.0/8) in `NO_PROXY` nor that loopback never goes by a proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from backends.errors import Invalid
from backends.secret import Secret

_SCHEMES = ("http", "https", "socks5", "socks5h")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(url: str, environ: Mapping[str, str]) -> Secret | None:
    """The proxy's URL (a secret: it may hold a password) for `url`; None: go straight. Raises `Invalid` for one that cannot be used."""
    parts = urlsplit(url)
    host, port = (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    named = _first(environ, "https_proxy" if parts.scheme == "https" else "http_proxy") or _first(environ, "all_proxy")
    if not named or is_loopback(host) or _excepted(host, port, _first(environ, "no_proxy")):
        return None
    if "://" not in named:
        named = f"http://{named}"
    scheme = named.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        raise Invalid(
            f"the proxy of the environment has a scheme that cannot be used: {scheme[:20]!r}",
            hint=f"one of {', '.join(_SCHEMES)}, or NO_PROXY",
        )
    if not _has_host(named):
        raise Invalid("the proxy of the environment is not an address", hint="http://HOST:PORT, or NO_PROXY")
    return Secret(named)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port or 1) > 0 and url.isascii() and not any(c <= " " for c in url)
    except ValueError:
        return False


def _first(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _excepted(host: str, port: int, no_proxy: str) -> bool:
    return any(_matches(host, port, entry.strip().lower()) for entry in no_proxy.split(",") if entry.strip())


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
        return ipaddress.ip_address(host) in network
    except ValueError:  # one of the two is a name
        pass
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        entry = name.strip("[]")
    entry = entry.removeprefix("*")
    if entry.startswith("."):
        return host.endswith(entry)
    return host == entry or host.endswith(f".{entry}")
