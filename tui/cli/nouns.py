"""What every noun looks like in JSON and in tables: the one place that says which keys there are.

Every key of a noun is always there, null when it is not known; times are RFC 3339 in UTC; texts are cleaned; stages are the names of
`backends.domain.rollout.Stage`. `KEYS` is the contract, held by a test against what is printed; `columns` says what tables show of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.text import clean

if TYPE_CHECKING:
    from backends.argocd.types import Application, Cluster, Node, Project
    from backends.domain.app import App
    from backends.domain.deployment import Deployment
    from backends.domain.environment import Environment
    from backends.domain.event import LiveEvent
    from backends.domain.release import Release
    from backends.gitops.catalog import Catalog
    from backends.live.following import Looked

KEYS: Mapping[str, tuple[str, ...]] = {
    "deployment": (
        "id",
        "app",
        "environment",
        "cluster",
        "namespace",
        "stage",
        "flags",
        "since",
        "reason",
        "sync",
        "health",
        "images",
        "chart",
        "revision",
        "commit",
        "author",
        "committedAt",
        "paused",
    ),
    "application": (
        "namespace",
        "name",
        "project",
        "cluster",
        "destinationNamespace",
        "sync",
        "health",
        "revision",
        "images",
        "labels",
        "managed",
        "reason",
        "createdAt",
    ),
    "app": ("name", "kind", "source", "chart", "images", "deployments"),
    "environment": ("name", "kind", "order", "cluster", "clusters", "protected", "automated", "locks", "deployments"),
    "cluster": ("name", "server", "version", "connection", "applications", "nodes", "reason"),
    "project": ("name", "sourceRepos", "destinations", "description"),
    "workspace": ("name", "id", "repo", "branch", "argocd", "last"),
    "event": ("at", "source", "deployment", "application", "kind", "name", "type", "reason", "message", "count"),
    "release": ("commit", "at", "author", "subject", "op", "images", "chart", "outcome", "reason", "change"),
    "node": ("uid", "parent", "group", "kind", "namespace", "name", "sync", "health", "wave", "hook", "message", "images", "createdAt"),
}

_KUBERNETES_IN_CLUSTER = "https://kubernetes.default.svc"


def application(one: Application, *, managed: bool) -> dict[str, Any]:
    """One Application; `managed` says whether a directory of the workspace names it."""
    spec, status = one.spec, one.status
    destination = spec.get("destination") or {}
    revisions = status.sync.revisions or ()
    return {
        "namespace": one.metadata.namespace,
        "name": one.metadata.name,
        "project": clean(one.project),
        "cluster": destination_cluster(destination),
        "destinationNamespace": _text(destination.get("namespace")),
        "sync": _text(status.sync.status),
        "health": _text(status.health.status),
        "revision": _text(status.sync.revision or ", ".join(revisions)),
        "images": [clean(image) for image in (status.summary.images if status.summary else None) or ()],
        "labels": {clean(key): clean(value) for key, value in (one.metadata.labels or {}).items()},
        "managed": managed,
        "reason": trouble(one),
        "createdAt": one.metadata.creation_timestamp,
    }


def destination_cluster(destination: Mapping[str, Any]) -> str | None:
    """A destination's cluster by name where it has one, else its server."""
    name, server = destination.get("name"), destination.get("server")
    return _text(name or ("in-cluster" if server == _KUBERNETES_IN_CLUSTER else server))


def trouble(one: Application) -> str | None:
    """What Argo CD itself complains of: a condition's last line, else a failed operation's message, else the health message."""
    status = one.status
    for condition in status.conditions or ():
        if condition.type.endswith("Error"):
            return clean(condition.message.strip().splitlines()[-1] if condition.message.strip() else condition.type)
    operation = status.operation_state
    if operation and operation.phase in ("Failed", "Error"):
        return _text(operation.message)
    return _text(status.health.message)


def deployment(one: Deployment, looked: Looked | None, release: Release | None) -> dict[str, Any]:
    """One deployment: what Git says of it, and, where Argo CD was looked at, where it stands."""
    rollout, seen = (looked.rollout, looked.seen.application) if looked else (None, None)
    record = one.record
    pause = one.paused
    return {
        "id": one.id,
        "app": one.app,
        "environment": one.environment,
        "cluster": one.cluster,
        "namespace": one.namespace,
        "stage": str(rollout.stage) if rollout else None,
        "flags": sorted(str(flag) for flag in rollout.flags) if rollout else [],
        "since": rollout.since if rollout else None,
        "reason": _text(rollout.reason) if rollout else None,
        "sync": _text(seen.status.sync.status) if seen else None,
        "health": _text(seen.status.health.status) if seen else None,
        "images": [clean(str(image)) for image in record.images.values()],
        "chart": _text(record.chart_version),
        "revision": _text(rollout.revision) if rollout else None,
        "commit": release.commit if release else None,
        "author": release.author if release else None,
        "committedAt": release.at if release else None,
        "paused": {"until": pause.until, "reason": clean(pause.reason)} if pause else None,
    }


