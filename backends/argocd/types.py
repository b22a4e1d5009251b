"""What Argo CD says, as frozen values (its Go JSON tags, camelCase; Argo CD 2.8 to 3.6).

Only the fields that Tiphys reads. A field that a projection left out is its default here: whoever needs to know the difference between
"empty" and "not asked for" looks at `Application.partial` (contract/rollout.md, *Inputs*). Texts are as the server sent them: a reader
shows them through `backends.text.clean`. Specs stay plain dicts because they are compared with files, key by key.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from backends.argocd.value import Metadata as Metadata  # noqa: PLC0414 - also to be had from here
from backends.argocd.value import Moment
from backends.argocd.value import OwnerReference as OwnerReference  # noqa: PLC0414
from backends.argocd.value import Value as Value  # noqa: PLC0414
from backends.domain.ids import AppKey


class SyncStatus(Value, frozen=True):
    status: str = ""
    """Synced, OutOfSync or Unknown; empty before the first comparison."""
    revision: str = ""
    """What was compared: a commit id, a chart version, or (after a manifest error) the branch name. Empty with several sources."""
    revisions: tuple[str, ...] | None = None
    compared_to: dict[str, Any] | None = None
    """The spec that was compared: source or sources, destination, ignoreDifferences."""


class Health(Value, frozen=True):
    status: str = ""
    message: str = ""
    last_transition_time: Moment | None = None


class Condition(Value, frozen=True):
    type: str = ""
    message: str = ""
    last_transition_time: Moment | None = None


class Initiator(Value, frozen=True):
    username: str = ""
    automated: bool = False


class SyncResource(Value, frozen=True):
    """One resource named by a partial sync operation."""

    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class SyncOperation(Value, frozen=True):
    revision: str = ""
    revisions: tuple[str, ...] | None = None
    dry_run: bool = False
    prune: bool = False
    resources: tuple[SyncResource, ...] | None = None
    auto_heal_attempts_count: int = 0


class Operation(Value, frozen=True):
    sync: SyncOperation | None = None
    initiated_by: Initiator | None = None
    retry: dict[str, Any] | None = None


class ResourceResult(Value, frozen=True):
    """What the last operation did to one resource."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    status: str = ""
    message: str = ""
    hook_type: str = ""
    hook_phase: str = ""
    sync_phase: str = ""


class SyncResult(Value, frozen=True):
    revision: str = ""
    revisions: tuple[str, ...] | None = None
    resources: tuple[ResourceResult, ...] | None = None


class OperationState(Value, frozen=True):
    operation: Operation | None = None
    phase: str = ""
    """Running, Terminating, Succeeded, Failed or Error. Running with `finished_at` set: a retry is waited for."""
    message: str = ""
    started_at: Moment | None = None
    finished_at: Moment | None = None
    retry_count: int = 0
    sync_result: SyncResult | None = None


class HistoryEntry(Value, frozen=True):
    id: int = 0
    revision: str = ""
    revisions: tuple[str, ...] | None = None
    deployed_at: Moment | None = None
    deploy_started_at: Moment | None = None
    initiated_by: Initiator | None = None


