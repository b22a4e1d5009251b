"""When a release passed each point of its way, as far as anybody saw it: what the ruler draws and `live.observations` keeps.

A disposable cache, never a source of truth. Times are the data's own; only readiness of single pods has none in a resource tree, so the
first ready pod is stamped with the look that saw it. A milestone once set stays.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from backends.argocd.types import Application
from backends.domain import operation, pods
from backends.domain.ids import Sha, is_sha
from backends.domain.stage import ContainsCommit, Flag, Rollout, Seen, Stage

_APPLIED = (Stage.ROLLED_OUT, Stage.LIVE, Stage.DEGRADED, Stage.DRIFTED, Stage.SUSPENDED)
_DETECTED = (*_APPLIED, Stage.DETECTED, Stage.SYNCING, Stage.SYNC_FAILED, Stage.BLOCKED, Stage.PAUSED)


class Milestones(msgspec.Struct, frozen=True, kw_only=True):
    """Points in time (UTC) of one release of one deployment; None: not reached, or nobody saw it."""

    commit: Sha
    push: datetime | None = None
    detected: datetime | None = None
    """Argo CD compared a revision with the commit, or began to sync it."""
    synced: datetime | None = None
    first_ready: datetime | None = None
    all_ready: datetime | None = None
    live: datetime | None = None


def observe(previous: Milestones, rollout: Rollout, seen: Seen, *, now: datetime) -> Milestones:
    """The milestones after one more look; the same value when it showed nothing new."""
    app = seen.application
    if app is None or app.partial or rollout.undecided or Flag.STALE in rollout.flags:
        return previous
    found = {
        "detected": _detected(rollout, app),
        "synced": _synced(previous, rollout, app),
        "first_ready": _first_ready(previous, rollout, seen, now),
        "all_ready": _all_ready(rollout, app, previous),
        "live": rollout.since if rollout.stage is Stage.LIVE and Flag.UNPROVEN not in rollout.flags else None,
    }
    news = {name: at for name, at in found.items() if at is not None and getattr(previous, name) is None}
    return msgspec.structs.replace(previous, **news) if news else previous


def seeded(milestones: Milestones, app: Application, contains: ContainsCommit, *, ref_index: int | None = None) -> Milestones:
    """What Argo CD's history still tells of a release that nobody followed: when its operation began and ended."""
    for entry in sorted(app.status.history or (), key=lambda one: one.id):
        revision = operation.pick(entry.revision, entry.revisions, ref_index)
        if is_sha(revision) and contains(revision, milestones.commit):
            began = milestones.detected or entry.deploy_started_at
            return msgspec.structs.replace(milestones, detected=began, synced=milestones.synced or entry.deployed_at)
    return milestones


def _detected(rollout: Rollout, app: Application) -> datetime | None:
    if rollout.stage not in _DETECTED:
        return None
    times = (app.status.reconciled_at, rollout.since if rollout.stage is Stage.SYNCING else None)
    return min((at for at in times if at), default=None)


def _synced(previous: Milestones, rollout: Rollout, app: Application) -> datetime | None:
    if rollout.stage not in _APPLIED:
        return None
    if Flag.NOTHING_TO_DO in rollout.flags:
        return app.status.reconciled_at
    after = previous.push or previous.detected
    entries = () if Flag.HOOKS_SKIPPED in rollout.flags else app.status.history or ()
    last = max((entry.deployed_at for entry in entries if entry.deployed_at), default=None)
    if last and after and last >= after:
        return last
    state = app.status.operation_state
    return state.finished_at if state and state.phase == "Succeeded" else None


def _first_ready(previous: Milestones, rollout: Rollout, seen: Seen, now: datetime) -> datetime | None:
    if previous.synced is None or rollout.stage not in (Stage.ROLLED_OUT, Stage.DEGRADED):
        return None
    return now if pods.readiness(seen.tree).ready else None


def _all_ready(rollout: Rollout, app: Application, previous: Milestones) -> datetime | None:
    if rollout.stage is not Stage.LIVE:
        return None
    times = (app.status.health.last_transition_time, previous.synced, previous.push)
    return max((at for at in times if at), default=None)
