"""Small looks at a deployment for table tests: a Live one, and everything that can be said differently about it.

Three revisions: OLD does not hold the commit, OURS is it, NEWER holds it; UNFETCHED nobody has fetched yet.
"""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from backends.argocd.types import Application, ResourceTree
from backends.domain.ids import DeploymentId, Sha
from backends.domain.rollout import FeedState, Rollout, Seen, Wanted, derive

OLD, OURS, NEWER, UNFETCHED = (Sha(c * 40) for c in "abcd")
PUSH = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
NOW = PUSH + timedelta(minutes=5)
NAME = DeploymentId("web-prod-k3x7qa")
HELM = {"valueFiles": ["/apps/web/values.yaml", "/environments/prod/values.yaml"]}
SOURCE = {"repoURL": "https://git.example.org/acme.git", "path": "charts/service/1.0.0", "targetRevision": "main", "helm": HELM}
DESTINATION = {"name": "eu-1", "namespace": "web-prod"}
SPEC: dict[str, Any] = {
    "project": "acme--prod",
    "source": SOURCE,
    "destination": DESTINATION,
    "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]},
}


def after(seconds: float) -> str:
    """A moment after the push, as Argo CD writes it."""
    return (PUSH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def contains(revision: str, commit: Sha) -> bool | None:
    return None if revision == UNFETCHED else revision in (OURS, NEWER)


def operation(revision: str = OURS, phase: str = "Succeeded", **more: Any) -> dict[str, Any]:
    """An `operationState`; `resources`, `dry_run`, `user` and the rest by keyword."""
    sync: dict[str, Any] = {"revision": revision}
    if more.pop("partial", False):
        sync["resources"] = [{"kind": "Deployment", "name": "web", "group": "apps"}]
    if more.pop("dry_run", False):
        sync["dryRun"] = True
    user = more.pop("user", "")
    by = {"username": user} if user else {"automated": True}
    state = {"phase": phase, "operation": {"sync": sync, "initiatedBy": by, "retry": {"limit": 5}}, "startedAt": after(10)}
    if phase not in ("Running", "Terminating"):
        state["finishedAt"] = after(20)
    return state | more


LIVE: dict[str, Any] = {
    "metadata": {"name": NAME, "namespace": "argocd"},
    "spec": SPEC,
    "status": {
        "sync": {"status": "Synced", "revision": OURS, "comparedTo": {"source": SOURCE, "destination": DESTINATION}},
        "health": {"status": "Healthy", "lastTransitionTime": after(40)},
        "history": [
            {"id": 1, "revision": OLD, "deployedAt": after(-600)},
            {"id": 2, "revision": OURS, "deployStartedAt": after(10), "deployedAt": after(20)},
        ],
        "operationState": operation(),
        "reconciledAt": after(21),
    },
}
UNAPPLIED = {"status.history": LIVE["status"]["history"][:1], "status.operationState": None}
OUT_OF_SYNC = {"status.sync.status": "OutOfSync"}


def app(changes: dict[str, Any] | None = None) -> Application:
    """The Live Application with dotted keys changed; None takes a key away."""
    raw = copy.deepcopy(LIVE)
    for name, value in (changes or {}).items():
        *path, last = name.split(".")
        inner = raw
        for key in path:
            inner = inner.setdefault(key, {})
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value
    return msgspec.convert(raw, Application)


def wanted(**changes: Any) -> Wanted:
    base = Wanted(id=NAME, commit=OURS, committed_at=PUSH, specs=(SPEC,), has_hooks=True)
    return msgspec.structs.replace(base, **changes)


def seen(changes: dict[str, Any] | None = None, **more: Any) -> Seen:
    return Seen(**({"feed": FeedState.LIVE, "application": app(changes)} | more))


def keeper(revision: str = OURS, **status: Any) -> Application:
    """A root or Manager, in step with a revision."""
    base = {"sync": {"status": "Synced", "revision": revision}, "health": {"status": "Healthy"}, "reconciledAt": after(5)}
    return msgspec.convert({"metadata": {"name": "tiphys-acme--prod"}, "status": base | status}, Application)


def one(
    changes: dict[str, Any] | None = None, *, want: dict[str, Any] | None = None, previous: Rollout | None = None, **more: Any
) -> Rollout:
    """One look at the Live Application with dotted keys changed; `want` changes Wanted, the rest changes Seen."""
    return derive(wanted(**(want or {})), seen(changes, **more), contains=contains, now=NOW, previous=previous)


def pod(
    name: str, reason: str, *, owner: str = "rs-2", created: float = 12, health: str = "Progressing", message: str = "", **info: str
) -> dict[str, Any]:
    """A pod of a resource tree; info items by keyword with underscores for blanks."""
    items = {"Status Reason": reason, "Node": "node-1", "Containers": "0/1"} | {key.replace("_", " "): value for key, value in info.items()}
    return {
        "kind": "Pod",
        "name": name,
        "namespace": "web-prod",
        "uid": name,
        "parentRefs": [{"kind": "ReplicaSet", "uid": owner, "name": owner}],
        "info": [{"name": key, "value": value} for key, value in items.items()],
        "health": {"status": health, "message": message},
        "createdAt": after(created),
    }


def replicaset(uid: str, revision: int, *, owner: str = "web", created: float = 0) -> dict[str, Any]:
    return {
        "kind": "ReplicaSet",
        "name": uid,
        "uid": uid,
        "parentRefs": [{"kind": "Deployment", "uid": owner, "name": owner}],
        "info": [{"name": "Revision", "value": f"Rev:{revision}"}],
        "createdAt": after(created),
    }


def tree(*nodes: dict[str, Any]) -> ResourceTree:
    """A tree with an old and a new ReplicaSet of one Deployment and the nodes given."""
    return msgspec.convert({"nodes": [replicaset("rs-1", 1), replicaset("rs-2", 2, created=11), *nodes]}, ResourceTree)
