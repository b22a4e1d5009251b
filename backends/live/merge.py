"""What a projected list can tell about a row that came from a fuller source: does it differ, and what of it is newer?

A projected list has no versions, so it is compared by the fields that every Argo CD from 2.8 on lets one project
(contract/argocd-api.md §3.5). A field that only one side has decides nothing. Pure; the store says when to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from backends.argocd.types import Application, Operation, OperationState, Status, SyncStatus

_SPEC = ("project", "source", "sources", "destination", "syncPolicy")


def differs(known: Application, listed: Application) -> bool:
    """Whether the list shows another state than the row: something moved that the row has missed."""
    old, new = known.status, listed.status
    return (
        old.sync.status != new.sync.status
        or bool(old.sync.revision and new.sync.revision and old.sync.revision != new.sync.revision)
        or old.health.status != new.health.status
        or _phase(old.operation_state) != _phase(new.operation_state)
        or known.metadata.deletion_timestamp != listed.metadata.deletion_timestamp
        or known.metadata.labels != listed.metadata.labels
        or _spec_differs(known.spec, listed.spec)
    )


def merge(known: Application, listed: Application) -> Application:
    """The row with what the list knows better, partial: the rest stays as it was heard before and is no longer proven."""
    old, new = known.status, listed.status
    status = msgspec.structs.replace(
        old,
        sync=msgspec.structs.replace(old.sync, status=new.sync.status, revision=new.sync.revision or _kept_revision(old.sync, new.sync)),
        health=new.health if new.health.status != old.health.status else old.health,
        operation_state=_operation_state(old, new),
        summary=new.summary or old.summary,
    )
    metadata = msgspec.structs.replace(
        known.metadata,
        labels=listed.metadata.labels,
        annotations=listed.metadata.annotations,
        deletion_timestamp=listed.metadata.deletion_timestamp,
        creation_timestamp=listed.metadata.creation_timestamp or known.metadata.creation_timestamp,
    )
    spec = {**known.spec, **{key: value for key, value in listed.spec.items() if value is not None}}
    operation: Operation | None = listed.operation or (
        known.operation if _phase(old.operation_state) == _phase(new.operation_state) else None
    )
    return Application(metadata=metadata, spec=spec, operation=operation, status=status, partial=True)


def _phase(state: OperationState | None) -> tuple[object, ...]:
    return (state.phase, state.started_at, state.finished_at) if state else ("", None, None)


def _operation_state(old: Status, new: Status) -> OperationState | None:
    if _phase(old.operation_state) == _phase(new.operation_state):
        return old.operation_state
    return new.operation_state


def _kept_revision(old: SyncStatus, new: SyncStatus) -> str:
    """A list before 3.5 says no revision: the known one stays only while the rest of the sync status does."""
    return old.revision if old.status == new.status else ""


def _spec_differs(known: Mapping[str, Any], listed: Mapping[str, Any]) -> bool:
    return any(known.get(key) != listed[key] for key in _SPEC if listed.get(key) is not None and known.get(key) is not None)
