"""What Argo CD has seen of one cluster: its cache of live objects.

Workloads and Applications are seen a moment late, new ones a little later still, as in a real one: the comparison right after a first sync does not see
them yet, which is why a new Application flashes OutOfSync and heals itself once.
"""

from __future__ import annotations

from collections.abc import Callable

from backends.sandbox.cluster import Change, Cluster
from backends.sandbox.objects import Key, Manifest, tracked_by

CREATED_LATE, CHANGED_LATE = 0.045, 0.025
_LATE_KINDS = frozenset(("Deployment", "StatefulSet", "DaemonSet", "Application"))


class LiveView:
    """The live objects of a cluster as Argo CD knows them; `tell` is called for every change it sees."""

    def __init__(self, cluster: Cluster, tell: Callable[[Change], None]) -> None:
        self.cluster = cluster
        self._tell = tell
        self._late = {key: obj for key, obj in cluster.objects.items() if key.kind in _LATE_KINDS}
        self._tracked: dict[str, dict[Key, None]] = {}
        for key, obj in cluster.objects.items():
            self._index(key, obj)
        cluster.watch(self._on_change)

    def get(self, key: Key) -> Manifest | None:
        return self._late.get(key) if key.kind in _LATE_KINDS else self.cluster.get(key)

    def tracked(self, application: str) -> dict[Key, Manifest]:
        """The objects whose tracking annotation names an Application."""
        found = {key: self.get(key) for key in self._tracked.get(application, ())}
        return {key: obj for key, obj in found.items() if obj is not None}

    def _on_change(self, change: Change) -> None:
        if change.key.kind in _LATE_KINDS:
            late = CREATED_LATE if change.key not in self._late else CHANGED_LATE
            self.cluster.world.clock.soon(late, lambda: self._see(change))
        else:
            self._see(change)

    def _see(self, change: Change) -> None:
        key, after = change.key, change.after
        if key.kind in _LATE_KINDS:
            known = self._late.get(key)
            if after is None:
                self._late.pop(key, None)
            elif known is None or int(known["metadata"]["resourceVersion"]) <= int(after["metadata"]["resourceVersion"]):
                self._late[key] = after
        if change.before is not None and (owner := tracked_by(change.before)):
            self._tracked.get(owner, {}).pop(key, None)
        if after is not None:
            self._index(key, after)
        self._tell(change)

    def _index(self, key: Key, obj: Manifest) -> None:
        if owner := tracked_by(obj):
            self._tracked.setdefault(owner, {})[key] = None
