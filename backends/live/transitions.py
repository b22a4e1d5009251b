"""What happened to an Application between two looks at it, as lines of the event tail.

Argo CD's stream tells states, not events, and Kubernetes keeps events for an hour and gives them only by asking: for most Applications
this is all the tail knows. Times are the data's own where it has them. Pure; `live.tail` calls it for every change of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from backends.argocd.types import Application
from backends.domain import conditions, operation
from backends.domain.event import NORMAL, WARNING, EventSource, LiveEvent
from backends.domain.ids import is_sha
from backends.text import clean

LIMIT = 300
_BAD_HEALTH = ("Degraded", "Missing")


def transitions(before: Application | None, after: Application | None, *, at: datetime) -> tuple[LiveEvent, ...]:
    """The events between two looks; None is absence. `at` is when the second look was, for what bears no time of its own."""
    if after is None:
        return () if before is None else (_event(before, at, "Deleted", "the Application is gone"),)
    if before is None:
        created = after.metadata.creation_timestamp
        return (_event(after, created or at, "Created", f"in project {clean(after.project, limit=80)}"),)
    return tuple(sorted(_changes(before, after, at), key=lambda event: event.at))


def _changes(before: Application, after: Application, at: datetime) -> Iterator[LiveEvent]:
    going = after.metadata.deletion_timestamp
    if going and not before.metadata.deletion_timestamp:
        yield _event(after, going, "Deleting", "its resources are being removed")
    yield from _operation(before, after, at)
    yield from _sync(before, after, at)
    yield from _health(before, after, at)
    known = {(one.type, one.message) for one in before.status.conditions or ()}
    for one in after.status.conditions or ():
        if (one.type, one.message) not in known and not after.partial and not before.partial:
            kind = WARNING if one.type.endswith("Error") else NORMAL
            yield _event(after, one.last_transition_time or at, clean(one.type, limit=60), conditions.sentence(one.message), kind)


def _sync(before: Application, after: Application, at: datetime) -> Iterator[LiveEvent]:
    old, new = before.status.sync, after.status.sync
    if old.status == new.status or not new.status:
        return
    revision = operation.pick(new.revision, new.revisions, None)
    where = f" at {revision[:7]}" if is_sha(revision) else ""
    text = f"{clean(old.status, limit=40) or 'not compared'} → {clean(new.status, limit=40)}{where}"
    kind = WARNING if new.status == "Unknown" else NORMAL
    compared = after.status.reconciled_at
    moved = compared if compared != before.status.reconciled_at else None  # a partial refresh leaves it where it was
    yield _event(after, moved or at, clean(new.status, limit=40), text, kind)


def _health(before: Application, after: Application, at: datetime) -> Iterator[LiveEvent]:
    old, new = before.status.health, after.status.health
    if old.status == new.status or not new.status:
        return
    said = f": {clean(new.message, limit=LIMIT)}" if new.message else ""
    text = f"{clean(old.status, limit=40) or 'unknown'} → {clean(new.status, limit=40)}{said}"
    kind = WARNING if new.status in _BAD_HEALTH else NORMAL
    yield _event(after, new.last_transition_time or at, clean(new.status, limit=40), text, kind)


def _operation(before: Application, after: Application, at: datetime) -> Iterator[LiveEvent]:
    old, new = operation.current(before, None), operation.current(after, None)
    if new is None or new == old:
        return
    same_run = old is not None and old.started_at == new.started_at and old.phase != "Requested"
    to = f" to {new.revision[:7]}" if new.revision else ""
    by = f" by {new.who}" if new.who else ""
    part = " of some resources" if new.partial else ""
    dry = "dry run" if new.dry_run else "sync"
    if new.phase == "Requested":
        if old is None or old.phase != "Requested":
            yield _event(after, at, "SyncRequested", f"{dry}{to}{part}{by}")
        return
    if not same_run:
        yield _event(after, new.started_at or at, "SyncStarted", f"{dry}{to}{part}{by}")
    if new.active:
        yield from _running(after, old if same_run else None, new, at)
    elif not same_run or (old is not None and old.phase != new.phase):
        failed = operation.failure(new)
        text = f"{clean(new.message, limit=LIMIT)}{f': {failed}' if failed else ''}"
        yield _event(after, new.finished_at or at, f"Sync{clean(new.phase, limit=40)}", text, WARNING if new.failed else NORMAL)


def _running(app: Application, old: operation.Operation | None, new: operation.Operation, at: datetime) -> Iterator[LiveEvent]:
    """An operation that goes on: another attempt, something else that it waits for, somebody who ends it."""
    if new.phase == "Terminating" and (old is None or old.phase != "Terminating"):
        yield _event(app, at, "SyncTerminating", "somebody ends the operation", WARNING)
    elif new.waiting_retry and (old is None or old.retries != new.retries or not old.waiting_retry):
        yield _event(app, new.finished_at or at, "SyncFailed", operation.sentence(new, app, None, at), WARNING)
    elif new.message and (old is None or old.message != new.message) and operation.waited_for(new)[0]:
        yield _event(app, at, "SyncWaiting", operation.sentence(new, app, None, at))


def _event(app: Application, at: datetime, reason: str, message: str, kind: str = NORMAL) -> LiveEvent:
    return LiveEvent(
        at=at,
        source=EventSource.ARGO,
        application=app.key,
        kind="Application",
        name=app.metadata.name,
        type=kind,
        reason=reason,
        message=message,
    )
