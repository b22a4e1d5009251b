"""What the root and an environment's Manager are doing to bring application.yaml into Argo CD, and what holds them up.

The root keeps `control/` in step and so brings the Manager; the Manager keeps the environment's application.yaml files in step. Where one
of them is stuck, whatever a deployment's own Application says is only a consequence.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from backends.argocd.types import Application
from backends.domain import conditions, operation
from backends.domain.ids import Sha, is_sha
from backends.domain.moment import clock
from backends.domain.stage import ContainsCommit, Seen
from backends.text import clean


class Holdup(msgspec.Struct, frozen=True, kw_only=True):
    """Why a commit has not reached its Application yet. `text` is cleaned and begins with who it is about."""

    text: str
    name: str = ""
    """The Application in trouble (root or Manager); "" when it is not there."""
    error: bool = False
    """It will not go away by waiting."""
    wipes_out: bool = False
    """Automated sync refuses to remove the last resources: an explicit sync with prune is needed."""
    missing: bool = False
    forbidden: bool = False
    at: datetime | None = None


def past(keeper: Application | None, commit: Sha, contains: ContainsCommit) -> bool:
    """Whether root or Manager is Synced at a revision that contains the commit."""
    if keeper is None or keeper.partial or keeper.status.sync.status != "Synced":
        return False
    return _holds(keeper, commit, contains) is True


def holdup(seen: Seen, commit: Sha, contains: ContainsCommit, *, now: datetime) -> Holdup | None:
    """What keeps the commit's application.yaml out of Argo CD; None when the Manager has synced past the commit."""
    if past(seen.manager, commit, contains):
        return None
    if seen.manager is not None:
        return _trouble("its Manager", seen.manager, seen, _holds(seen.manager, commit, contains), now)
    if seen.root is None:
        return Holdup(text="neither its Manager nor the root is in Argo CD, or you may not see them", missing=True, error=True)
    if past(seen.root, commit, contains):
        return Holdup(text="its Manager is not in Argo CD although the root has synced the commit, or you may not see it", missing=True)
    return _trouble("its Manager is not there yet: the root", seen.root, seen, _holds(seen.root, commit, contains), now)


def _revision(keeper: Application) -> str:
    return operation.pick(keeper.status.sync.revision, keeper.status.sync.revisions, None)


def _holds(keeper: Application, commit: Sha, contains: ContainsCommit) -> bool | None:
    revision = _revision(keeper)
    return contains(revision, commit) if is_sha(revision) else False


def _trouble(who: str, keeper: Application, seen: Seen, here: bool | None, now: datetime) -> Holdup:
    name = clean(keeper.metadata.name, limit=120)
    found = conditions.comparison_error(keeper)
    if found:
        text = f"{who} cannot compare: {conditions.sentence(found.message)}"
        return Holdup(text=text, name=name, error=True, at=found.last_transition_time)
    running = operation.current(keeper, None)
    refused = conditions.sync_error(keeper)
    if refused and not (running and running.active):
        wipes = conditions.WIPE_OUT in refused.message
        asks = ": sync it with prune, its name typed" if wipes else ""
        text = f"{who} refuses: {conditions.sentence(refused.message)}{asks}"
        return Holdup(text=text, name=name, error=True, wipes_out=wipes, at=refused.last_transition_time)
    if running and running.active:
        text = f"{who} is syncing: {operation.sentence(running, keeper, None, now)}"
        return Holdup(text=text, name=name, error=running.waiting_retry, at=running.started_at)
    if running and running.failed and here:
        failed = operation.failure(running) or conditions.sentence(running.message)
        return Holdup(text=f"{who} failed to sync: {failed}", name=name, error=True, at=running.finished_at)
    if here:
        health = f", {clean(keeper.status.sync.status, limit=40)}" if keeper.status.sync.status else ""
        return Holdup(text=f"{who} has seen the commit and has not applied it yet{health}", name=name, at=keeper.status.reconciled_at)
    if seen.refresh_forbidden:
        text = f"{who} has not looked yet and you may not refresh it ({clean(seen.refresh_forbidden, limit=120)})"
        return Holdup(text=text, name=name, forbidden=True, at=keeper.status.reconciled_at)
    revision = _revision(keeper)
    compared = f", compared {clock(keeper.status.reconciled_at, now)}" if keeper.status.reconciled_at else ""
    at = f" is at {clean(revision, limit=40)[:7]}{compared}" if revision else " has compared nothing yet"
    return Holdup(text=f"{who} has not seen the commit yet:{at}", name=name, at=keeper.status.reconciled_at)
