"""The clusters that one Argo CD knows: the one it lives in, and those that were registered."""

from __future__ import annotations

from backends.sandbox.cluster import Cluster
from backends.sandbox.objects import ARGO, Key, Manifest
from backends.sandbox.projects import DEFAULT_SPEC
from backends.sandbox.workloads import Workloads
from backends.sandbox.world import World

HOME, HOME_SERVER = "in-cluster", "https://kubernetes.default.svc"


class Fleet:
    """Clusters by name and server. The home cluster holds the Applications and AppProjects."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clusters: list[Cluster] = []
        self.workloads: list[Workloads] = []
        self.home = self.add(HOME, HOME_SERVER)

    def add(self, name: str, server: str) -> Cluster:
        """Register a cluster; the same name again is the same cluster."""
        known = self.named(name)
        if known is not None:
            known.server = server
            return known
        nodes = ("node-1", "node-2") if not self.clusters else tuple(f"{name}-node-{index}" for index in (1, 2, 3))
        cluster = Cluster(self.world, name, server, nodes)
        self.clusters.append(cluster)
        self.workloads.append(Workloads(cluster))
        return cluster

    def named(self, name: str) -> Cluster | None:
        return next((one for one in self.clusters if one.name == name), None)

    def find(self, destination: Manifest) -> Cluster | None:
        """The cluster of an Application's destination, by name or by server; not by both."""
        if destination.get("name") and destination.get("server"):
            return None
        if destination.get("name"):
            return self.named(str(destination["name"]))
        server = str(destination.get("server", "")).rstrip("/")
        return next((one for one in self.clusters if one.server == server), None) if server else None

    def project(self, name: str) -> Manifest | None:
        return self.home.get(Key(ARGO, "AppProject", "argocd", name or "default"))

    def ensure_default_project(self) -> None:
        if self.project("default") is None:
            meta = {"name": "default", "namespace": "argocd"}
            self.home.put(
                {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": meta, "spec": DEFAULT_SPEC, "status": {}}
            )