class ResourceStatus(Value, frozen=True):
    """One managed resource as `status.resources` says; hooks have no `status`."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    status: str = ""
    health: Health | None = None
    hook: bool = False
    requires_pruning: bool = False
    sync_wave: int = 0


class Summary(Value, frozen=True):
    images: tuple[str, ...] | None = None
    external_urls: tuple[str, ...] | None = msgspec.field(name="externalURLs", default=None)


class Status(Value, frozen=True):
    sync: SyncStatus = SyncStatus()
    health: Health = Health()
    conditions: tuple[Condition, ...] | None = None
    history: tuple[HistoryEntry, ...] | None = None
    operation_state: OperationState | None = None
    reconciled_at: Moment | None = None
    resources: tuple[ResourceStatus, ...] | None = None
    summary: Summary | None = None
    source_type: str = ""


class Application(Value, frozen=True):
    """One Application. `operation` is what is requested and not yet begun; `status.operation_state` what runs or ran last."""

    metadata: Metadata = Metadata()
    spec: dict[str, Any] = msgspec.field(default_factory=dict)
    operation: Operation | None = None
    status: Status = Status()
    partial: bool = msgspec.field(name="tiphys.dev/partial", default=False)
    """Set by the client on rows (`projection`): what they lack (conditions, history, most of spec) is unknown, not empty."""

    @property
    def key(self) -> AppKey:
        return AppKey(self.metadata.namespace, self.metadata.name)

    @property
    def project(self) -> str:
        return str(self.spec.get("project") or "default")

    def label(self, name: str) -> str:
        return (self.metadata.labels or {}).get(name, "")


class NodeRef(Value, frozen=True):
    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class InfoItem(Value, frozen=True):
    name: str = ""
    value: str = ""


class Node(NodeRef, frozen=True):
    """One object of a resource tree. Pods say "Status Reason", "Containers", "Restart Count", "Node" in `info`; ReplicaSets "Revision"."""

    parent_refs: tuple[NodeRef, ...] | None = None
    info: tuple[InfoItem, ...] | None = None
    images: tuple[str, ...] | None = None
    health: Health | None = None
    created_at: Moment | None = None
    resource_version: str = ""

    def about(self, name: str) -> str:
        """The value of an info item, or "" (an item without a value is "" too)."""
        return next((item.value for item in self.info or () if item.name == name), "")


class ResourceTree(Value, frozen=True):
    nodes: tuple[Node, ...] | None = None
    orphaned_nodes: tuple[Node, ...] | None = None


class EventObject(Value, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class EventSeries(Value, frozen=True):
    count: int = 0
    last_observed_time: Moment | None = None


class Event(Value, frozen=True):
    """A Kubernetes event; `count` grows while it repeats, or `series` does (the scheduler's events have no count at all)."""

    metadata: Metadata = Metadata()
    involved_object: EventObject = EventObject()
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int = 0
    first_timestamp: Moment | None = None
    last_timestamp: Moment | None = None
    event_time: Moment | None = None
    series: EventSeries | None = None

    @property
    def at(self) -> datetime | None:
        """When it was seen last."""
        repeated = self.series.last_observed_time if self.series else None
        return repeated or self.last_timestamp or self.event_time or self.first_timestamp or self.metadata.creation_timestamp

    @property
    def times(self) -> int:
        """How often it was seen."""
        return max(self.count, self.series.count if self.series else 0, 1)


class LogLine(Value, frozen=True):
    content: str = ""
    pod_name: str = ""
    time_stamp_str: str = ""
    last: bool = False


class SyncWindow(Value, frozen=True):
    kind: str = ""
    schedule: str = ""
    duration: str = ""
    start_time: Moment | None = None
    end_time: Moment | None = None
    manual_sync: bool = False
    manual_sync_enabled: bool = False


class SyncWindows(Value, frozen=True):
    active_windows: tuple[SyncWindow, ...] | None = None
    assigned_windows: tuple[SyncWindow, ...] | None = None
    can_sync: bool = False


class ResourceDiff(Value, frozen=True):
    """One managed resource as JSON texts; a text that is "null" or absent: not there. Secret data comes masked."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    target_state: str = ""
    live_state: str = ""
    normalized_live_state: str = ""
    predicted_live_state: str = ""
    hook: bool = False
    modified: bool = False
    resource_version: str = ""


class RevisionMetadata(Value, frozen=True):
    author: str = ""
    date: Moment | None = None
    message: str = ""
    tags: tuple[str, ...] | None = None


class ConnectionState(Value, frozen=True):
    status: str = ""
    message: str = ""
    attempted_at: Moment | None = None


class ClusterInfo(Value, frozen=True):
    connection_state: ConnectionState = ConnectionState()
    server_version: str = ""
    applications_count: int = 0


class Cluster(Value, frozen=True):
    name: str = ""
    server: str = ""
    connection_state: ConnectionState = ConnectionState()
    server_version: str = ""
    info: ClusterInfo = ClusterInfo()
    labels: dict[str, str] | None = None


class Project(Value, frozen=True):
    metadata: Metadata = Metadata()
    spec: dict[str, Any] = msgspec.field(default_factory=dict)


class UserInfo(Value, frozen=True):
    logged_in: bool = False
    username: str = ""
    iss: str = ""
    groups: tuple[str, ...] | None = None


class ServerVersion(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", gc=False):
    """`/api/version`, the one answer in PascalCase."""

    version: str = ""
    helm_version: str = ""
    kubectl_version: str = ""


class Settings(Value, frozen=True):
    url: str = ""
    app_label_key: str = ""
    tracking_method: str = ""
    controller_namespace: str = ""
    apps_in_any_namespace_enabled: bool = False
    user_logins_disabled: bool = False


class WatchEvent(Value, frozen=True):
    """One message of the Application stream; `type` is ADDED, MODIFIED or DELETED."""

    type: str = ""
    application: Application = Application()
