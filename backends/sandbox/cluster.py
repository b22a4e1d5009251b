"""One simulated cluster: its objects, who owns whom, and how they are applied and deleted.

What the API server and the garbage collector of a real cluster do; the controllers are in `workloads` and `pods`. Watchers are called
at once, in the order in which they asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from backends.sandbox.admission import Refused, check, is_known
from backends.sandbox.defaults import defaulted
from backends.sandbox.events import Events
from backends.sandbox.merge import field_set, three_way
from backends.sandbox.objects import ARGO, LAST_APPLIED, Key, Manifest, dig, group_of, is_deleting, key_of, spoken, uid_of, with_
from backends.sandbox.world import World

MANAGER = "argocd-controller"
_UNCOUNTED = frozenset(("ConfigMap", "Secret", "Service", "ServiceAccount", "Namespace", "PersistentVolumeClaim", "Role", "RoleBinding"))
"""Kinds whose changes have no `generation`."""


class Change(NamedTuple):
    """What happened to one object. Born: `before` is None. Died: `after` is None and `before` is its last state."""

    cluster: Cluster
    key: Key
    before: Manifest | None
    after: Manifest | None


class Cluster:
    """A cluster that Argo CD can deploy to.

    Args:
        world: clock, versions and names.
        name: what Argo CD calls it.
        server: its API server's URL.
        nodes: names of its nodes, each with 64 CPUs and 256 GiB.
    """

    def __init__(self, world: World, name: str, server: str, nodes: tuple[str, ...] = ("node-1", "node-2")) -> None:
        self.world = world
        self.name = name
        self.server = server
        self.nodes = nodes
        self.events = Events(world)
        self.objects: dict[Key, Manifest] = {}
        self.applied: dict[Key, Manifest] = {}
        self._dependents: dict[str, dict[Key, None]] = {}
        self._watchers: list[Callable[[Change], None]] = []

    def watch(self, watcher: Callable[[Change], None]) -> None:
        self._watchers.append(watcher)

    def get(self, key: Key) -> Manifest | None:
        return self.objects.get(key)

    def of_kind(self, kind: str, group: str = "") -> Iterator[Manifest]:
        yield from [obj for key, obj in self.objects.items() if key.kind == kind and key.group == group]

    def knows(self, manifest: Manifest) -> bool:
        """Whether the API server has such a kind, in whatever version."""
        return is_known(group_of(manifest), str(manifest.get("kind")), self.definitions)

    def definitions(self) -> list[Manifest]:
        """The cluster's CustomResourceDefinitions."""
        return list(self.of_kind("CustomResourceDefinition", "apiextensions.k8s.io"))

    def dependents(self, owner: Manifest) -> list[Manifest]:
        """The objects that name this one as their owner, oldest first."""
        return [self.objects[key] for key in self._dependents.get(uid_of(owner), ()) if key in self.objects]

    def apply(self, target: Manifest, *, server_side: bool = False, replace: bool = False, dry_run: bool = False) -> str:
        """Apply a manifest as Argo CD does; gives the line that `kubectl apply` would print. Raises `admission.Refused`."""
        key, live = key_of(target), self.get(key_of(target))
        if not dry_run:
            self._admit(target, live)
        wanted = target if server_side else with_(target, _last_applied(target), "metadata", "annotations", LAST_APPLIED)
        merged = defaulted(wanted if live is None else three_way(self.applied.get(key), wanted, live))
        done = "created" if live is None else "unchanged" if merged == live else "configured"
        if not dry_run and done != "unchanged":
            self.put(self._managed(merged, target, MANAGER, "Apply" if server_side else "Update"))
        if not dry_run:
            self.applied[key] = wanted
        done = "serverside-applied" if server_side else "replaced" if replace and live is not None else done
        return f"{spoken(target)} {done}"

    def edit(self, key: Key, change: Callable[[Manifest], Manifest], *, manager: str) -> Manifest | None:
        """What somebody does by hand, past Argo CD; None where there is no such object."""
        live = self.get(key)
        if live is None:
            return None
        changed = change(live)
        touched = {field: value for field, value in changed.items() if live.get(field) != value}
        return self.put(self._managed(defaulted(changed), touched, manager, "Update"))

    def put(self, manifest: Manifest) -> Manifest:
        """Store an object: fills in what the API server fills in, and tells who watches. The same object again is no change."""
        key, before = key_of(manifest), self.get(key_of(manifest))
        if before is not None and _same(before, manifest):
            return before
        meta = dict(manifest.get("metadata") or {})
        if before is None:
            meta |= {"uid": self.world.uid(), "creationTimestamp": self.world.clock.stamp()}
            meta |= {} if key.kind in _UNCOUNTED else {"generation": 1}
            if key.kind in ("Pod", "PersistentVolumeClaim") and not manifest.get("status"):
                manifest = manifest | {"status": {"phase": "Pending"}}
        elif key.kind not in _UNCOUNTED and _generation_counts(key, before, manifest):
            meta["generation"] = int(before["metadata"].get("generation", 1)) + 1
        meta["resourceVersion"] = self.world.next_version()
        after = manifest | {"metadata": meta}
        self.objects[key] = after
        if is_deleting(after) and not meta.get("finalizers") and not _waits_for_kubelet(after):
            self._remove(key)  # whoever takes the last finalizer away deletes: no change is told beside the end
            return after
        if before is None:
            for owner in meta.get("ownerReferences") or ():
                self._dependents.setdefault(str(owner.get("uid")), {})[key] = None
        self._tell(Change(self, key, before, after))
        return after

    def set_status(self, key: Key, status: Manifest) -> None:
        live = self.get(key)
        if live is not None:
            self.put(live | {"status": status})

    def delete(self, key: Key, *, foreground: bool = True) -> None:
        """Ask for an object's end. With finalizers, dependents or a kubelet to wait for it goes when these are done."""
        live = self.get(key)
        if live is None or is_deleting(live):
            return
        meta = dict(live["metadata"]) | {"deletionTimestamp": self.world.clock.stamp(), "deletionGracePeriodSeconds": 0}
        if foreground and key.kind != "Pod":
            meta["finalizers"] = [*(meta.get("finalizers") or []), "foregroundDeletion"]
        elif key.kind == "Pod":
            meta["deletionGracePeriodSeconds"] = 30
        self.put(live | {"metadata": meta})
        for dependent in self._dependents.get(uid_of(live), {}).copy():
            self.delete(dependent, foreground=foreground)
        if self.dependents(live):
            self.world.clock.soon(0.01, lambda: self._collect(key))
        else:
            self.world.clock.soon(0.002, lambda: self._collect(key))

    def drop_finalizer(self, key: Key, *names: str) -> None:
        live = self.get(key)
        held = dig(live, "metadata", "finalizers", default=[])
        kept = [name for name in held if name not in names]
        if live is not None and kept != held:
            self.put(with_(live, kept or None, "metadata", "finalizers"))

    def remove_pod(self, key: Key) -> None:
        """The kubelet's word that a pod is over."""
        self._remove(key)

    def resume(self) -> None:
        """After a restart: who owns whom, and what was being deleted."""
        for key, obj in list(self.objects.items()):
            for owner in dig(obj, "metadata", "ownerReferences", default=()):
                self._dependents.setdefault(str(owner.get("uid")), {})[key] = None
            if is_deleting(obj):
                self.world.clock.soon(0.01, lambda key=key: self._collect(key))  # type: ignore[misc]

    def _collect(self, key: Key) -> None:
        """The garbage collector: a foreground deletion ends when no dependent is left."""
        live = self.get(key)
        if live is not None and is_deleting(live) and not self.dependents(live):
            self.drop_finalizer(key, "foregroundDeletion", "orphan")

    def _remove(self, key: Key) -> None:
        before = self.objects.pop(key, None)
        self.applied.pop(key, None)
        if before is None:
            return
        before = with_(before, self.world.next_version(), "metadata", "resourceVersion")
        self._tell(Change(self, key, before, None))
        for owner in dig(before, "metadata", "ownerReferences", default=()):
            siblings = self._dependents.get(str(owner.get("uid")), {})
            siblings.pop(key, None)
            above = next((k for k, obj in self.objects.items() if uid_of(obj) == owner.get("uid")), None)
            if above is not None:
                self.world.clock.soon(0.02, lambda above=above: self._collect(above))  # type: ignore[misc]
        for dependent in self._dependents.pop(uid_of(before), {}):
            self.delete(dependent, foreground=False)

    def _admit(self, target: Manifest, live: Manifest | None) -> None:
        try:
            check(target, live, self.objects.__contains__)
        except Refused as refused:
            if live is None:
                raise
            raise Refused(f'error when patching "/dev/shm/{int(self.world.fraction() * 2**32)}": {refused}') from None

    def _tell(self, change: Change) -> None:
        for watcher in self._watchers:
            watcher(change)

    def _managed(self, manifest: Manifest, fields: Manifest, manager: str, operation: str) -> Manifest:
        """The object with a `managedFields` entry that says who set these fields last."""
        others = [entry for entry in dig(manifest, "metadata", "managedFields", default=[]) if entry.get("manager") != manager]
        own = {key: value for key, value in fields.items() if key in ("metadata", "spec", "data", "stringData", "rules", "subjects")}
        entry = {
            "manager": manager,
            "operation": operation,
            "apiVersion": manifest.get("apiVersion", ""),
            "time": self.world.clock.stamp(),
            "fieldsType": "FieldsV1",
            "fieldsV1": field_set({k: v for k, v in own.items() if k != "metadata"} | _own_metadata(own.get("metadata") or {})),
        }
        return with_(manifest, [*others, entry], "metadata", "managedFields")


def _waits_for_kubelet(obj: Manifest) -> bool:
    return obj.get("kind") == "Pod" and bool(dig(obj, "spec", "nodeName"))


def _own_metadata(meta: Manifest) -> Manifest:
    kept = {key: meta[key] for key in ("annotations", "labels", "finalizers") if meta.get(key)}
    return {"metadata": kept} if kept else {}


def _last_applied(target: Manifest) -> str:
    return msgspec.json.encode(target, order="sorted").decode() + "\n"


def _same(before: Manifest, after: Manifest) -> bool:
    """Whether a write changes nothing; what only the API server sets does not count."""
    return before is after or before == after


def _generation_counts(key: Key, before: Manifest, after: Manifest) -> bool:
    """Generations grow with the spec; custom resources without a status subresource (Applications) count every change beside metadata."""
    if key.group == ARGO:
        rest = {k: v for k, v in before.items() if k != "metadata"}
        return rest != {k: v for k, v in after.items() if k != "metadata"} or is_deleting(after) != is_deleting(before)
    return before.get("spec") != after.get("spec") or is_deleting(after) != is_deleting(before)
