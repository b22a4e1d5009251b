"""Applications for tests of live state: small, complete, and projected the way a list projects them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from backends.argocd.types import Application, Health, Metadata, Status, SyncStatus, WatchEvent
from backends.domain.ids import AppKey

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
WORKSPACE = "01JD8Z6W4T0Q8C2V6N3M5X7Y9A"
REVISIONS = tuple(f"{n:040x}" for n in range(1, 40))


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def key(name: str) -> AppKey:
    return AppKey("argocd", name)


def application(
    name: str,
    *,
    version: int = 1,
    uid: str = "",
    revision: str = REVISIONS[0],
    sync: str = "Synced",
    health: str = "Healthy",
    labels: dict[str, str] | None = None,
    created: datetime = START,
    reconciled: datetime | None = None,
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> Application:
    """One Application as a projected stream shows it."""
    return Application(
        metadata=Metadata(
            name=name,
            namespace="argocd",
            uid=uid or f"uid-of-{name}",
            resource_version=str(version),
            creation_timestamp=created,
            labels=labels if labels is not None else {"tiphys.dev/workspace": WORKSPACE},
        ),
        spec=spec if spec is not None else {"project": "acme--dev", "source": {"path": "charts/service/1.0.0"}},
        status=Status(sync=SyncStatus(status=sync, revision=revision), health=Health(status=health), reconciled_at=reconciled, **status),
    )


def projected(full: Application) -> Application:
    """The same Application as a projected list shows it: no uid, no version, no conditions, no history, no reconciledAt."""
    state = full.status.operation_state
    return Application(
        partial=True,
        metadata=msgspec.structs.replace(full.metadata, uid="", resource_version="", finalizers=None, owner_references=None),
        spec={**full.spec, "sources": None},
        operation=full.operation,
        status=Status(
            sync=SyncStatus(status=full.status.sync.status, revision=full.status.sync.revision),
            health=full.status.health,
            summary=full.status.summary,
            operation_state=msgspec.structs.replace(state, message="", operation=None, sync_result=None, retry_count=0) if state else None,
        ),
    )


def added(app: Application) -> WatchEvent:
    return WatchEvent(type="ADDED", application=app)


def modified(app: Application) -> WatchEvent:
    return WatchEvent(type="MODIFIED", application=app)


def deleted(app: Application) -> WatchEvent:
    return WatchEvent(type="DELETED", application=app)
