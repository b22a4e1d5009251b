"""What Tiphys asks of an Argo CD: the calls that `http.HttpArgoCD` makes and that live state, follow and the command line use.

Every call raises `BackendError`s alone. `project` should be given when known: without it Argo CD answers 403 for what is missing
(contract/argocd-live.md, *403 and 404*).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from backends.argocd.types import (
    Application,
    Cluster,
    Event,
    LogLine,
    Node,
    Project,
    ResourceDiff,
    ResourceTree,
    RevisionMetadata,
    ServerVersion,
    Settings,
    SyncResource,
    SyncWindows,
    UserInfo,
    WatchEvent,
)
from backends.domain.ids import AppKey


class ArgoCD(Protocol):
    """One Argo CD endpoint, as one user."""

    @property
    def url(self) -> str:
        """Base URL with any path prefix, without credentials."""
        ...

    async def close(self) -> None: ...

    # reading
    async def list_applications(
        self, *, selector: str = "", projects: Sequence[str] = (), name: str = "", full: bool = False
    ) -> tuple[Application, ...]:
        """Projected to what rows need, by server version; `full` leaves the projection out."""
        ...

    async def get_application(self, key: AppKey, *, project: str = "", refresh: str = "") -> Application:
        """`refresh` is "", "normal" or "hard"; with it the answer comes after the comparison."""
        ...

    def watch_applications(
        self, *, selector: str = "", name: str = "", projected: bool = True, rows: bool = False, read: float | None = None
    ) -> AsyncIterator[WatchEvent | None]:
        """One connection, opened without resourceVersion: first its burst (ADDED for each), then changes; None is a keep-alive.

        Projected to all that a stage is derived from, or with `rows` to what a list gives and uid and resourceVersion (`partial`). `read` is
        how many seconds of silence make `TimedOut`; None: none do.

        Ends (StopAsyncIteration) at EOF; raises `Unavailable`, `Unauthorized` … when refused or cut. Reconnecting is `live.feeds`' work.
        """
        ...

    async def resource_tree(self, key: AppKey, *, project: str = "") -> ResourceTree: ...

    def watch_tree(self, key: AppKey, *, project: str = "", read: float | None = None) -> AsyncIterator[ResourceTree | None]: ...

    async def events(self, key: AppKey, *, project: str = "", node: Node | None = None) -> tuple[Event, ...]:
        """Events of the Application itself, or of one object of its tree."""
        ...

    async def managed_resources(self, key: AppKey, *, project: str = "") -> tuple[ResourceDiff, ...]: ...

    async def manifests(self, key: AppKey, *, project: str = "", revision: str = "") -> tuple[str, ...]:
        """Rendered manifests as JSON texts, Secret data masked."""
        ...

    async def resource(self, key: AppKey, node: Node, *, project: str = "") -> str:
        """One live object as a JSON text."""
        ...

    def logs(
        self,
        key: AppKey,
        *,
        project: str = "",
        pod: str = "",
        namespace: str = "",
        container: str = "",
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
    ) -> AsyncIterator[LogLine]: ...

    async def revision_metadata(self, key: AppKey, revision: str, *, project: str = "", source_index: int = 0) -> RevisionMetadata: ...

    async def sync_windows(self, key: AppKey, *, project: str = "") -> SyncWindows: ...

    async def version(self) -> ServerVersion: ...

    async def settings(self) -> Settings: ...

    async def user_info(self) -> UserInfo: ...

    async def can_i(self, resource: str, action: str, subresource: str = "*") -> bool: ...

    async def clusters(self) -> tuple[Cluster, ...]: ...

    async def projects(self) -> tuple[Project, ...]: ...

    # writing
    async def sync(
        self,
        key: AppKey,
        *,
        project: str = "",
        revision: str = "",
        revisions: Sequence[str] = (),
        prune: bool = False,
        dry_run: bool = False,
        resources: Sequence[SyncResource] = (),
    ) -> Application:
        """Accepted, not done: follow `status.operation_state`."""
        ...

    async def terminate(self, key: AppKey, *, project: str = "") -> None: ...

    async def create_project(self, project: dict[str, Any], *, upsert: bool = True) -> None: ...

    async def create_cluster(self, cluster: dict[str, Any], *, upsert: bool = True) -> None:
        """`{"name", "server", "config": {…}}`; the credentials in `config` end up in a Secret beside Argo CD."""
        ...

    async def create_application(self, application: dict[str, Any], *, upsert: bool = True, validate: bool = True) -> Application: ...

    async def delete_application(self, key: AppKey, *, project: str = "", cascade: bool = True) -> None: ...
