"""What one look at an Application says about one commit, before any stage is decided.

The questions of contract/rollout.md (*Inputs*) answered once: which revision was compared and whether it holds the commit, whose
operation runs, whether the commit was applied and by what. No decision is made here.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from backends.argocd.types import Application, HistoryEntry
from backends.domain import conditions, operation, specs
from backends.domain.ids import is_sha
from backends.domain.operation import Operation
from backends.domain.stage import ContainsCommit, Flag, Rollout, Stage, Wanted

_RUNNING_STAGES = (Stage.ROLLED_OUT, Stage.LIVE, Stage.DEGRADED, Stage.DRIFTED)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Answers about one Application and one commit; None where the answer waits for a fetch."""

    app: Application
    revision: str
    """What was compared, of the `ref` source among several: a commit id, or what Argo CD says instead; "" before the first comparison."""
    holds: bool | None
    """The compared revision contains the commit."""
    operation: Operation | None
    """Wanted, running, or the last one."""
    ours: bool | None
    """That operation is for the commit: no dry run, and its revision contains the commit."""
    entry: HistoryEntry | None
    """The first history entry that contains the commit."""
    applied: bool
    self_heal: bool
    """The active operation only puts back what was applied before."""
    stuck: bool
    """Automated sync gave up on a revision without the commit and will not try ours by itself."""
    gave_up: bool
    """A SyncError that is about the commit and not older than the last operation."""
    automation: specs.Automation
    previous: Rollout | None
    """What is shown now for the same commit."""

    @property
    def sync(self) -> str:
        return self.app.status.sync.status

    @property
    def health(self) -> str:
        return self.app.status.health.status

    @property
    def active(self) -> Operation | None:
        """The operation that is wanted or running now."""
        return self.operation if self.operation and self.operation.active else None

    @property
    def ended(self) -> Operation | None:
        """The last operation, when none is wanted or running."""
        return self.operation if self.operation and not self.operation.active else None

    @property
    def applied_since(self) -> datetime | None:
        """When the operation that applied the commit began; None when there was none or it is not known any more."""
        if self.entry and self.entry.deploy_started_at:
            return self.entry.deploy_started_at
        return self.operation.started_at if self.operation and self.ours and not self.self_heal else None


def read(app: Application, wanted: Wanted, contains: ContainsCommit, previous: Rollout | None) -> Facts:
    """Ask one Application about `wanted.commit`. `previous` is what was shown for the same commit, which a self-heal is told by."""

    def holds(revision: str) -> bool | None:
        return contains(revision, wanted.commit) if is_sha(revision) else False

    status = app.status
    revision = operation.pick(status.sync.revision, status.sync.revisions, wanted.ref_index)
    compared = holds(revision)
    running = operation.current(app, wanted.ref_index)
    # An operation that names no commit syncs the branch's head, which is never behind what was compared.
    ours = None if running is None else False if running.dry_run else holds(running.revision) if running.revision else compared
    entries = sorted(status.history or (), key=lambda entry: entry.id)
    entry = next((e for e in entries if holds(operation.pick(e.revision, e.revisions, wanted.ref_index))), None)
    succeeded = bool(running and running.succeeded and ours)
    applied = entry is not None or (succeeded and (not running.partial or status.sync.status == "Synced") if running else False)
    was_running = previous is not None and previous.stage in _RUNNING_STAGES and Flag.UNPROVEN not in previous.flags
    healing = bool(running and running.active and running.automated and running.partial and ours and (applied or was_running))
    stuck, gave_up = _given_up(app, wanted, contains, running, ours)
    return Facts(
        app=app,
        revision=revision,
        holds=compared,
        operation=running,
        ours=ours,
        entry=entry,
        applied=applied,
        self_heal=healing,
        stuck=stuck and compared is True,
        gave_up=gave_up,
        automation=specs.automation(app.spec),
        previous=previous,
    )


def revision_of(app: Application) -> str:
    """What an Application compared last, where no `ref` source is known: its commit, or what Argo CD says instead."""
    return operation.pick(app.status.sync.revision, app.status.sync.revisions, None)


def spec_applied(known: Facts, wanted: Wanted) -> bool:
    """Whether the live spec is one of those that the repository says."""
    return specs.matches(wanted.specs, known.app.spec)


def _given_up(
    app: Application, wanted: Wanted, contains: ContainsCommit, running: Operation | None, ours: bool | None
) -> tuple[bool, bool]:
    """Whether a SyncError speaks of a revision without the commit, or of one with it."""
    found = conditions.sync_error(app)
    if found is None or app.status.sync.status != "OutOfSync" or (running and running.active and ours is not False):
        return False, False
    named = operation.pick("", conditions.attempted(found), wanted.ref_index)
    if is_sha(named) and contains(named, wanted.commit) is False:
        return True, False
    began = running.started_at if running and ours else None
    current = found.last_transition_time is None or began is None or found.last_transition_time >= began
    return False, current