def release(one: Release, outcome: str | None) -> dict[str, Any]:
    """One change of the history; `outcome` is what became of it, where that is known."""
    return {
        "commit": one.commit,
        "at": one.at,
        "author": one.author,
        "subject": one.subject,
        "op": one.op,
        "images": list(one.images),
        "chart": _text(one.chart),
        "outcome": outcome,
        "reason": _text(one.reason),
        "change": _text(one.change),
    }


def event(one: LiveEvent) -> dict[str, Any]:
    """One line of a tail; its texts were cleaned where it was made."""
    return {
        "at": one.at,
        "source": str(one.source),
        "deployment": one.deployment,
        "application": str(one.application) if one.application else None,
        "kind": _text(one.kind),
        "name": _text(one.name),
        "type": _text(one.type),
        "reason": _text(one.reason),
        "message": _text(one.message),
        "count": one.count,
    }


def app(one: App, catalog: Catalog) -> dict[str, Any]:
    """One app of the repository; an add-on's chart names its repository too."""
    chart = one.chart
    where = f"{chart.repo}/{chart.name}" if chart and chart.repo else chart.path if chart else ""
    return {
        "name": one.name,
        "kind": one.kind,
        "source": _text(one.source.repo) if one.source else None,
        "chart": _text(f"{where} {chart.version}".strip()) if chart else None,
        "images": [clean(image.repository) for image in one.images.values()],
        "deployments": len(catalog.of_app(one.name)),
    }


def environment(one: Environment, catalog: Catalog) -> dict[str, Any]:
    """One environment of the repository."""
    return {
        "name": one.name,
        "kind": str(one.kind),
        "order": one.order,
        "cluster": one.cluster,
        "clusters": list(one.allowed_clusters),
        "protected": one.protected,
        "automated": one.automated,
        "locks": [{"by": clean(lock.by), "reason": clean(lock.reason), "until": lock.until} for lock in one.locks],
        "deployments": len(catalog.of_environment(one.name)),
    }


def cluster(one: Cluster) -> dict[str, Any]:
    state = one.info.connection_state if one.info.connection_state.status else one.connection_state
    return {
        "name": _text(one.name),
        "server": _text(one.server),
        "version": _text(one.info.server_version or one.server_version),
        "connection": _text(state.status),
        "applications": one.info.applications_count,
        "nodes": None,
        "reason": _text(state.message),
    }


def project(one: Project) -> dict[str, Any]:
    destinations = one.spec.get("destinations") or ()
    return {
        "name": one.metadata.name,
        "sourceRepos": [clean(repo) for repo in one.spec.get("sourceRepos") or ()],
        "destinations": [f"{destination_cluster(each) or '*'}/{clean(each.get('namespace'))}" for each in destinations],
        "description": _text(one.spec.get("description")),
    }


def node(one: Node, application: Application) -> dict[str, Any]:
    """One object of a tree, with what the Application's own status says of its sync, wave and hook."""
    managed = next(
        (
            each
            for each in application.status.resources or ()
            if (each.group, each.kind, each.namespace, each.name) == (one.group, one.kind, one.namespace, one.name)
        ),
        None,
    )
    operation = application.status.operation_state
    results = (operation.sync_result.resources if operation and operation.sync_result else None) or ()
    result = next((r for r in results if (r.group, r.kind, r.namespace, r.name) == (one.group, one.kind, one.namespace, one.name)), None)
    health = one.health or (managed.health if managed else None)
    parent = (one.parent_refs or (None,))[0]
    about = [
        one.about("Status Reason"),
        one.about("Containers"),
        f"{one.about('Restart Count')} restarts" if one.about("Restart Count") else "",
    ]
    message = (health.message if health else "") or (result.message if result and result.message else "") or " ".join(filter(None, about))
    return {
        "uid": one.uid,
        "parent": parent.uid if parent else None,
        "group": one.group,
        "kind": clean(one.kind),
        "namespace": clean(one.namespace),
        "name": clean(one.name),
        "sync": _text(managed.status) if managed else None,
        "health": _text(health.status) if health else None,
        "wave": managed.sync_wave if managed else None,
        "hook": _text(result.hook_type) if result and result.hook_type else ("hook" if managed and managed.hook else None),
        "message": _text(message),
        "images": [clean(image) for image in one.images or ()],
        "createdAt": one.created_at,
    }


def _text(value: object) -> str | None:
    return clean(str(value)) if value not in (None, "") else None
