"""Kubernetes events of one cluster: written by controllers, kept for an hour, read per object.

Events of a cluster's controllers repeat (`count` grows); those that Argo CD writes about its Applications never do.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from backends.sandbox.objects import Manifest, key_of, uid_of
from backends.sandbox.world import World

RETENTION = 3_600.0
"""Seconds that Kubernetes keeps an event."""
_SCHEDULER = "default-scheduler"
"""Writes events of the newer kind, which have no source."""
KEPT = 200
"""Events kept of one object at most."""


class Events:
    """The events of one cluster."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._of: dict[str, deque[Manifest]] = {}

    def record(self, about: Manifest, reason: str, message: str, *, kind: str = "Normal", component: str, host: str = "") -> None:
        """Write an event of a controller; the same one again counts up."""
        listed = self._of.setdefault(uid_of(about), deque(maxlen=KEPT))
        for index, event in enumerate(listed):
            if event["reason"] == reason and event["message"] == message and event["type"] == kind:
                listed[index] = event | {"count": event["count"] + 1, "lastTimestamp": self._world.clock.stamp()}
                return
        source = {"component": component} | ({"host": host} if host else {})
        event = self._event(about, reason, message, kind, source)
        listed.append(event | {"source": {}} if component == _SCHEDULER else event)

    def audit(self, about: Manifest, reason: str, message: str, *, kind: str, component: str, annotations: dict[str, str]) -> None:
        """Write an event of Argo CD about one of its Applications."""
        event = self._event(about, reason, message, kind, {"component": component})
        event["metadata"]["annotations"] = annotations
        event.pop("reportingComponent", None)
        self._of.setdefault(uid_of(about), deque(maxlen=KEPT)).append(event)

    def of(self, uid: str) -> list[Manifest]:
        """The events of one object that have not expired, as they were written."""
        clock = self._world.clock
        return [event for event in self._of.get(uid, ()) if clock.since(event["lastTimestamp"]) / clock.speed < RETENTION]

    def saved(self) -> dict[str, list[Manifest]]:
        return {uid: list(events) for uid, events in self._of.items()}

    def load(self, saved: dict[str, list[Manifest]]) -> None:
        self._of = {uid: deque(events, maxlen=KEPT) for uid, events in saved.items()}

    def _event(self, about: Manifest, reason: str, message: str, kind: str, source: dict[str, str]) -> dict[str, Any]:
        key, version, now = key_of(about), self._world.next_version(), self._world.clock.stamp()
        return {
            "metadata": {
                "name": f"{key.name}.{int(version) + (1 << 60):x}",
                "namespace": key.namespace or "default",
                "uid": self._world.uid(),
                "resourceVersion": version,
                "creationTimestamp": now,
            },
            "involvedObject": {
                "kind": key.kind,
                "namespace": key.namespace,
                "name": key.name,
                "uid": uid_of(about),
                "apiVersion": str(about.get("apiVersion", "")),
                "resourceVersion": about["metadata"].get("resourceVersion", ""),
            },
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": source["component"],
        }
