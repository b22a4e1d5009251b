"""The failures of Git operations: kinds that programs tell apart, and the classes that carry them.

`remote_errors.explain` decides which one git's output stands for; this module only names them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from backends.errors import BackendError, Conflict, Forbidden, NotFound, ProtocolError, Refused, TimedOut, Unauthorized, Unavailable
from backends.secret import Secret, masked


class Trouble(enum.StrEnum):
    """The kinds of failure of a Git operation."""

    FETCH_FIRST = "fetch_first"
    NON_FAST_FORWARD = "non_fast_forward"
    CANNOT_LOCK_REF = "cannot_lock_ref"
    FAILED_TO_UPDATE_REF = "failed_to_update_ref"
    HOOK_DECLINED = "hook_declined"
    PROTECTED_BRANCH = "protected_branch"
    RULE_VIOLATION = "rule_violation"
    NOT_ALLOWED = "not_allowed"
    SHALLOW = "shallow"
    CHECKED_OUT = "checked_out"
    REMOTE_STORAGE = "remote_storage"
    REJECTED = "rejected"
    NO_CREDENTIALS = "no_credentials"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    NO_SUCH_HOST = "no_such_host"
    CONNECTION_REFUSED = "connection_refused"
    UNREACHABLE = "unreachable"
    PROXY = "proxy"
    TLS = "tls"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    CUT_OFF = "cut_off"
    TIMED_OUT = "timed_out"
    NOT_A_REPOSITORY = "not_a_repository"
    NOT_GIT = "not_git"
    REDIRECTED = "redirected"
    EMPTY_REMOTE = "empty_remote"
    BRANCH_MISSING = "branch_missing"
    OBJECT_FORMAT = "object_format"
    UNSAFE_URL = "unsafe_url"
    DUBIOUS_OWNERSHIP = "dubious_ownership"
    DISK_FULL = "disk_full"
    CACHE_NOT_WRITABLE = "cache_not_writable"
    CACHE_BROKEN = "cache_broken"
    CACHE_LOCKED = "cache_locked"
    GIT_MISSING = "git_missing"
    GIT_TOO_OLD = "git_too_old"
    NO_IDENTITY = "no_identity"
    SIGNING_FAILED = "signing_failed"
    OTHER = "other"


MOVED = frozenset((Trouble.FETCH_FIRST, Trouble.NON_FAST_FORWARD, Trouble.CANNOT_LOCK_REF, Trouble.FAILED_TO_UPDATE_REF))
"""Somebody else was first: fetch, and run the intent again on the new head."""
PASSING = frozenset((Trouble.SERVER_ERROR, Trouble.RATE_LIMITED, Trouble.CUT_OFF, Trouble.TIMED_OUT, Trouble.CACHE_LOCKED))
"""May be over in a moment. After a push of these kinds nobody knows whether it arrived (but for CACHE_LOCKED and RATE_LIMITED)."""


class GitError(BackendError):
    """A failure of a Git operation. `kind` tells it apart; `says` are the remote's own lines, cleaned."""

    def __init__(
        self, message: str, *, kind: Trouble, says: tuple[str, ...] = (), operation: str = "", target: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, operation=operation, target=target, hint=hint)
        self.kind = kind
        self.says = says

    def mask(self, secrets: Iterable[Secret]) -> None:
        secrets = tuple(secrets)
        super().mask(secrets)
        self.says = tuple(masked(line, secrets) for line in self.says)


class GitFailed(GitError):
    """Something failed that no other class is for."""


class PushRejected(GitError, Conflict):
    """The remote did not take the push: somebody was first (`kind` in `MOVED`), or its rules forbid it."""


class GitUnauthorized(GitError, Unauthorized):
    """Nobody answered who we are, or the remote did not accept it."""


class GitForbidden(GitError, Forbidden):
    """The remote knows us and says no."""


class GitNotFound(GitError, NotFound):
    """No such repository or branch."""


class BranchMissing(GitNotFound):
    """The remote has no such branch; `branches` are those that it has, none when it is empty."""

    def __init__(self, message: str, *, branches: tuple[str, ...], kind: Trouble, target: str = "", hint: str = "") -> None:
        super().__init__(message, kind=kind, operation="fetch", target=target, hint=hint)
        self.branches = branches


class GitRefused(GitError, Refused):
    """Not done on purpose: an unknown host key, an unsafe URL, a folder of somebody else."""


class GitUnavailable(GitError, Unavailable):
    """The remote cannot be reached, or cannot answer now."""


class GitTimedOut(GitError, TimedOut):
    """No answer in time; whether a push arrived is unknown."""


class GitProtocolError(GitError, ProtocolError):
    """An answer that is not Git's."""
