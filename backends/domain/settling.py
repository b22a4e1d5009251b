"""What of a series of looks is shown: no flashes, and never backwards without a cause.

Between two comparisons Argo CD's status passes through states that mean nothing (OutOfSync and Healthy right after a first sync, Synced at
the old revision before an operation). Bad news and steps forward show at once; good news and steps backwards must have lasted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from backends.domain.stage import Flag, Rollout, Stage

LASTS = timedelta(seconds=2)
"""Longer than one comparison takes on a quiet server (0.1 s) and on most busy ones."""

_AT_ONCE = frozenset(
    (Stage.SYNC_FAILED, Stage.DEGRADED, Stage.MISSING, Stage.BLOCKED, Stage.GONE, Stage.DELETING, Stage.SUPERSEDED, Stage.DRAFT)
)
_MUST_LAST = frozenset((Stage.LIVE, Stage.DRIFTED))
_RANK = {
    Stage.UNKNOWN: 0,
    Stage.DRAFT: 1,
    Stage.COMMITTED: 2,
    Stage.MISSING: 3,
    Stage.DETECTED: 4,
    Stage.PAUSED: 5,
    Stage.BLOCKED: 5,
    Stage.SYNC_FAILED: 6,
    Stage.SYNCING: 7,
    Stage.SUSPENDED: 8,
    Stage.ROLLED_OUT: 9,
    Stage.DEGRADED: 10,
    Stage.DRIFTED: 11,
    Stage.LIVE: 11,
    Stage.DELETING: 12,
    Stage.SUPERSEDED: 13,
    Stage.GONE: 14,
}
_SLOW_FLAGS = frozenset((Flag.SELF_HEALING, Flag.RETRYING))
_FACTS = frozenset((Flag.STALE, Flag.DEGRADED, Flag.PAUSED))
"""Flags that are facts of the row whatever its stage: a held stage shows them at once."""


def settle(previous: Rollout | None, derived: Rollout, *, now: datetime) -> Rollout:
    """What to show after a look, given what was shown (None: nothing yet, so the look is shown).

    To be called on every look and by a timer with the last look again, else a held stage stays held. Same input, same output.
    """
    if previous is None or previous.undecided:
        return _shown(previous, derived, now)
    if derived.undecided:
        return _held(previous, derived, previous.pending, now)
    if derived.stage is previous.stage:
        began = previous.since if previous.since and derived.stage in _MUST_LAST else derived.since or previous.since
        return _shown(previous, msgspec.structs.replace(derived, since=began), now)
    if _at_once(previous.stage, derived.stage):
        return _shown(previous, derived, now)
    waiting = previous.pending
    first = waiting[1] if waiting and waiting[0].stage is derived.stage else now
    if now - first >= LASTS:
        return _shown(previous, derived, now)
    return _held(previous, derived, (derived, first), now)


def _at_once(shown: Stage, derived: Stage) -> bool:
    if derived in _AT_ONCE or shown is Stage.UNKNOWN:
        return True
    return derived not in _MUST_LAST and derived is not Stage.UNKNOWN and _RANK[derived] > _RANK[shown]


def _shown(previous: Rollout | None, derived: Rollout, now: datetime) -> Rollout:
    """The look itself, without the flags that have not lasted yet."""
    held = tuple(_waiting(previous, derived, now))
    return msgspec.structs.replace(derived, flags=(derived.flags - _SLOW_FLAGS) | _lasting(held, now), pending=None, held=held)


def _held(previous: Rollout, derived: Rollout, pending: tuple[Rollout, datetime] | None, now: datetime) -> Rollout:
    """What was shown, with those flags of the look that hold whatever the stage."""
    if derived.undecided:
        return msgspec.structs.replace(previous, pending=pending)
    held = tuple(_waiting(previous, derived, now))
    flags = (previous.flags - _FACTS - _SLOW_FLAGS) | (derived.flags & _FACTS) | _lasting(held, now)
    return msgspec.structs.replace(previous, flags=flags, pending=pending, held=held)


def _waiting(previous: Rollout | None, derived: Rollout, now: datetime) -> Iterator[tuple[Flag, datetime]]:
    known = dict(previous.held) if previous else {}
    for flag in sorted(derived.flags & _SLOW_FLAGS):
        yield flag, known.get(flag, now)


def _lasting(held: tuple[tuple[Flag, datetime], ...], now: datetime) -> frozenset[Flag]:
    return frozenset(flag for flag, first in held if now - first >= LASTS)
