"""Tokens: where they come from, when they expire, and that a file which holds one is private.

A source is bound to one endpoint by whoever makes it (`options.resolve`): nothing here knows an address, and nothing here contacts a server
(`session` logs in and renews).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from backends.errors import Refused, Unauthorized
from backends.secret import Secret
from backends.text import clean

SOON = timedelta(minutes=30)
"""How long before its end an expiry is said ahead."""

_TOKEN = re.compile(r"[!-~]+\Z")
_LONGEST = 64 * 1024


class TokenSource(Protocol):
    """Gives the token to send. Asked again after a 401: a file may have been written anew."""

    @property
    def name(self) -> str:
        """Where it comes from, for people: "the file /run/token"."""
        ...

    def read(self) -> Secret:
        """Raises `Unauthorized` or `Refused` when there is none to be had."""
        ...


class FixedToken:
    """A token that was given: it is what it is."""

    def __init__(self, token: Secret, name: str = "the token given") -> None:
        self._token, self.name = parse_token(token.reveal(), name), name

    def read(self) -> Secret:
        return self._token


class TokenFile:
    """A token in a file of the user's alone; read again whenever asked."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, f"the file {clean(str(path), limit=200)}"

    def read(self) -> Secret:
        return parse_token(read_private(self.path, "token"), self.name)


class TokenFrom:
    """A token out of something else that can be read again, such as the argocd CLI's configuration."""

    def __init__(self, name: str, read: Callable[[], str]) -> None:
        self.name, self._read = name, read

    def read(self) -> Secret:
        return parse_token(self._read(), self.name)


class Login:
    """A user and a password: no token yet; `session` asks the server for one, once."""

    def __init__(self, username: str, password: Secret) -> None:
        self.username, self.password, self.name = username, password, f"the password of {clean(username, limit=80)}"

    def read(self) -> Secret:
        raise Unauthorized("a password is no token: the server has to be asked for one")


def parse_token(text: str, name: str) -> Secret:
    """A token as it may stand in a header. Raises `Unauthorized`, never showing it."""
    token = Secret(text.strip())
    del text  # no dump of local variables has it
    if not token:
        raise Unauthorized(f"there is no token in {name}", hint="argocd account generate-token, or argocd login")
    if not _TOKEN.match(token.reveal()) or len(token.reveal()) > _LONGEST:
        raise Unauthorized(f"what {name} holds is not a token", hint="one line of printable ASCII, without spaces")
    return token


def read_private(path: Path, what: str) -> str:
    """The text of a file that nobody else may read. Raises `Refused` for one that others can, `Unauthorized` when it cannot be read."""
    try:
        with path.open("rb") as file:
            refuse_shared(path, file.fileno())
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise Unauthorized(
            f"the {what} file {clean(str(path), limit=200)} cannot be read: {clean(error.strerror or str(error), limit=120)}"
        ) from None
    return data.decode("utf-8", "replace")


def refuse_shared(path: Path, descriptor: int) -> None:
    """Raises `Refused` when others may read an open file. Pipes and devices have no readers but us."""
    import os
    import stat

    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) and mode & 0o077:
        shown = clean(str(path), limit=200)
        raise Refused(
            f"{shown} holds a secret and others may read it (mode {stat.S_IMODE(mode):04o})", hint=f"chmod 600 {shlex.quote(shown)}"
        )


def expires_at(token: Secret) -> datetime | None:
    """When a token ends, from its payload (not verified: the server does that); None when it never does or does not say."""
    import base64
    import json

    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(payload["exp"], UTC)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def expiry_notice(expires: datetime | None, now: datetime, *, within: timedelta = SOON) -> str:
    """ "the token expires in 12 min", "the token expired 3 h ago", or "" when that is far away or never."""
    if expires is None or expires - now > within:
        return ""
    if expires <= now:
        return f"the token expired {_long(now - expires)} ago"
    return f"the token expires in {_long(expires - now)}"


def _long(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 48 * 3600 else f"{seconds // 86400} days"
