"""What could be done about a deployment that waits or fails: ids of actions, the likeliest to help first.

Ids are those of the action table ("deployment.sync", "manager.sync-prune"); whether somebody may is not asked here.
"""

from __future__ import annotations

from collections.abc import Iterator

from backends.domain import conditions, operation, windows
from backends.domain.evidence import Kind
from backends.domain.facts import Facts
from backends.domain.stage import FeedState, Flag, Rollout, Seen, Stage
from backends.domain.upkeep import Holdup

SYNC = "deployment.sync"
FULL_SYNC = "deployment.full-sync"
REFRESH = "deployment.refresh"
HARD_REFRESH = "deployment.hard-refresh"
TERMINATE = "deployment.terminate"
ROLLBACK = "deployment.rollback"
RESUME = "deployment.resume"
EDIT_VALUES = "deployment.edit-values"
LOGS = "deployment.logs"
EVENTS = "deployment.events"
DIFF = "deployment.diff"
MANAGER_REFRESH = "manager.refresh"
MANAGER_SYNC_PRUNE = "manager.sync-prune"
BOOTSTRAP = "workspace.bootstrap"
RECONNECT = "feed.reconnect"


def remedies(seen: Seen, rollout: Rollout, known: Facts | None, cause: Holdup | None, kinds: frozenset[Kind]) -> tuple[str, ...]:
    """Actions that could help, each once; `kinds` is what there is evidence of."""
    return tuple(dict.fromkeys(_remedies(seen, rollout, known, cause, kinds)))


def _remedies(seen: Seen, rollout: Rollout, known: Facts | None, cause: Holdup | None, kinds: frozenset[Kind]) -> Iterator[str]:
    if seen.feed in (FeedState.STALE, FeedState.FAILED):
        yield RECONNECT
    if Flag.STUCK in rollout.flags:
        yield SYNC
    if Flag.UNPROVEN in rollout.flags:
        yield HARD_REFRESH
    if Flag.HOOKS_SKIPPED in rollout.flags:
        yield FULL_SYNC
    match rollout.stage:
        case Stage.COMMITTED:
            yield from _committed(cause)
        case Stage.DETECTED:
            yield TERMINATE if known and known.active and not known.ours else SYNC
        case Stage.SYNCING:
            yield from _syncing(known)
        case Stage.SYNC_FAILED:
            yield from _failed(known)
        case Stage.BLOCKED:
            if windows.manual_allowed(windows.closed(seen.windows)):
                yield SYNC
        case Stage.PAUSED:
            yield from (RESUME, SYNC)
        case Stage.DRIFTED:
            yield from (DIFF, SYNC)
        case Stage.DEGRADED:
            yield from (*_looking(kinds), ROLLBACK)
        case Stage.ROLLED_OUT if Flag.ATTENTION in rollout.flags:
            yield from (*_looking(kinds), ROLLBACK)
        case Stage.MISSING if seen.application is None:
            yield MANAGER_REFRESH
        case Stage.MISSING | Stage.SUSPENDED:
            yield from (EVENTS, SYNC)
        case Stage.UNKNOWN if known:
            yield REFRESH
        case _:
            return


def _committed(cause: Holdup | None) -> Iterator[str]:
    if cause is None:
        yield REFRESH
    elif cause.wipes_out:
        yield MANAGER_SYNC_PRUNE
    elif cause.missing:
        yield BOOTSTRAP
    elif not cause.forbidden:
        yield MANAGER_REFRESH


def _looking(kinds: frozenset[Kind]) -> tuple[str, ...]:
    """A pod that never started has no logs; its events tell."""
    ran = kinds & {Kind.CRASH, Kind.FAILED, Kind.JOB}
    return (LOGS, EVENTS) if ran else (EVENTS,) if kinds & {Kind.UNSCHEDULABLE, Kind.IMAGE, Kind.QUOTA, Kind.CONFIG} else (EVENTS, LOGS)


def _syncing(known: Facts | None) -> Iterator[str]:
    active = known.active if known else None
    if active and (operation.waited_for(active)[0] == "hook" or operation.failing_hook(active)):
        yield LOGS
    yield TERMINATE


def _failed(known: Facts | None) -> Iterator[str]:
    if known and conditions.comparison_error(known.app):
        yield from (EDIT_VALUES, ROLLBACK)
        return
    if known and known.ended and operation.failing_hook(known.ended):
        yield LOGS
    yield from (SYNC, ROLLBACK)
