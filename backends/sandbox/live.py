"""What Argo CD has seen of one cluster: its cache of live objects.

Workloads that were just created appear a moment late, as they do in a real one: the comparison right after a first sync does not see
them yet, which is why a new Application flashes OutOfSync and heals itself once.
"""

from __future__ import annotations

from collections.abc import Callable

from backends.sandbox.cluster import Change, Cluster
from backends.sandbox.objects import Key, Manifest, tracked_by

LATE = 0.045
_LATE_KINDS = ("Deployment", "StatefulSet", "DaemonSet")


class LiveView:
    """The live objects of a cluster as Argo CD knows them; `tell` is called for every change it sees."""

    def __init__(self, cluster: Cluster, tell: Callable[[Change], None]) -> None:
        self.cluster = cluster
        self._tell = tell
        self._hidden: set[Key] = set()
        self._tracked: dict[str, dict[Key, None]] = {}
        for key, obj in cluster.objects.items():
            self._index(key, obj)
        cluster.watch(self._on_change)

    def get(self, key: Key) -> Manifest | None:
        return None if key in self._hidden else self.cluster.get(key)

    def tracked(self, application: str) -> dict[Key, Manifest]:
        """The objects whose tracking annotation names an Application."""
        found = {key: self.get(key) for key in self._tracked.get(application, ())}
        return {key: obj for key, obj in found.items() if obj is not None}

    def _on_change(self, change: Change) -> None:
        if change.before is not None and (owner := tracked_by(change.before)):
            self._tracked.get(owner, {}).pop(change.key, None)
        if change.after is not None:
            self._index(change.key, change.after)
        if change.after is not None and change.before is None and change.key.kind in _LATE_KINDS:
            self._hidden.add(change.key)
            self.cluster.world.clock.soon(LATE, lambda: self._appear(change))
        elif change.key not in self._hidden:
            self._tell(change)
        elif change.after is None:
            self._hidden.discard(change.key)

    def _appear(self, change: Change) -> None:
        if change.key in self._hidden:
            self._hidden.discard(change.key)
            self._tell(change)

    def _index(self, key: Key, obj: Manifest) -> None:
        if owner := tracked_by(obj):
            self._tracked.setdefault(owner, {})[key] = None
