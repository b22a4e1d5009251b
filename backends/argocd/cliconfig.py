"""The argocd CLI's own configuration: its contexts, and the token of one, read as the CLI reads them and never written.

A file that others may read is refused, as the CLI does. Entries that name no address (core mode, port-forward) are listed but cannot be
used over HTTP. Refreshing an OIDC login is the CLI's work (`argocd relogin`).
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from backends.argocd.auth import refuse_shared
from backends.argocd.endpoint import origin_of, parse_url
from backends.errors import Invalid, NotFound, Refused, Unauthorized
from backends.secret import Secret
from backends.text import clean

_LARGEST = 4 * 1024 * 1024


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One context: a server and a user of it. `trouble` says why it cannot be used over HTTP; `url` is empty then."""

    name: str
    url: str = ""
    trouble: str = ""
    insecure: bool = False
    ca: str = ""
    client_certificate: Secret | None = None
    token: Secret = Secret("")


class CliConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says. `current` is the name of the current context, or ""."""

    path: Path
    contexts: tuple[Context, ...] = ()
    current: str = ""

    def named(self, name: str) -> Context:
        """A context by name. Raises `NotFound` with the nearest, `Refused` for one without an address."""
        for context in self.contexts:
            if context.name == name:
                if context.trouble:
                    raise Refused(f"the argocd context {clean(name, limit=80)} cannot be used: {context.trouble}", hint="--argocd URL")
                return context
        names = [context.name for context in self.contexts]
        near = difflib.get_close_matches(name, names, 1)
        known = ", ".join(clean(each, limit=60) for each in names) or "none"
        raise NotFound(
            f"the argocd CLI's configuration has no context {clean(name, limit=80)!r}",
            suggestion=clean(near[0]) if near else "",
            hint="" if near else f"it has {known}",
        )

    def of_server(self, url: str) -> Context | None:
        """The context whose server has the origin of `url`: the same address first, then the current one, then the first."""
        same = [c for c in self.contexts if c.url and c.token and origin_of(c.url) == origin_of(url)]
        return min(same, key=lambda c: (c.url != url, c.name != self.current), default=None)


def config_path(environ: Mapping[str, str], home: Path | None = None) -> Path:
    """Where the CLI keeps it: `ARGOCD_CONFIG_DIR`, `~/.argocd` if that exists, `XDG_CONFIG_HOME/argocd`, `~/.config/argocd`."""
    named = environ.get("ARGOCD_CONFIG_DIR")
    if named:
        return Path(named) / "config"
    home = home or Path.home()
    if (home / ".argocd").is_dir():
        return home / ".argocd" / "config"
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else home / ".config") / "argocd" / "config"


def read(path: Path) -> CliConfig:
    """The configuration; an absent file has no contexts. Raises `Refused` when others may read it, `Invalid` when it is not its YAML."""
    try:
        with path.open("rb") as file:
            refuse_shared(path, file.fileno())
            data = Secret(file.read(_LARGEST).decode("utf-8", "surrogateescape"))
    except FileNotFoundError:
        return CliConfig(path=path)
    except OSError as error:
        raise Unauthorized(
            f"the argocd CLI's configuration cannot be read: {clean(error.strerror or str(error))}", target=str(path)
        ) from None
    document = _document(data, path)
    servers = {each["server"]: each for each in _entries(document, "servers") if isinstance(each.get("server"), str)}
    users = {each["name"]: each for each in _entries(document, "users") if isinstance(each.get("name"), str)}
    contexts = tuple(
        _context(each["name"], servers.get(each.get("server")), users.get(each.get("user")))
        for each in _entries(document, "contexts")
        if isinstance(each.get("name"), str)
    )
    current = document.get("current-context")
    return CliConfig(path=path, contexts=contexts, current=current if isinstance(current, str) else "")


def _document(data: Secret, path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(data.reveal().encode("utf-8", "surrogateescape"), Loader=loader)  # noqa: S506 - both are the safe ones
    except yaml.YAMLError as error:  # its text may quote the file, so only the place is told
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise Invalid(
            f"the argocd CLI's configuration is not YAML{where}", target=clean(str(path)), hint="argocd login writes it anew"
        ) from None
    except (ValueError, RecursionError):
        raise Invalid("the argocd CLI's configuration is not YAML", target=clean(str(path)), hint="argocd login writes it anew") from None
    if document is not None and not isinstance(document, dict):
        raise Invalid("the argocd CLI's configuration is not a mapping", target=clean(str(path)), hint="argocd login writes it anew")
    return document or {}


def _entries(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = document.get(key)
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def _context(name: str, server: dict[str, Any] | None, user: dict[str, Any] | None) -> Context:
    token = Secret(_text((user or {}).get("auth-token")))
    if server is None:
        return Context(name=name, trouble="its server is not in the file", token=token)
    if server.get("core") is True:
        return Context(name=name, trouble="it is for core mode: Kubernetes, no address of an Argo CD", token=token)
    address = _text(server.get("server"))
    if address == "port-forward":
        return Context(name=name, trouble="it is for a port-forward, which has no address of its own", token=token)
    scheme = "http" if server.get("plain-text") is True else "https"
    prefix = _text(server.get("grpc-web-root-path")).strip("/")
    try:
        url = parse_url(f"{scheme}://{address}/{prefix}")
        ca = _pem(server.get("certificate-authority-data"))
        pair = _pem(server.get("client-certificate-data")), _pem(server.get("client-certificate-key-data"))
    except (Invalid, ValueError):
        return Context(name=name, trouble="its address or its certificates cannot be read", token=token)
    return Context(
        name=name,
        url=url,
        insecure=server.get("insecure") is True,
        ca=ca,
        client_certificate=Secret("\n".join(pair)) if all(pair) else None,
        token=token,
    )


def _pem(value: object) -> str:
    """Raises `ValueError`."""
    return base64.b64decode(_text(value), validate=True).decode("ascii")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
