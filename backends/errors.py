"""The one tree of errors that backends raise.

Failure is a state, not a traceback on a screen: each error says which operation failed, on what, why, what to do, and whether trying
again can help. Not for errors of our own making (a wrong argument inside the program stays a `ValueError`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from backends.secret import Secret, masked


class BackendError(Exception):
    """A failure with a sentence for people.

    Args:
        message: one cleaned line, what went wrong ("the push was rejected by a pre-receive hook: …").
        operation: what was attempted ("fetch", "sync"); empty when the message says it.
        target: on what ("web-prod-k3x7qa", "https://git.example.org/acme.git"); never with credentials in it.
        hint: what the user can do; empty when nothing.
        retryable: whether trying again later can help; None takes the class's own answer.
    """

    exit_code: ClassVar[int] = 1
    retryable_by_nature: ClassVar[bool] = False

    def __init__(self, message: str, *, operation: str = "", target: str = "", hint: str = "", retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.target = target
        self.hint = hint
        self.retryable = self.retryable_by_nature if retryable is None else retryable

    def mask(self, secrets: Iterable[Secret]) -> None:
        """Take out of its words what was sent to whoever they quote."""
        secrets = tuple(secrets)
        self.message, self.hint, self.target = (masked(text, secrets) for text in (self.message, self.hint, self.target))
        self.args = (self.message,)

    def __str__(self) -> str:
        head = f"{self.operation} {self.target}".strip()
        return f"{head}: {self.message}" if head else self.message


class Unauthorized(BackendError):
    """Nobody, or nobody any more: no token, a wrong password, an expired session (HTTP 401, Git authentication)."""

    exit_code = 3


class Forbidden(BackendError):
    """Known, but not allowed. Argo CD also says so of things that do not exist (`maybe_missing`)."""

    exit_code = 3

    def __init__(self, message: str, *, maybe_missing: bool = False, operation: str = "", target: str = "", hint: str = "") -> None:
        super().__init__(message, operation=operation, target=target, hint=hint)
        self.maybe_missing = maybe_missing


class NotFound(BackendError):
    """The thing named is not there. `suggestion` is the nearest name that is."""

    def __init__(self, message: str, *, suggestion: str = "", operation: str = "", target: str = "", hint: str = "") -> None:
        super().__init__(message, operation=operation, target=target, hint=hint or (f"did you mean {suggestion}?" if suggestion else ""))
        self.suggestion = suggestion


class Conflict(BackendError):
    """Somebody else changed the same thing first, or something of that name exists."""

    exit_code = 3


class Refused(BackendError):
    """Not done on purpose: read-only, a lock, protection, not confirmed, paused, blocked."""

    exit_code = 3


class Invalid(BackendError):
    """Input, a file or an answer that does not fit its schema; `problems` names file, line, column and reason of each."""

    def __init__(self, message: str, *, problems: Sequence[str] = (), operation: str = "", target: str = "", hint: str = "") -> None:
        super().__init__(message, operation=operation, target=target, hint=hint)
        self.problems = tuple(problems)


class TimedOut(BackendError):
    """No answer within the time allowed; whether the other side acted is unknown."""

    exit_code = 4
    retryable_by_nature = True


class Unavailable(BackendError):
    """The other side cannot be reached or says that it cannot answer now."""

    exit_code = 5
    retryable_by_nature = True


class ProtocolError(BackendError):
    """An answer that no such server gives: HTML from a proxy, truncated JSON, a redirect to a login page."""

    exit_code = 5


class Cancelled(BackendError):
    """The user stopped it; nothing that had not happened yet will."""

    exit_code = 130
