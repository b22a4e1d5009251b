"""Where a repository is: a Git URL taken apart, made safe, and rid of its secrets before anything else sees it.

A Git URL is code (`ext::sh -c …`, `-upload-pack=…`, `ssh://-oProxyCommand=…`), so everything that is not plainly https, http, ssh or a
path is refused here, before git is started. A password in a URL is taken out at once and never reaches arguments, configuration or names.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from backends.errors import Invalid, Refused
from backends.secret import Secret
from backends.text import clean, is_one_line

_HELPER = re.compile(r"[A-Za-z0-9.+-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.+-]*)://")
_SCP = re.compile(r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^@/:\s]+):(?P<path>.+)\Z")
_HOST = re.compile(r"(?:[a-z0-9_]([-a-z0-9_.]*[a-z0-9_.])?|[0-9a-f:.]+(%25[a-z0-9]+)?)\Z")
_USER = re.compile(r"[A-Za-z0-9_.~+=@\\][-A-Za-z0-9_.~+=@\\]*\Z")
_TOKEN = re.compile(r"gh[a-z]_|github_pat_|gl[a-z]+-|gitea_|ATBB|ATCTT|[0-9a-f]{40}\Z")
_GITHUB_FILLER = "x-oauth-basic"
_PORTS = {"https": 443, "http": 80, "ssh": 22, "file": 0}
_UNREADABLE = re.compile(r"[^A-Za-z0-9._]+")


class Credentials(msgspec.Struct, frozen=True):
    """Who we are to one host. The user name is not a secret (git shows it in process arguments); the password or token is."""

    password: Secret
    username: str = "git"
    """GitHub, GitLab and Gitea take any name with a token."""


class Address(msgspec.Struct, frozen=True):
    """A remote repository. `url` is what git is given and what people see: it never holds a password, nor a user except for ssh."""

    url: str
    scheme: str
    """"https", "http", "ssh" or "file"."""
    host: str = ""
    port: int = 0
    user: str = ""
    path: str = ""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials are bound to."""
        return (self.scheme, self.host, self.port)

    @property
    def cache_name(self) -> str:
        """A folder name that people recognise and no other URL shares."""
        readable = _UNREADABLE.sub("-", f"{self.host}/{self.path.removesuffix('.git')}").strip("-.")
        return f"{readable[-60:].lstrip('-.')}-{sha256((self.url if self.host else self.path).encode()).hexdigest()[:16]}.git"


def parse_address(text: str) -> tuple[Address, Credentials | None]:
    """Take a Git URL apart: https, http, ssh (also `user@host:path`), file, or a local path.

    Returns the address and the credentials that the URL held (None when it held none). A user name alone stays with the address.
    Raises `Refused` for anything else, without starting git; neither its message nor the variables of its traceback repeat a secret.
    """
    try:
        return _parsed(text)
    except Refused as error:
        refused = error.with_traceback(None)
    raise refused


def _parsed(text: str) -> tuple[Address, Credentials | None]:
    if not text or not is_one_line(text) or text != text.strip():
        raise _refused("a Git URL is one line without blanks around it", text)
    if text.startswith("-"):
        raise _refused("a Git URL that begins with a dash would be read as an option", text)
    if _HELPER.match(text):
        raise _refused("this kind of Git URL runs a program", text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        scp = _SCP.match(text)
        if scp is None or "/" in text[: scp.end("host")] or text.startswith((".", "~")):
            return _local(text), None
        user = f"{scp['user']}@" if scp["user"] else ""
        path = scp["path"] if scp["path"].startswith(("/", "~")) else f"~/{scp['path']}"
        if scp["path"].startswith("-") or ":" in user:
            raise _refused("not a Git URL that can be opened safely", text)
        address = _network("ssh", f"ssh://{user}{scp['host']}/{path.lstrip('/')}")[0]
        # kept as typed: `host:path` is relative to the home folder of the remote user, which no ssh:// URL says on every server
        return msgspec.structs.replace(address, url=f"{user}{scp['host']}:{scp['path']}", path=scp["path"].strip("/")), None
    name = scheme[1].lower()
    if name == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise _refused("a file:// URL names no other host", text)
        return _local(unquote(parts.path)), None
    if name not in _PORTS:
        raise _refused(f"{clean(name, limit=20)}:// is not supported", text)
    return _network(name, text)


def _network(scheme: str, text: str) -> tuple[Address, Credentials | None]:
    try:
        parts = urlsplit(text)
        port, host = parts.port, (parts.hostname or "").lower()
        user, password = unquote(parts.username or "", errors="strict"), unquote(parts.password or "", errors="strict")
    except ValueError:
        raise _refused("not a Git URL", text) from None
    if not _HOST.match(host) or not is_one_line(user) or not is_one_line(password):
        raise _refused("the host or user of this Git URL cannot be one", text)
    path = parts.path.rstrip("/")
    if not path.strip("/") or path.lstrip("/").startswith("-") or parts.query or parts.fragment or not is_one_line(unquote(path)):
        raise _refused("the path of this Git URL cannot be one of a repository", text)
    if scheme != "ssh" and (_TOKEN.match(user) or password == _GITHUB_FILLER):
        user, password = "git", user  # a token in the user's place: names are shown, so it changes places
    if user and not _USER.match(user):
        raise _refused("the user of this Git URL cannot be one", text)
    bare = f"[{host}]" if ":" in host else host
    suffix = f":{port}" if port and port != _PORTS[scheme] else ""
    name = f"{user}@" if user and scheme == "ssh" else ""
    address = Address(f"{scheme}://{name}{bare}{suffix}{path}", scheme, host, port or _PORTS[scheme], user, path.strip("/"))
    return address, Credentials(Secret(password), user or "git") if password else None


def _local(text: str) -> Address:
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise _refused("there is no such user", text) from None
    if not is_one_line(text) or path.name.startswith("-"):
        raise _refused("not a path of a repository", text)
    absolute = os.path.abspath(path)  # noqa: PTH100 - `..` goes, links stay
    return Address(absolute, "file", path=absolute.strip("/"))


def _refused(reason: str, text: str) -> Refused:
    shown = re.sub(r"(?<=//).*@", "…@", clean(text, limit=200))  # to the last @: a password may hold slashes and others, typed as they are
    return Refused(f"{reason}: {shown!r}", operation="open", hint="https://host/path, ssh://user@host/path, user@host:path or a local path")


def refuse_credentials(url: str, what: str) -> None:
    """Raises `Invalid` for an address that holds a password or token and is bound for Git, where everybody reads it; never shows it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Invalid(f"the {what} is not an address", hint="https://host/path") from None
    user, at, _ = parts.netloc.rpartition("@")
    if at and (":" in user or parts.scheme != "ssh"):
        raise Invalid(
            f"not the {what} alone: it holds a user or a password, and what is in Git is read by many",
            hint="without it; whoever reads there is given credentials of their own",
        )


def parse_branch(name: str) -> str:
    """A branch name that git takes and no program reads as an option. Raises `Refused`."""
    parts = name.split("/")
    bad = not name or name.startswith("-") or name == "@" or ".." in name or "@{" in name or re.search(r"[\x00-\x20\x7f~^:?*\[\\]", name)
    if bad or any(not part or part.startswith(".") or part.endswith((".lock", ".")) for part in parts) or not is_one_line(name):
        raise Refused(f"not a branch name: {clean(name, limit=80)!r}", operation="open")
    return name
