"""One simulated cluster with its controllers: objects are applied, time passes, and what became of them is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from backends.sandbox import documents
from backends.sandbox.clock import Clock
from backends.sandbox.cluster import Cluster
from backends.sandbox.health import health_of
from backends.sandbox.objects import Key, Manifest, dig, key_of
from backends.sandbox.workloads import Workloads
from backends.sandbox.world import World


class Place:
    """A cluster named "here" with the namespace "dev"."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self.cluster = Cluster(World(Clock(timer=timer)), "here", "https://here.example.org")
        self.workloads = Workloads(self.cluster)
        self.apply("{apiVersion: v1, kind: Namespace, metadata: {name: dev}}")

    def apply(self, text: str, **more: Any) -> str:
        """Apply one YAML document; gives what kubectl would say."""
        (manifest,) = documents.objects(text)
        if manifest["kind"] != "Namespace":
            manifest["metadata"].setdefault("namespace", "dev")
        return self.cluster.apply(manifest, **more)

    def deploy(self, image: str, **spec: Any) -> None:
        """Apply the Deployment "web" of two replicas."""
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}}
        body = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template} | spec
        meta = {"name": "web", "namespace": "dev"}
        self.cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": body})

    def get(self, kind: str, name: str = "web", group: str = "") -> Manifest:
        found = self.cluster.get(Key(group, kind, "dev", name))
        assert found is not None, f"no {kind} {name}"
        return found

    def health(self, kind: str, name: str = "web", group: str = "apps") -> tuple[str, str]:
        found = health_of(self.get(kind, name, group))
        assert found is not None
        return found.status, found.message

    @property
    def pods(self) -> list[Manifest]:
        return list(self.cluster.of_kind("Pod"))

    def reasons(self) -> list[str]:
        """What the first container of each pod is doing, or the pod's phase."""
        waiting = [dig(pod, "status", "containerStatuses", 0, "state", "waiting", "reason") for pod in self.pods]
        return sorted(reason or str(dig(pod, "status", "phase")) for reason, pod in zip(waiting, self.pods, strict=True))

    def events(self, obj: Manifest) -> list[tuple[str, str]]:
        """(reason, message) of an object's events, in order."""
        return [(one["reason"], one["message"]) for one in self.cluster.events.of(str(obj["metadata"]["uid"]))]

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until(self, holds: Callable[[], object], *, seconds: float = 900.0) -> float:
        """Wait until something holds; gives how many seconds that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not holds():
            assert loop.time() < began + seconds, f"waited in vain: {[key_of(one) for one in self.cluster.objects.values()]}"
            await asyncio.sleep(0.05)
        return loop.time() - began
