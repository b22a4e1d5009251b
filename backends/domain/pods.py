"""Which pods of a resource tree are the release's, how many are ready, and what is wrong with the others.

The release's pods are those of the newest ReplicaSet of each owner (by its revision: a rollback revives an old ReplicaSet), of StatefulSets
and of DaemonSets; never Terminating ones. Argo CD's tree tells a pod's state as kubectl does ("Status Reason", "Restart Count"), its
message in `health`; an exit code stands there only inside a message.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from backends.argocd.types import Application, Node, ResourceTree
from backends.text import clean

PATIENCE = timedelta(seconds=10)
"""A pod without a node, or running and not ready, for this long is worth a look."""
CRASHES = 2
"""Restarts (of one pod) or failed pods (of one release) from which on it is no accident."""

_CRASH = ("CrashLoopBackOff", "Error", "OOMKilled", "ContainerCannotRun", "StartError", "RunContainerError")
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "PreCreateHookError", "PostStartHookError")
_TAKEN = ("Evicted", "Preempting", "NodeShutdown", "NodeLost", "Completed", "Terminated")
"""Ends that say nothing about the release."""
_PREFIX = "Waiting for rollout to finish: "
_OWNERS = ("StatefulSet", "DaemonSet")
_CONTAINER = re.compile(r"\bcontainer[= ]\"?([a-z0-9][-a-z0-9.]*)\"?")
_EXIT = re.compile(r"\bexit(?:ed with)?(?: status)? code:? (\d+)")
_UNOBSERVED = re.compile(r"observed .*generation less than desired|spec update to be observed")
_CAUSE = re.compile(r"(?<=[ ,])(?:[a-z0-9.-]*/)?([A-Z]\w*):(?:[a-z0-9.-]+/)?([a-z0-9][^\s,]*)")
_REPLICAS = re.compile(r"\b(\d+) (?:out )?of (\d+) ")


class Kind(enum.StrEnum):
    """What is wrong with a pod or a Job."""

    CRASH = "crash"
    IMAGE = "image"
    CONFIG = "config"
    FAILED = "failed"
    UNSCHEDULED = "unscheduled"
    UNREADY = "unready"
    """It runs and is not ready: perhaps it only takes its time."""
    JOB = "job"

    @property
    def alarming(self) -> bool:
        return self not in (Kind.UNSCHEDULED, Kind.UNREADY)


_WORDS = {Kind.UNSCHEDULED: "waits for a node", Kind.UNREADY: "runs and is not ready"}


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One pod or Job and what is wrong with it; texts are cleaned."""

    kind: Kind
    name: str
    reason: str
    """As Argo CD says it: CrashLoopBackOff, ImagePullBackOff …"""
    container: str = ""
    exit_code: int | None = None
    restarts: int = 0
    message: str = ""
    at: datetime | None = None
    """When the object was created (UTC); a tree tells no other time."""

    def sentence(self) -> str:
        """ "web-… container main: CrashLoopBackOff, exit code 1, 4 restarts (back-off 10s …)"."""
        head = f"{self.name} container {self.container}" if self.container else self.name
        code = f", exit code {self.exit_code}" if self.exit_code is not None else ""
        count = f", {self.restarts} restart{'s' if self.restarts > 1 else ''}" if self.restarts else ""
        return clean(f"{head}: {self.reason}{code}{count}{f' ({self.message})' if self.message else ''}", limit=300)


class Ready(msgspec.Struct, frozen=True):
    """How many pods of the release are ready, of how many."""

    ready: int = 0
    total: int = 0

    @property
    def complete(self) -> bool:
        return self.ready >= self.total

    def __str__(self) -> str:
        return f"{self.ready}/{self.total} ready" if self.total else ""


