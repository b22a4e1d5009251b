"""Where a deployment stands: the one place that decides a stage (contract/rollout.md).

    derive(wanted, seen, *, contains, now, previous) -> Rollout    one look
    settle(previous, derived, *, now) -> Rollout                   what is shown: no flashes, never backwards without a cause

`derive` is a table read from top to bottom: the first row that holds decides. Rows that need an Application are below `_application`,
those of an OutOfSync or a Synced one below it. `previous` is what is shown now for the same commit (None: nothing yet): Argo CD forgets
what an earlier operation was for, and a self-heal of a release that was running is no deploy. Both functions are pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from backends.argocd.types import Application, Condition
from backends.domain import conditions, facts, operation, pods, specs, upkeep, windows
from backends.domain.facts import Facts
from backends.domain.flags import flags_of, remark
from backends.domain.moment import clock, since
from backends.domain.settling import settle
from backends.domain.stage import ContainsCommit, FeedState, Flag, Rollout, Seen, Stage, Wanted
from backends.text import clean

__all__ = ["ContainsCommit", "FeedState", "Flag", "Rollout", "Seen", "Stage", "Wanted", "derive", "look", "pushed", "settle"]

LIMIT = 400
"""Characters of a reason line."""
COMPARISON_PENDING = timedelta(minutes=1)
"""After so long without a comparison nobody waits for one any more: what is OutOfSync has drifted."""

UNATTENDED = timedelta(seconds=30)
"""An automated sync is requested with the comparison that calls for it. Without one for so long, and without self-heal, none will come:
a commit that arrived while an operation ran, or one that changes nothing of what has drifted, is left as it is."""


def derive(wanted: Wanted, seen: Seen, *, contains: ContainsCommit, now: datetime, previous: Rollout | None = None) -> Rollout:
    """Say how far `wanted.commit` has come.

    `contains(revision, wanted.commit)` answers True, False or None (unknown yet) whether a synced revision holds the release: in a shared
    repository a newer commit by somebody else may carry ours, so equality of revisions is not the test.
    """
    app = seen.application
    known = facts.read(app, wanted, contains, previous) if app and not app.partial else None
    row = _first_row(wanted, seen, known, contains, now)
    flags = row.flags | flags_of(row.stage, wanted, seen, known)
    reason = clean(remark(row.reason, row.stage, flags, wanted, known), limit=LIMIT)
    revision = row.revision or (known.revision if known else "")
    return msgspec.structs.replace(row, flags=flags, reason=reason, revision=clean(revision, limit=80))


def look(previous: Rollout | None, wanted: Wanted, seen: Seen, *, contains: ContainsCommit, now: datetime) -> Rollout:
    """One look as it is shown: `derive` with what is shown now, then `settle`."""
    return settle(previous, derive(wanted, seen, contains=contains, now=now, previous=previous), now=now)


def pushed(wanted: Wanted) -> Rollout:
    """What a follower shows before its first look, so that Committed always appears and nothing else shows before it has lasted."""
    return Rollout(stage=Stage.COMMITTED, since=wanted.committed_at, reason="pushed")


def _first_row(wanted: Wanted, seen: Seen, known: Facts | None, contains: ContainsCommit, now: datetime) -> Rollout:
    app = seen.application
    if wanted.draft:
        return Rollout(stage=Stage.DRAFT, reason="not pushed yet")
    if wanted.superseded_by:
        who = f" by {wanted.superseded_who}" if wanted.superseded_who else ""
        return Rollout(stage=Stage.SUPERSEDED, reason=f"{wanted.superseded_by[:7]}{who} is newer")
    if app and app.metadata.deletion_timestamp and not seen.gone:
        return Rollout(stage=Stage.DELETING, since=app.metadata.deletion_timestamp, reason=_left(app))
    if wanted.removed and seen.gone:
        return Rollout(stage=Stage.GONE)
    if wanted.removed and (app or seen.feed not in (FeedState.CONNECTING, FeedState.FAILED)):
        return _removal(wanted, seen, contains, now)
    if app is None and seen.feed in (FeedState.CONNECTING, FeedState.FAILED):
        why = seen.feed_error or ("Argo CD has not answered yet" if seen.feed is FeedState.CONNECTING else "Argo CD is not reachable")
        return Rollout(stage=Stage.UNKNOWN, since=seen.feed_since, reason=f"{why}{since(seen.feed_since, now)}")
    if app is None or seen.gone:
        return _absent(wanted, seen, contains, now)
    if known is None:
        health = app.status.health.status
        return Rollout(
            stage=Stage.UNKNOWN, undecided=True, reason=f"Argo CD says {app.status.sync.status or 'nothing'}, {health or 'no health'}"
        )
    return _application(wanted, seen, known, now)


def _removal(wanted: Wanted, seen: Seen, contains: ContainsCommit, now: datetime) -> Rollout:
    held = upkeep.holdup(seen, wanted.commit, contains, now=now)
    there = "the Application is still there" if seen.application else "nobody has looked for the Application yet"
    reason = held.text if held else f"its Manager has synced the removal; {there}"
    flags = frozenset((Flag.NEEDS_YOU,)) if held and held.wipes_out else frozenset[Flag]()
    return Rollout(stage=Stage.COMMITTED, since=wanted.committed_at, reason=reason, flags=flags)


def _absent(wanted: Wanted, seen: Seen, contains: ContainsCommit, now: datetime) -> Rollout:
    held = upkeep.holdup(seen, wanted.commit, contains, now=now)
    if held:
        return Rollout(stage=Stage.COMMITTED, since=wanted.committed_at, reason=held.text)
    if seen.forbidden:
        return Rollout(stage=Stage.UNKNOWN, reason="you may not see it")
    if seen.not_found:
        return Rollout(stage=Stage.MISSING, reason="its Manager has synced the commit, and there is no such Application")
    return Rollout(
        stage=Stage.COMMITTED, since=wanted.committed_at, reason="its Manager has synced the commit; the Application is not seen yet"
    )


def _application(wanted: Wanted, seen: Seen, known: Facts, now: datetime) -> Rollout:
    app, reconciled = known.app, known.app.status.reconciled_at
    error = conditions.comparison_error(app)
    if known.sync == "Unknown" and error is None:
        return Rollout(stage=Stage.UNKNOWN, since=reconciled, reason=f"Argo CD cannot say whether it is in sync{since(reconciled, now)}")
    if error:
        said = conditions.sentence(error.message) or error.type
        if wanted.before is not None and (reconciled is None or reconciled <= wanted.before):
            return Rollout(stage=Stage.COMMITTED, since=wanted.committed_at, reason=f"the error is older than the commit: {said}")
        if conditions.transient(error.message) and not _again(known, error, wanted):
            return Rollout(stage=Stage.COMMITTED, since=reconciled, reason=f"Argo CD could not compare and will try again: {said}")
        return Rollout(stage=Stage.SYNC_FAILED, since=error.last_transition_time or reconciled, reason=said)
    unfetched = known.revision if known.holds is None else known.active.revision if known.active and known.ours is None else ""
    if unfetched:
        return Rollout(stage=Stage.UNKNOWN, undecided=True, revision=unfetched, reason=f"fetching {unfetched[:7]}")
    if not known.holds:
        compared = f", compared {clock(reconciled, now)}" if reconciled else ""
        reason = f"Argo CD is at {known.revision[:7]}{compared}" if known.revision else "Argo CD has not compared it yet"
        return Rollout(stage=Stage.COMMITTED, since=wanted.committed_at, reason=reason)
    if not specs.matches(wanted.specs, app.spec):
        names = ", ".join(specs.differences(wanted.specs[0], app.spec)) if wanted.specs else "it is not known here"
        return Rollout(
            stage=Stage.COMMITTED, since=wanted.committed_at, reason=f"its Manager has not applied application.yaml yet ({names})"
        )
    if not specs.compared(app.status.sync.compared_to, app.spec):
        return Rollout(stage=Stage.DETECTED, since=reconciled, reason="the comparison with the new application.yaml is pending")
    if known.active and not known.ours:
        kind = "a dry run" if known.active.dry_run else f"an operation to {known.active.revision[:7]}"
        reason = f"{kind} by {known.active.who or 'somebody'} runs{since(known.active.started_at, now)}: wait or terminate it"
        return Rollout(stage=Stage.DETECTED, since=known.active.started_at or reconciled, reason=reason)
    if known.active and not known.self_heal:
        reason = operation.sentence(known.active, app, seen.tree, now)
        flags = frozenset((Flag.ATTENTION,)) if known.active.waiting_retry else frozenset[Flag]()
        step = operation.progress(known.active, app)
        return Rollout(stage=Stage.SYNCING, since=known.active.started_at, reason=reason, progress=step, flags=flags)
    if known.ended and known.ended.failed and known.ours:
        reason = operation.ending(known.ended, conditions.sentence(known.ended.message))
        return Rollout(stage=Stage.SYNC_FAILED, since=known.ended.finished_at, reason=reason)
    if known.sync == "OutOfSync":
        return _out_of_sync(wanted, seen, known, now)
    if known.sync == "Synced":
        return _synced(wanted, seen, known, now)
    return Rollout(stage=Stage.UNKNOWN, reason=f"Argo CD says {known.sync or 'nothing'}, {known.health or 'no health'}")


def _again(known: Facts, error: Condition, wanted: Wanted) -> bool:
    """Whether this is not the first comparison that failed this way: the condition is older than it, or the one before was shown so."""
    reconciled, previous = known.app.status.reconciled_at, known.previous
    if reconciled is None:
        return False
    if error.last_transition_time and error.last_transition_time < reconciled:
        return True
    if previous is None or previous.stage is not Stage.COMMITTED or previous.since in (None, wanted.committed_at):
        return False
    return previous.since is not None and previous.since < reconciled


def _out_of_sync(wanted: Wanted, seen: Seen, known: Facts, now: datetime) -> Rollout:
    app, ended, reconciled = known.app, known.ended, known.app.status.reconciled_at
    error = conditions.sync_error(app)
    if error and known.gave_up:
        return Rollout(stage=Stage.SYNC_FAILED, since=error.last_transition_time, reason=conditions.sentence(error.message))
    if known.applied and known.ours and ended and _before_its_end(reconciled, ended.finished_at, now):
        return Rollout(stage=Stage.SYNCING, since=ended.started_at, reason="applied; the comparison after it is pending")
    blocking = windows.closed(seen.windows)
    if blocking and not known.active:
        return Rollout(stage=Stage.BLOCKED, since=reconciled, reason=windows.sentence(blocking, now))
    if known.automation.paused or (wanted.paused and not known.automation.present):
        return Rollout(stage=Stage.PAUSED, since=reconciled, reason=_paused(wanted))
    if not known.applied:
        if known.automation.enabled and not known.automation.self_heal and ended and reconciled and now - reconciled >= UNATTENDED:
            reason = "automated sync leaves it alone, since self-heal is off: waits for Sync"
            return Rollout(stage=Stage.DETECTED, since=reconciled, reason=reason, flags=frozenset((Flag.NEEDS_YOU,)))
        if known.automation.enabled:
            return Rollout(stage=Stage.DETECTED, since=reconciled, reason="waits for automated sync")
        return Rollout(stage=Stage.DETECTED, since=reconciled, reason="waits for Sync", flags=frozenset((Flag.NEEDS_YOU,)))
    changed = max((at for at in (reconciled, app.status.health.last_transition_time) if at), default=None)
    return Rollout(stage=Stage.DRIFTED, since=changed, reason=_drift(known))


def _synced(wanted: Wanted, seen: Seen, known: Facts, now: datetime) -> Rollout:
    health, ended = known.app.status.health, known.ended
    finished = ended.finished_at if ended and known.ours else None
    began = health.last_transition_time
    reached = max((at for at in (began, finished, wanted.committed_at) if at), default=None)
    count = pods.readiness(seen.tree)
    ready = str(count)
    healthy = health.status == "Healthy"
    found = () if healthy else pods.troubles(pods.of_release(seen.tree, since=known.applied_since), now=now)
    unplaced = next((clean(e.message, limit=300) for e in seen.scheduling if e.reason == "FailedScheduling"), "")
    said = pods.waits(seen.tree) or pods.cause(health.message, waits=health.status == "Progressing")
    if health.status == "Degraded":
        why = unplaced or (found[0].sentence() if found else "")
        reason = "; ".join(text for text in (why, said) if text) or _resources(known.app, "Degraded")
        return Rollout(stage=Stage.DEGRADED, since=began, reason=reason, progress=ready)
    bad = (*pods.degrading(found), *pods.failed_jobs(seen.tree, known.app)) if health.status == "Progressing" else ()
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return Rollout(stage=Stage.DEGRADED, since=bad[0].at or began, reason=f"{bad[0].sentence()}{more}", progress=ready)
    if health.status in ("Missing", "Suspended"):
        return Rollout(stage=Stage(health.status), since=began, reason=said or _resources(known.app, health.status))
    if healthy:
        # nobody asks for trees of what is Healthy: one that counts fewer is of before
        return Rollout(stage=Stage.LIVE, since=reached, progress=ready if count.complete else "")
    crashing = any(one.kind.alarming for one in found)
    blocked = pods.blocked(seen.tree, since=known.applied_since, now=now) if not crashing else ""
    flags = frozenset((Flag.ATTENTION,)) if unplaced or crashing or blocked else frozenset[Flag]()
    reason = unplaced or blocked or (found[0].sentence() if found else said)
    return Rollout(stage=Stage.ROLLED_OUT, since=reached, reason=reason, progress=ready, flags=flags)


def _left(app: Application) -> str:
    refused = next((c for c in app.status.conditions or () if c.type == "DeletionError"), None)
    if refused:
        return f"Argo CD cannot delete it: {conditions.sentence(refused.message)}"
    names = [f"{r.kind}/{r.name}" for r in app.status.resources or () if not r.hook]
    left = (
        f"{len(names)} resource{'s are' if len(names) > 1 else ' is'} left: {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
        if names
        else "its resources are going"
    )
    finalizers = ", ".join(app.metadata.finalizers or ())
    return f"{left}; finalizer {finalizers}" if finalizers else left


def _before_its_end(reconciled: datetime | None, finished: datetime | None, now: datetime) -> bool:
    """Whether this was compared before the operation ended: the comparison after it follows in 0.1 s, on a busy controller later."""
    return reconciled is not None and finished is not None and reconciled <= finished and now - finished < COMPARISON_PENDING


def _paused(wanted: Wanted) -> str:
    until = f" until {wanted.paused_until}" if wanted.paused_until else ""
    who = f" by {wanted.paused_by}" if wanted.paused_by else ""
    return f"automated sync is paused{who}{until}{f': {wanted.paused_reason}' if wanted.paused_reason else ''}"


def _drift(known: Facts) -> str:
    ended = known.ended
    if ended and ended.succeeded and not known.ours and not ended.dry_run and ended.revision:
        return f"{ended.who or 'somebody'} synced {ended.revision[:7]}, which does not hold this commit"
    return f"differs: {_resources(known.app, 'OutOfSync')}"


def _resources(app: Application, status: str) -> str:
    """Which resources have this sync or health status, as far as they are known."""
    named = [r for r in app.status.resources or () if status in (r.status, r.health.status if r.health else "")]
    names = [f"{r.kind}/{r.name}" for r in named]
    if not names:
        return "the resources are not known here" if status == "OutOfSync" else f"health is {status}"
    return f"{', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}"
