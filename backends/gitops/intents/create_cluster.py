"""Names a cluster that Argo CD already knows, so that environments may use it."""

from __future__ import annotations

import msgspec

from backends.domain.cluster import IN_CLUSTER, Cluster
from backends.domain.ids import parse_slug
from backends.errors import Conflict, Invalid
from backends.gitops import files, records
from backends.gitops.address import refuse_credentials
from backends.gitops.intent import Description
from backends.gitops.intents.subjects import description
from backends.gitops.tree import Tree
from backends.text import clean, is_one_line


class CreateCluster(msgspec.Struct, frozen=True, kw_only=True, tag="create-cluster"):
    """Writes clusters/<name>.yaml; credentials stay in the Secret that it names."""

    name: str
    server: str
    secret: str = ""
    """"" is `tiphys-cluster-<name>`."""
    provider: str = ""
    region: str = ""
    labels: dict[str, str] = {}
    ca_fingerprint: str = ""

    def apply(self, tree: Tree) -> Tree:
        """Raises `Conflict` when another cluster of that name exists, `Invalid` for `in-cluster`, which needs no file."""
        files.workspace(tree)
        parse_slug(self.name, "cluster name")
        if self.name == IN_CLUSTER:
            raise Invalid("in-cluster is the cluster that Argo CD runs in: it needs no file")
        refuse_credentials(self.server, "address of a Kubernetes API")
        if not self.server.startswith(("https://", "http://")) or not is_one_line(self.server):
            raise Invalid(f"not the address of a Kubernetes API: {clean(self.server, limit=120)!r}", hint="https://host:6443")
        cluster = Cluster(
            name=self.name,
            server=self.server,
            secret=self.secret or f"tiphys-cluster-{self.name}",
            provider=self.provider,
            region=self.region,
            labels=self.labels,
            ca_fingerprint=self.ca_fingerprint,
        )
        path = files.cluster_file(self.name)
        if path not in tree:
            return tree.with_file(path, records.cluster_yaml(cluster))
        found = files.cluster(tree, self.name)
        if found != cluster:
            raise Conflict(f"cluster {self.name} exists already, at {clean(found.server, limit=120)}", hint=f"its file is {path}")
        return tree

    def describe(self, before: Tree, after: Tree) -> Description:  # noqa: ARG002 - the protocol's
        return description(after, "create-cluster", self.name, self.server)
