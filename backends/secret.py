"""A value that must never be shown.

Redacts itself wherever Python turns values into text (str, repr, format, logs, tracebacks, JSON). Only `reveal` gives the value, so every
place where a secret leaves the program can be found by searching for that word.
"""

from __future__ import annotations

from typing import NoReturn

REDACTED = "•••"


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
