"""The tasks of one sync: which objects are applied, run as hooks or pruned, and in which order (gitops-engine, pkg/sync)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from backends.sandbox.comparison import Comparison
from backends.sandbox.live import LiveView
from backends.sandbox.objects import HOOK_POLICY, Key, Manifest, annotation, hook_phases, images_of, is_hook, key_of, version_of, wave_of

PHASES = ("PreSync", "Sync", "PostSync", "SyncFail")
_KINDS = (
    "Namespace NetworkPolicy ResourceQuota LimitRange PodSecurityPolicy PodDisruptionBudget ServiceAccount Secret SecretList ConfigMap "
    "StorageClass PersistentVolume PersistentVolumeClaim CustomResourceDefinition ClusterRole ClusterRoleList ClusterRoleBinding "
    "ClusterRoleBindingList Role RoleList RoleBinding RoleBindingList Service DaemonSet Pod ReplicationController ReplicaSet Deployment "
    "HorizontalPodAutoscaler StatefulSet Job CronJob IngressClass Ingress APIService"
)


@dataclass
class Task:
    """One step of a sync and how it went."""

    phase: str
    target: Manifest | None
    live: Manifest | None
    modified: bool = True
    wave: int = 0
    status: str = ""
    """Synced, SyncFailed, Pruned, PruneSkipped."""
    state: str = ""
    """"" while pending, then Running, Succeeded, Failed, Error."""
    message: str = ""
    home: str = ""
    """The namespace that results of cluster-scoped objects are filed under: the Application's, as if they were in it."""
    obj: Manifest = field(init=False)

    def __post_init__(self) -> None:
        self.obj = self.target or self.live or {}
        self.wave = wave_of(self.obj)

    @property
    def key(self) -> Key:
        return key_of(self.obj)

    @property
    def hook(self) -> bool:
        return is_hook(self.obj)

    @property
    def prunes(self) -> bool:
        return self.target is None

    @property
    def pending(self) -> bool:
        return not self.state

    @property
    def running(self) -> bool:
        return self.state == "Running"

    @property
    def completed(self) -> bool:
        return self.state in ("Succeeded", "Failed", "Error")

    @property
    def place(self) -> tuple[int, int]:
        return PHASES.index(self.phase), self.wave

    @property
    def result_key(self) -> str:
        return f"{self._named}:{self.phase}"

    @property
    def _named(self) -> Key:
        return self.key._replace(namespace=self.key.namespace or self.home)

    def keeps_to(self, policy: str) -> bool:
        """Whether the hook has a delete policy; without any, BeforeHookCreation."""
        if not self.hook:
            return False
        named = [part.strip() for part in annotation(self.obj, HOOK_POLICY).split(",") if part.strip()]
        helm = {"before-hook-creation": "BeforeHookCreation", "hook-succeeded": "HookSucceeded", "hook-failed": "HookFailed"}
        named += [helm[part.strip()] for part in annotation(self.obj, "helm.sh/hook-delete-policy").split(",") if part.strip() in helm]
        return policy in (named or ["BeforeHookCreation"])

    @property
    def replaces(self) -> bool:
        """A hook of before that has to go first."""
        return self.live is not None and self.pending and self.keeps_to("BeforeHookCreation")

    def result(self) -> Manifest:
        """The entry of `syncResult.resources`."""
        key = self._named
        out: Manifest = {
            "group": key.group,
            "version": version_of(self.obj),
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
        }
        out |= {"status": self.status} if self.status else {}
        out |= {"message": self.message} if self.message else {}
        out |= {"hookType": self.phase} if self.hook else {}
        out |= {"hookPhase": self.state} if self.state else {}
        out["syncPhase"] = self.phase
        images = images_of(self.obj)
        return out | ({"images": images} if images else {})


def tasks_of(
    comparison: Comparison, view: LiveView, only: set[tuple[str, str, str]] | None, *, revision: str, started: int, home: str = ""
) -> list[Task]:
    """The tasks of a sync, in order.

    Args:
        only: (group, kind, name) of the resources of a partial sync, which runs no hooks; None for all.
        home: the destination's namespace.
        revision: names hooks with `generateName`, with `started` (seconds).
    """
    tasks = []
    for one in comparison.managed:
        if (
            one.hook
            or hook_phases(one.target or {}) == ("Skip",)
            or (only is not None and (one.key.group, one.key.kind, one.key.name) not in only)
        ):
            continue
        if one.target is not None or one.live is not None:
            tasks.append(Task("Sync", one.target, one.live, modified=one.modified or one.live is None))
    if only is None:
        for hook in comparison.hooks:
            for phase in hook_phases(hook):
                if phase in PHASES:
                    target = _named(hook, f"{revision[:7]}-{phase.lower()}-{started}")
                    tasks.append(Task(phase, target, view.get(key_of(target))))
    for task in tasks:
        task.home = home if task.target is not None else ""
    _reverse_prunes(tasks)
    return ordered(tasks)


def ordered(tasks: Iterable[Task]) -> list[Task]:
    kinds = _KINDS.split()
    ranks = {kind: index - len(kinds) for index, kind in enumerate(kinds)}
    return sorted(tasks, key=lambda task: (*task.place, ranks.get(task.key.kind, 0), task.key.name))


def named(resources: list[Manifest] | None) -> set[tuple[str, str, str]] | None:
    """The resources of a partial operation; None when it is full."""
    if not resources:
        return None
    return {(str(one.get("group", "")), str(one.get("kind", "")), str(one.get("name", ""))) for one in resources}


def _named(hook: Manifest, postfix: str) -> Manifest:
    meta = hook.get("metadata") or {}
    if meta.get("name"):
        return hook
    return hook | {"metadata": meta | {"name": f"{meta.get('generateName', '')}{postfix}"}}


def _reverse_prunes(tasks: list[Task]) -> None:
    """What was created first is pruned last."""
    prunes = [task for task in tasks if task.prunes]
    waves = sorted({task.wave for task in prunes})
    mirrored = dict(zip(waves, reversed(waves), strict=True))
    for task in prunes:
        task.wave = mirrored[task.wave]
