"""Who we are to one Argo CD, over time: the token in use, its renewal, what can be said of it.

Renewal is tried once for a refused token and never in a loop: five wrong logins lock a user for five minutes. What the server renews by
itself (`Grpc-Metadata-Renew-Token`) is used from then on and stays in memory. Not for where tokens come from: `auth`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from backends.argocd.auth import Login, TokenSource, expires_at, expiry_notice, parse_token
from backends.errors import BackendError, Unauthorized
from backends.secret import Secret

_AHEAD = timedelta(seconds=60)
"""A login token is renewed this long before its end: nobody renews it while we are idle."""

AskForToken = Callable[[Login], Awaitable[Secret]]


class Session:
    """The identity behind the calls of one client.

    Args:
        source: where the token comes from; None: anonymous.
        ask: logs in by user and password (one POST).
    """

    def __init__(self, source: TokenSource | None, ask: AskForToken) -> None:
        self._source = source
        self._ask = ask
        self._token: Secret | None = None
        self._expires: datetime | None = None
        self._lock = asyncio.Lock()
        self._refused: BackendError | None = None

    @property
    def expires(self) -> datetime | None:
        """When the token in use ends; None: never, not known, or none in use yet."""
        return self._expires

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What must not come back in any text."""
        password = (self._source.password,) if isinstance(self._source, Login) else ()
        return (*password, *((self._token,) if self._token else ()))

    async def token(self) -> Secret | None:
        """The token to send now; None: anonymous. Raises `Unauthorized`, `Refused`, and what logging in raises."""
        if self._source is None:
            return None
        if self._token is None or self._ends_soon():
            async with self._lock:
                if self._token is None or self._ends_soon():
                    self._use(await self._obtain(self._source))
        return self._token

    async def renewed(self, refused: Secret | None) -> Secret | None:
        """Another token than the one the server refused, or None when there is none to be had."""
        if self._source is None:
            return None
        async with self._lock:
            if self._token is not None and self._token != refused:  # somebody else has renewed it meanwhile
                return self._token
            fresh = await self._obtain(self._source)
            if fresh == refused:
                return None
            self._use(fresh)
            return fresh

    def adopt(self, text: str) -> None:
        """Use the token that the server sent in place of ours. One that cannot be a token is left alone."""
        try:
            self._use(parse_token(text, "the server's renewal"))
        except Unauthorized:
            return

    def who(self, now: datetime | None = None) -> str:
        """What can be said of our identity: "the token of the file x (the token expired 3 h ago)", "" for nobody."""
        if self._source is None:
            return ""
        notice = expiry_notice(self._expires, now or datetime.now(UTC))
        what = self._source.name if isinstance(self._source, Login) else f"the token of {self._source.name}"
        return f"{what} ({notice})" if notice else what

    def _use(self, token: Secret) -> None:
        self._token, self._expires = token, expires_at(token)

    def _ends_soon(self) -> bool:
        return isinstance(self._source, Login) and self._expires is not None and self._expires - datetime.now(UTC) < _AHEAD

    async def _obtain(self, source: TokenSource) -> Secret:
        if not isinstance(source, Login):
            return source.read()  # a file of a line: not worth a thread
        if self._refused is not None:
            raise self._refused
        try:
            return await self._ask(source)
        except Unauthorized as error:
            self._refused = error
            raise
