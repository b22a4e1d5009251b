"""The user's files: `config.toml` (settings) and `workspaces.toml` (the workspaces that were opened).

Both are checked against a schema; what does not fit is named with file and line. Tokens and passwords never stand in them: only the path
of a file that holds one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from backends import paths
from backends.errors import Invalid, NotFound

S = TypeVar("S", bound=msgspec.Struct)


class Connection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How Argo CD and the Git remote are reached: paths and switches, never a secret."""

    auth_token_file: str = ""
    argocd_context: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    insecure: bool = False
    plaintext: bool = False
    git_token_file: str = ""


class KnownWorkspace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A workspace that was opened: its repository (may be absent) and its Argo CD (may be absent)."""

    id: str = ""
    repo: str = ""
    branch: str = "main"
    argocd: str = ""
    author: str = ""
    """"Name <mail>" for commits of this workspace, where git's own identity is not meant."""
    signing: bool | None = None
    connection: Connection = Connection()


_OF_GIT = ("git_token_file",)


def without_secrets(known: KnownWorkspace, *, repo: str, argocd: str) -> KnownWorkspace:
    """A known workspace without what is bound to a repository or an Argo CD that is not the one meant now: tokens go to their own origin only."""
    dropped = {name: "" for name in _OF_GIT if known.repo and _origin(known.repo) != _origin(repo)}
    if known.argocd and _origin(known.argocd) != _origin(argocd):
        empty = Connection()
        dropped |= {name: getattr(empty, name) for name in Connection.__struct_fields__ if name not in _OF_GIT}
    return msgspec.structs.replace(known, connection=msgspec.structs.replace(known.connection, **dropped)) if dropped else known


def _origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; a path on this host is itself."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        return parts.scheme or "https", (parts.hostname or url).lower(), parts.port or {"http": 80, "https": 443, "": 443}.get(parts.scheme)
    except ValueError:
        return "", url, None


class Known(msgspec.Struct, frozen=True):
    """All known workspaces, and the one opened last."""

    last: str = ""
    workspaces: dict[str, KnownWorkspace] = {}

    def named(self, name: str) -> KnownWorkspace:
        """Raises `NotFound`, suggesting the nearest."""
        if name in self.workspaces:
            return self.workspaces[name]
        import difflib

        near = difflib.get_close_matches(name, self.workspaces, 1)
        raise NotFound(
            f"no workspace named {name!r} was opened here",
            suggestion=near[0] if near else "",
            hint="" if near else "tiphys open REPO_URL --argocd URL",
        )


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`config.toml`."""

    readonly: bool = False
    """Refuse every write, as `--readonly` does."""


def settings() -> Settings:
    """What `config.toml` says; the defaults without one. Raises `Invalid`."""
    path = paths.config_file()
    text = _text(path)
    return _fitted(_parsed(path, text), Settings, path, text, ())


def known() -> Known:
    """What `workspaces.toml` says; nothing without one. Raises `Invalid`."""
    path = paths.workspaces_file()
    text = _text(path)
    data = _parsed(path, text)
    unknown = sorted(set(data) - {"last", "workspaces"})
    if unknown:
        raise _unfit(path, text, (unknown[0],), f"unknown key {unknown[0]!r}")
    last, entries = data.get("last", ""), data.get("workspaces", {})
    if not isinstance(last, str):
        raise _unfit(path, text, ("last",), "last: expected a string")
    if not isinstance(entries, dict):
        raise _unfit(path, text, ("workspaces",), "workspaces: expected tables [workspaces.NAME]")
    return Known(last, {name: _fitted(entry, KnownWorkspace, path, text, ("workspaces", name)) for name, entry in entries.items()})


def remember(name: str, workspace: KnownWorkspace) -> None:
    """Keep a workspace and make it the one opened last."""
    before = known()
    _save(Known(name, {**before.workspaces, name: workspace}))


def forget(name: str) -> None:
    """Raises `NotFound`."""
    before = known()
    before.named(name)
    left = {key: value for key, value in before.workspaces.items() if key != name}
    _save(Known(before.last if before.last != name else next(iter(left), ""), left))


def _save(everything: Known) -> None:
    lines = ["# Workspaces that tiphys opened. URLs and paths of token files; never a token.", f"last = {_quoted(everything.last)}"]
    for name, workspace in everything.workspaces.items():
        plain = msgspec.to_builtins(workspace)
        connection = plain.pop("connection", {})
        lines += [
            "",
            f"[workspaces.{_quoted(name)}]",
            *(f"{key} = {_quoted(value)}" for key, value in plain.items() if value is not None),
        ]
        if connection:
            lines += [f"[workspaces.{_quoted(name)}.connection]", *(f"{key} = {_quoted(value)}" for key, value in connection.items())]
    paths.write_private(paths.workspaces_file(), ("\n".join(lines) + "\n").encode())


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # JSON's strings and switches are TOML's


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    if not text:
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{path} is not TOML: {error}", hint="mend or delete the file") from None


def _fitted(data: object, schema: type[S], path: Path, text: str, at: tuple[str, ...]) -> S:
    try:
        return msgspec.convert(data, schema)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        keys = tuple(part for part in where.rstrip("`").split(".") if part)
        unknown = re.search(r"unknown field `([^`]*)`", reason)
        keys += (unknown.group(1),) if unknown else ()
        raise _unfit(path, text, (*at, *keys), f"{'.'.join((*at, *keys))}: {reason}") from None


def _unfit(path: Path, text: str, keys: tuple[str, ...], reason: str) -> Invalid:
    return Invalid(
        f"{path} does not fit: {reason}",
        problems=[f"{path}:{_line_of(text, keys)}: {reason}"],
        hint="mend the line, or delete the file to begin anew",
    )


def _line_of(text: str, keys: tuple[str, ...]) -> int:
    """The line of a key below its tables; 1 when it stands nowhere by itself."""
    line, lines = 0, text.splitlines()
    for key in keys:
        named = re.compile(rf'\s*(\[.*[."\[]?{re.escape(key)}"?[.\]]|"?{re.escape(key)}"?\s*=)')
        line = next((number for number in range(line, len(lines)) if named.match(lines[number])), line)
    return line + 1