def of_release(tree: ResourceTree | None, *, since: datetime | None = None) -> tuple[Node, ...]:
    """The release's pods, those created at or after `since` where that is given (Kubernetes times are whole seconds)."""
    if tree is None:
        return ()
    owners = {node.uid for node in _newest(tree.nodes or ())} | {n.uid for n in tree.nodes or () if n.kind in _OWNERS}
    return tuple(
        pod
        for pod in tree.nodes or ()
        if pod.kind == "Pod"
        and any(ref.uid in owners for ref in pod.parent_refs or ())
        and not _terminating(pod)
        and (since is None or pod.created_at is None or pod.created_at >= since)
    )


def blocked(tree: ResourceTree | None, *, since: datetime | None, now: datetime) -> str:
    """A broken pod of the release before that a StatefulSet will not replace by itself, as a sentence; "" when there is none.

    Its controller replaces a pod only after the one before it became ready; one that never will has to be deleted by hand.
    """
    if tree is None or since is None or now - since < PATIENCE:
        return ""
    sets = {node.uid for node in tree.nodes or () if node.kind == "StatefulSet" and node.health and node.health.status != "Healthy"}
    before = (
        pod
        for pod in of_release(tree)
        if pod.created_at is not None and pod.created_at < since and any(ref.uid in sets for ref in pod.parent_refs or ())
    )
    found = [one for one in troubles(before, now=now) if one.kind.alarming]
    return f"a pod of the release before holds it up until it is deleted: {found[0].sentence()}" if found else ""


def readiness(tree: ResourceTree | None) -> Ready:
    """Ready pods of the release; the total is what the workloads want where they say so, else the pods that are there.

    Nothing is counted while a workload has not begun with its new specification: the pods that are there are those of before.
    """
    if any(_UNOBSERVED.search(node.health.message) for node in _workloads(tree) if node.health):
        return Ready()
    pods = [pod for pod in of_release(tree) if not _ended(pod)]
    wanted = [int(found[2]) for node in _workloads(tree) if node.health and (found := _REPLICAS.search(node.health.message))]
    return Ready(sum(_is_ready(pod) for pod in pods), max(len(pods), sum(wanted)))


def waits(tree: ResourceTree | None) -> str:
    """What the first workload that is not Healthy says of itself, cleaned: "Deployment web: … exceeded its progress deadline"."""
    said = (
        f"{node.kind} {node.name}: {node.health.message.removeprefix(_PREFIX).rstrip('.')}"
        for node in _workloads(tree)
        if node.health and node.health.message
    )
    return clean(next(said, ""), limit=200)


def cause(message: str, *, waits: bool = True) -> str:
    """Which resources Argo CD names as the cause of a health, cleaned: "Caused by apps/Deployment:ns/web" is "waits for Deployment web"."""
    return clean(_CAUSE.sub(r"\1 \2", message), limit=200).replace("Caused by ", "waits for " if waits else "because of ")


def troubles(pods: Iterable[Node], *, now: datetime) -> tuple[Trouble, ...]:
    """What is wrong with pods, the worst first."""
    found = [trouble for pod in pods if (trouble := _trouble(pod, now))]
    return tuple(sorted(found, key=lambda one: (list(Kind).index(one.kind), -one.restarts, one.name)))


