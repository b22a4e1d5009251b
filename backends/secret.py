"""A value that must never be shown.

Redacts itself wherever Python turns values into text (str, repr, format, logs, tracebacks, JSON). Only `reveal` gives the value, so every
place where a secret leaves the program can be found by searching for that word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

REDACTED = "•••"
SHORTEST = 4
"""Characters that a secret must have to be looked for in a text: shorter ones would take half of any sentence with them."""
_USER_INFO = re.compile(r"(?i)^([a-z][a-z0-9+.-]*://).*@")


class Secret:
    """One secret text. Compares by value; is false when empty; cannot be pickled, copied into JSON or formatted."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: only for the call that hands it to the other side."""
        return self._value

    def __str__(self) -> str:
        return REDACTED

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __format__(self, _spec: str) -> str:
        return REDACTED

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")


class SecretUrl(str):
    """A URL as it was typed, which may hold a password: text like any other to who takes it apart, without user and password where it is shown."""

    __slots__ = ()

    def __str__(self) -> str:
        return _USER_INFO.sub(r"\1…@", self[:])

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def typed_url(text: str) -> str:
    """A URL from a command line: a `SecretUrl` where it may hold a password."""
    return SecretUrl(text) if "@" in text and "://" in text else text


class Unshown(Mapping[str, str]):
    """Names and values of which some are secret (an environment): readable by name, shown by no repr, so by no dump of local variables."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Unshown({len(self._values)} values)"


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """A text of somebody else's without the secrets that they were sent, in the writings in which these come back (URL, Basic, JSON)."""
    forms = {form for secret in secrets for form in _writings(secret.reveal()) if len(form) >= SHORTEST}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, REDACTED)
    return text


def _writings(value: str) -> Iterator[str]:
    from urllib.parse import quote

    yield value
    if len(value) >= SHORTEST:
        yield quote(value, safe="")
        yield quote(value)
        yield repr(value)[1:-1]


def basic(username: str, password: Secret) -> Secret:
    """What HTTP makes of a user and a password (`Authorization: Basic …`), which is as good as they are."""
    import base64

    return Secret(base64.b64encode(f"{username}:{password.reveal()}".encode()).decode().rstrip("="))
