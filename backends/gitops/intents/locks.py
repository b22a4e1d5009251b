"""Locks of environments: Argo CD knows nothing of them, so every intent asks here before it changes what a locked environment runs.

The clock decides whether a lock still holds; what an intent writes never depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from backends.domain.environment import Environment
from backends.errors import Refused
from backends.gitops import files
from backends.gitops.records import instant
from backends.gitops.tree import Tree
from backends.text import clean


def now() -> datetime:
    return datetime.now(UTC)


def refuse_locked(environment: Environment, *, clock: Callable[[], datetime] | None = None) -> None:
    """Raises `Refused`, naming who locked the environment, why and until when."""
    lock = environment.lock_at((clock or now)())
    if lock is None:
        return
    by = f" by {clean(lock.by, limit=60)}" if lock.by else ""
    until = f" until {instant(lock.until)}" if lock.until else ""
    why = f": {clean(lock.reason, limit=200)}" if lock.reason else ""
    raise Refused(f"{environment.name} is locked{by}{until}{why}", hint=f"the lock is in {files.environment_file(environment.name)}")


def refuse_any_locked(tree: Tree, environments: Iterable[str]) -> None:
    """The same for several environments by name. Raises `Refused`, `Invalid` (an environment's file does not fit)."""
    for name in sorted(set(environments)):
        refuse_locked(files.environment(tree, name))