def degrading(found: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """Those that mean the release does not come up by itself: a crash loop, an image that cannot be had, several failed pods."""
    found = tuple(found)
    failed = tuple(one for one in found if one.kind is Kind.FAILED)
    sure = (one for one in found if one.kind is Kind.IMAGE or (one.kind is Kind.CRASH and one.restarts >= CRASHES))
    return (*sure, *(failed if len(failed) >= CRASHES else ()))


def failed_jobs(tree: ResourceTree | None, app: Application) -> tuple[Trouble, ...]:
    """Failed Jobs that the release itself brought: no hook and no run of a CronJob."""
    ours = {(r.kind, r.namespace, r.name) for r in app.status.resources or () if not r.hook}
    state = app.status.operation_state
    results = (state.sync_result.resources if state and state.sync_result else None) or ()
    hooks = {(r.kind, r.namespace, r.name) for r in results if r.hook_type}
    ours |= {(r.kind, r.namespace, r.name) for r in results}
    return tuple(
        Trouble(
            kind=Kind.JOB,
            name=clean(f"Job {node.name}", limit=120),
            reason="failed",
            message=clean(node.health.message, limit=200),
            at=node.created_at,
        )
        for node in (tree.nodes if tree else None) or ()
        if node.kind == "Job"
        and node.health
        and node.health.status == "Degraded"
        and not node.parent_refs
        and (node.kind, node.namespace, node.name) in ours - hooks
    )


def _newest(nodes: Iterable[Node]) -> Iterator[Node]:
    """The ReplicaSet with the highest revision of each owner."""
    best: dict[str, Node] = {}
    for node in nodes:
        if node.kind == "ReplicaSet":
            owner = next((ref.uid for ref in node.parent_refs or ()), node.uid)
            if owner not in best or _age(node) > _age(best[owner]):
                best[owner] = node
    return iter(best.values())


def _age(node: Node) -> tuple[int, str]:
    revision = node.about("Revision").removeprefix("Rev:")
    number = int(revision) if revision.isdecimal() and len(revision) < 12 else -1
    return number, node.created_at.isoformat() if node.created_at else ""


def _terminating(pod: Node) -> bool:
    return pod.about("Status Reason") == "Terminating" or bool(pod.health and pod.health.message == "Pending deletion")


def _is_ready(pod: Node) -> bool:
    ready, _, total = pod.about("Containers").partition("/")
    return bool(pod.health and pod.health.status == "Healthy") and (not total or ready == total)


def _ended(pod: Node) -> bool:
    """Failed or evicted and kept for its logs: nobody waits for it to become ready."""
    return bool(pod.health and pod.health.status == "Degraded" and not pod.about("Restart Count")) and _kind_by(pod) in (None, Kind.FAILED)


def _workloads(tree: ResourceTree | None) -> Iterator[Node]:
    """Workloads that are not Healthy."""
    for node in (tree.nodes if tree else None) or ():
        if node.kind in ("Deployment", "StatefulSet", "DaemonSet", "Rollout") and node.health and node.health.status != "Healthy":
            yield node


def _trouble(pod: Node, now: datetime) -> Trouble | None:
    message = pod.health.message if pod.health else ""
    restarts = pod.about("Restart Count")
    count = int(restarts) if restarts.isdecimal() and len(restarts) < 9 else 0
    kind = _kind_by(pod) or _slow(pod, now)
    if kind is None:
        return None
    container, code = _CONTAINER.search(message), _EXIT.search(message)
    return Trouble(
        kind=kind,
        name=clean(pod.name, limit=120),
        reason=_WORDS.get(kind) or clean(_reason(pod) or "not ready", limit=80),
        container=clean(container[1], limit=80) if container and container[1] not in ("failed", "restarting") else "",
        exit_code=int(code[1]) if code and len(code[1]) < 6 else None,
        restarts=count,
        message=clean(message, limit=200),
        at=pod.created_at,
    )


def _reason(pod: Node) -> str:
    return pod.about("Status Reason").removeprefix("Init:")


def _slow(pod: Node, now: datetime) -> Kind | None:
    if pod.created_at is None or now - pod.created_at < PATIENCE:
        return None
    if _reason(pod) in ("Pending", "SchedulingGated") and not pod.about("Node"):
        return Kind.UNSCHEDULED
    ready, _, total = pod.about("Containers").partition("/")
    return Kind.UNREADY if _reason(pod) == "Running" and ready != total else None


def _kind_by(pod: Node) -> Kind | None:
    reason = _reason(pod)
    if reason in _TAKEN:
        return None
    if reason in _IMAGE:
        return Kind.IMAGE
    if reason in _CONFIG:
        return Kind.CONFIG
    if reason == "CrashLoopBackOff" or (reason in _CRASH and pod.about("Restart Count")):
        return Kind.CRASH
    return Kind.FAILED if pod.health and pod.health.status == "Degraded" else None
