"""What stands beside a stage: the flags of contract/rollout.md, and the words they add to a reason line.

A deployment is only called Live without flags when it is. Nothing here changes a stage.
"""

from __future__ import annotations

from collections.abc import Iterator

from backends.domain import conditions, generate_paths, operation, pods
from backends.domain.facts import Facts
from backends.domain.operation import Operation
from backends.domain.stage import FeedState, Flag, Seen, Stage, Wanted

_BEFORE = (Stage.DRAFT, Stage.COMMITTED, Stage.SUPERSEDED, Stage.DELETING, Stage.GONE, Stage.UNKNOWN)
"""Stages in which what was compared says nothing about the commit."""
_RUNNING = (Stage.ROLLED_OUT, Stage.LIVE, Stage.DEGRADED, Stage.DRIFTED, Stage.MISSING, Stage.SUSPENDED)


def flags_of(stage: Stage, wanted: Wanted, seen: Seen, known: Facts | None) -> frozenset[Flag]:
    """The flags of one look, beside those that its row brought."""
    return frozenset(_flags(stage, wanted, seen, known))


def remark(reason: str, stage: Stage, flags: frozenset[Flag], wanted: Wanted, known: Facts | None) -> str:
    """The reason line with what the flags add to it."""
    parts = [reason] if reason else []
    if Flag.STUCK in flags and known:
        found = conditions.sync_error(known.app)
        revision = next(iter(conditions.attempted(found)), "") if found else ""
        said = conditions.sentence(found.message) if found else ""
        gave_up = f"automated sync gave up on {revision[:7]} and will not try this commit by itself ({said}); one sync sets it going"
        parts = [*parts, gave_up] if known.active else [gave_up]
    if Flag.HOOKS_SKIPPED in flags:
        parts.append("applied by a partial operation: hooks were skipped" if wanted.has_hooks else "hooks may have been skipped")
    if Flag.UNPROVEN in flags and known:
        files = ", ".join(_uncovered(wanted, known)[:3])
        parts.append(f"manifest-generate-paths does not name {files}: what runs may be of before; a hard refresh tells")
    elif Flag.NOTHING_TO_DO in flags and stage is Stage.LIVE:
        parts.append("the commit changes nothing that runs")
        if known and (failed := _unfinished(known)):
            parts.append(f"the sync before it failed: {operation.failure(failed)}")
    return "; ".join(parts)


def _flags(stage: Stage, wanted: Wanted, seen: Seen, known: Facts | None) -> Iterator[Flag]:
    if seen.application and seen.feed is not FeedState.LIVE:
        yield Flag.STALE
    if known is None:
        return
    if known.automation.paused or wanted.paused:
        yield Flag.PAUSED
    if known.health == "Degraded" and stage is not Stage.DEGRADED:
        yield Flag.DEGRADED
    if stage in _BEFORE:
        return
    if known.stuck and stage is Stage.DETECTED:
        yield Flag.STUCK
    if known.holds and not seen.hard_refreshed and _uncovered(wanted, known):
        yield Flag.UNPROVEN
    active = known.active
    if active and known.self_heal:
        yield Flag.SELF_HEALING
    if active and known.ours and active.retries:
        yield Flag.RETRYING
    if active and known.ours and stage is Stage.SYNCING and _crashing(seen, known):
        yield Flag.ATTENTION
    if stage in _RUNNING:
        before = known.previous.flags if known.previous else frozenset[Flag]()
        yield from _how_applied(stage, wanted, known, before)


def _how_applied(stage: Stage, wanted: Wanted, known: Facts, before: frozenset[Flag]) -> Iterator[Flag]:
    """Whether the commit was applied by a partial operation, or by none at all."""
    last = known.operation
    if known.entry is not None or (last and last.succeeded and known.ours and not last.partial):
        return
    untouched = Flag.NOTHING_TO_DO in before and Flag.UNPROVEN not in before
    by_part = bool(last and known.ours and last.partial and (last.succeeded or known.self_heal))
    if by_part and not untouched:
        if wanted.has_hooks is not False:
            yield Flag.HOOKS_SKIPPED
    elif stage is Stage.LIVE or Flag.NOTHING_TO_DO in before:
        yield Flag.NOTHING_TO_DO
        if _unfinished(known):
            yield Flag.ATTENTION


def _unfinished(known: Facts) -> Operation | None:
    """The sync of an earlier commit that applied everything and failed after it: what runs is of that sync, and nobody repeats it.

    One that failed before its PostSync hooks is no matter: what is Synced after it was put right by this commit.
    """
    last = known.ended
    if last is None or not last.failed or last.dry_run or last.partial or known.ours:
        return None
    hook = operation.failing_hook(last)
    return last if hook is not None and hook.hook_type == "PostSync" else None


def _uncovered(wanted: Wanted, known: Facts) -> tuple[str, ...]:
    return generate_paths.uncovered(known.app.metadata.annotations, known.app.spec, wanted.files)


def _crashing(seen: Seen, known: Facts) -> bool:
    began = known.active.started_at if known.active else None
    kinds = (pods.Kind.CRASH, pods.Kind.IMAGE, pods.Kind.CONFIG, pods.Kind.FAILED)
    found = pods.troubles(pods.of_release(seen.tree, since=began), now=began) if began else ()
    return any(one.kind in kinds for one in found)
