"""The Applications of the sandbox as its API shows them: written here, watched from here.

They are objects of the home cluster like any other; this adds their life as Argo CD's resources: the operation, who listens, the cached
trees and differences, and the lightweight ones of `synthetic` beside the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from backends.sandbox.cluster import Change, Cluster
from backends.sandbox.comparison import Managed
from backends.sandbox.objects import ARGO, Key, Manifest, dig, with_
from backends.sandbox.projection import Fields
from backends.sandbox.tree import with_health

NAMESPACE = "argocd"
_EMPTY_STATUS: Manifest = {
    "sync": {"status": "", "comparedTo": {"source": {"repoURL": ""}, "destination": {}}},
    "health": {},
    "summary": {},
    "sourceHydrator": {},
}


class Shown(Protocol):
    """One Application as it is sent."""

    @property
    def name(self) -> str: ...

    @property
    def project(self) -> str: ...

    @property
    def labels(self) -> dict[str, str]: ...

    @property
    def version(self) -> int: ...

    def document(self) -> Manifest:
        """All of it, as get sends it."""
        ...

    def event(self, kind: str, fields: Fields) -> bytes:
        """One message of the Application stream, projected."""
        ...

    def item(self, fields: Fields) -> bytes:
        """One item of a list, projected."""
        ...


class Real(NamedTuple):
    """An Application that the controller runs."""

    manifest: Manifest
    tree: Manifest | None

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def project(self) -> str:
        return str(dig(self.manifest, "spec", "project", default="") or "default")

    @property
    def labels(self) -> dict[str, str]:
        return dig(self.manifest, "metadata", "labels", default={}) or {}

    @property
    def version(self) -> int:
        return int(self.manifest["metadata"].get("resourceVersion", 0))

    def document(self) -> Manifest:
        return presentable(self.manifest, self.tree)

    def event(self, kind: str, fields: Fields) -> bytes:
        return fields.encode({"result": {"type": kind, "application": self.document()}})

    def item(self, fields: Fields) -> bytes:
        return fields.encode_item(presentable(self.manifest, None))


Listener = Callable[[str, Shown], None]
"""Called with ADDED, MODIFIED or DELETED and the Application."""


class Applications:
    """All Applications of one sandbox."""

    def __init__(self, home: Cluster) -> None:
        self.home = home
        self.trees: dict[str, Manifest] = {}
        self.managed: dict[str, tuple[Managed, ...]] = {}
        self.light: dict[str, Shown] = {}
        """Synthetic ones, by name: they are listed and watched, nothing runs them."""
        self._listeners: list[Listener] = []
        self._tree_listeners: dict[str, list[Callable[[Manifest], None]]] = {}
        home.watch(self._on_change)

    @staticmethod
    def key(name: str) -> Key:
        return Key(ARGO, "Application", NAMESPACE, name)

    def get(self, name: str) -> Manifest | None:
        return self.home.get(self.key(name))

    def names(self) -> list[str]:
        return sorted(key.name for key in self.home.objects if key.kind == "Application" and key.group == ARGO)

    def shown(self, name: str) -> Shown | None:
        manifest = self.get(name)
        return self.light.get(name) if manifest is None else Real(manifest, self.trees.get(name))

    def all_shown(self) -> list[Shown]:
        """Every Application, by name."""
        real: list[Shown] = [one for name in self.names() if (one := self.shown(name)) is not None]
        return sorted([*real, *self.light.values()], key=lambda one: one.name) if self.light else real

    def change(self, name: str, change: Callable[[Manifest], Manifest]) -> Manifest | None:
        """Write an Application; None when it is gone."""
        current = self.get(name)
        return None if current is None else self.home.put(change(current))

    def set_operation(self, name: str, operation: Manifest) -> Manifest | None:
        """Request an operation: the state of the last one is removed with it. None when one is in progress already."""
        current = self.get(name)
        if current is None or current.get("operation"):
            return None
        return self.home.put(with_(current, None, "status", "operationState") | {"operation": operation})

    def annotate(self, name: str, values: Mapping[str, str | None]) -> Manifest | None:
        """Set annotations in one write; None removes one."""

        def change(app: Manifest) -> Manifest:
            notes = {**dig(app, "metadata", "annotations", default={}), **values}
            return with_(app, {key: value for key, value in notes.items() if value is not None} or None, "metadata", "annotations")

        return self.change(name, change)

    def set_tree(self, name: str, tree: Manifest, managed: tuple[Managed, ...] | None = None) -> None:
        self.trees[name] = tree
        if managed is not None:
            self.managed[name] = managed
        for listener in list(self._tree_listeners.get(name, ())):
            listener(tree)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of every change from now on; gives what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def listen_tree(self, name: str, listener: Callable[[Manifest], None]) -> Callable[[], None]:
        listeners = self._tree_listeners.setdefault(name, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener) if listener in listeners else None

    def tell(self, kind: str, shown: Shown) -> None:
        for listener in list(self._listeners):
            listener(kind, shown)

    @property
    def listening(self) -> int:
        return len(self._listeners)

    def _on_change(self, change: Change) -> None:
        if change.key.kind != "Application" or change.key.group != ARGO:
            return
        name = change.key.name
        if change.after is None and change.before is not None:
            self.tell("DELETED", Real(change.before, self.trees.pop(name, None)))
            self.managed.pop(name, None)
        elif change.after is not None:
            self.tell("ADDED" if change.before is None else "MODIFIED", Real(change.after, self.trees.get(name)))


def presentable(manifest: Manifest, tree: Manifest | None) -> Manifest:
    """An Application as the API sends it: without kind and managed fields, every struct there, health from the tree."""
    status = _EMPTY_STATUS | (manifest.get("status") or {})
    if status.get("resources"):
        status["resources"] = with_health(status["resources"], tree)
    out: Manifest = {"metadata": with_(manifest["metadata"], None, "managedFields"), "spec": manifest.get("spec") or {}, "status": status}
    if manifest.get("operation"):
        out["operation"] = manifest["operation"]
    return out
