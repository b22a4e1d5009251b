"""Kubernetes objects as plain JSON: their keys, the paths into them, and the words people know them by.

A manifest that is stored anywhere in the sandbox is never changed in place: whoever changes one makes a new one (`with_`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Manifest = dict[str, Any]

TRACKING = "argocd.argoproj.io/tracking-id"
HOOK = "argocd.argoproj.io/hook"
HOOK_POLICY = "argocd.argoproj.io/hook-delete-policy"
HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"
WAVE = "argocd.argoproj.io/sync-wave"
REFRESH = "argocd.argoproj.io/refresh"
GENERATE_PATHS = "argocd.argoproj.io/manifest-generate-paths"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ARGO = "argoproj.io"

CLUSTER_SCOPED = frozenset(
    (
        "Namespace",
        "Node",
        "PersistentVolume",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "StorageClass",
        "PriorityClass",
        "IngressClass",
        "APIService",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    )
)
_HELM_HOOKS = {
    "crd-install": "PreSync",
    "pre-install": "PreSync",
    "pre-upgrade": "PreSync",
    "post-install": "PostSync",
    "post-upgrade": "PostSync",
    "post-delete": "PostDelete",
    "pre-delete": "PreDelete",
}
_PHASES = ("PreSync", "Sync", "PostSync", "SyncFail", "PostDelete", "PreDelete", "Skip")


class Key(NamedTuple):
    """What names an object in one cluster."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.group + '/' if self.group else ''}{self.kind}:{self.namespace}/{self.name}"


def key_of(manifest: Manifest) -> Key:
    meta = manifest.get("metadata") or {}
    return Key(group_of(manifest), str(manifest.get("kind", "")), str(meta.get("namespace") or ""), str(meta.get("name") or ""))


def group_of(manifest: Manifest) -> str:
    return str(manifest.get("apiVersion", "")).rpartition("/")[0]


def version_of(manifest: Manifest) -> str:
    return str(manifest.get("apiVersion", "")).rpartition("/")[2]


def dig(manifest: Any, *path: str | int, default: Any = None) -> Any:
    """The value at a path, or `default` where the path ends early or holds null."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(manifest, list) or len(manifest) <= step:
                return default
            manifest = manifest[step]
        elif isinstance(manifest, dict):
            manifest = manifest.get(step)
        else:
            return default
        if manifest is None:
            return default
    return manifest


def with_(manifest: Manifest, value: Any, *path: str) -> Manifest:
    """A copy with one value set; None removes the key. Only the dictionaries along the path are copied."""
    head, *rest = path
    copy = dict(manifest)
    if rest:
        copy[head] = with_(copy.get(head) or {}, value, *rest)
    elif value is None:
        copy.pop(head, None)
    else:
        copy[head] = value
    return copy


def annotation(manifest: Manifest, name: str) -> str:
    return str(dig(manifest, "metadata", "annotations", name, default=""))


def uid_of(manifest: Manifest) -> str:
    return str(dig(manifest, "metadata", "uid", default=""))


def is_deleting(manifest: Manifest) -> bool:
    return bool(dig(manifest, "metadata", "deletionTimestamp"))


def hook_phases(manifest: Manifest) -> tuple[str, ...]:
    """The sync phases that make this a hook; () for an ordinary object. Helm's hooks count as Argo CD maps them."""
    own = [part.strip() for part in annotation(manifest, HOOK).split(",") if part.strip() in _PHASES]
    if own:
        return tuple(dict.fromkeys(own))
    helm = [_HELM_HOOKS[p.strip()] for p in annotation(manifest, "helm.sh/hook").split(",") if p.strip() in _HELM_HOOKS]
    return tuple(dict.fromkeys(helm))


def is_hook(manifest: Manifest) -> bool:
    return hook_phases(manifest) not in ((), ("Skip",))


def wave_of(manifest: Manifest) -> int:
    text = annotation(manifest, WAVE) or annotation(manifest, "helm.sh/hook-weight") or "0"
    try:
        return int(text)
    except ValueError:
        return 0


def images_of(manifest: Manifest) -> list[str]:
    """The images of an object that holds a pod template, or of a pod."""
    spec = manifest.get("spec") or {}
    pod = (
        spec
        if manifest.get("kind") == "Pod"
        else dig(spec, "template", "spec") or dig(spec, "jobTemplate", "spec", "template", "spec") or {}
    )
    if not isinstance(pod, dict):
        return []
    containers = (pod.get("initContainers") or []) + (pod.get("containers") or [])
    return list(dict.fromkeys(str(c.get("image", "")) for c in containers if isinstance(c, dict) and c.get("image")))


def spoken(manifest: Manifest) -> str:
    """An object as kubectl names it: "deployment.apps/web"."""
    key = key_of(manifest)
    return f"{key.kind.lower()}{'.' + key.group if key.group else ''}/{key.name}"


def tracking_id(application: str, manifest: Manifest, namespace: str) -> str:
    key = key_of(manifest)
    return f"{application}:{key.group}/{key.kind}:{namespace}/{key.name}"


def tracked_by(manifest: Manifest) -> str:
    """The Application that an object says it belongs to; "" when the annotation names another object (copied by somebody)."""
    text = annotation(manifest, TRACKING)
    if not text:
        return ""
    application, _, rest = text.partition(":")
    key = key_of(manifest)
    kind, _, name = rest.rpartition(":")
    return application if kind == f"{key.group}/{key.kind}" and name.rpartition("/")[2] == key.name else ""


def condition(kind: str, status: str, at: str, *, reason: str = "", message: str = "", updated: bool = False) -> Manifest:
    """One status condition as the controllers of Kubernetes write it."""
    entry: Manifest = {"type": kind, "status": status, "lastTransitionTime": at}
    if updated:
        entry["lastUpdateTime"] = at
    if reason:
        entry["reason"] = reason
    if message:
        entry["message"] = message
    return entry


def find_condition(conditions: Iterable[Manifest] | None, kind: str) -> Manifest | None:
    return next((c for c in conditions or () if c.get("type") == kind), None)
