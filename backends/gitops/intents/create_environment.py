"""A new environment with its Manager and AppProject; or other options for one that exists."""

from __future__ import annotations

import contextlib
import fnmatch
from typing import Any

import msgspec

from backends.domain.cluster import IN_CLUSTER
from backends.domain.environment import Allow, Environment, EnvironmentKind, GroupKind
from backends.domain.ids import parse_slug
from backends.errors import Conflict, Invalid, Refused
from backends.gitops import control, files, records
from backends.gitops.intent import Description
from backends.gitops.intents.locks import refuse_locked
from backends.gitops.intents.subjects import description
from backends.gitops.keys import KeyPath
from backends.gitops.tree import Tree
from backends.gitops.values import spliced
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean

NAMESPACES = Allow(cluster_resources=(GroupKind(group="", kind="Namespace"),))
"""What every environment allows: `CreateNamespace=true` needs it."""


class CreateEnvironment(msgspec.Struct, frozen=True, kw_only=True, tag="create-environment"):
    """Options that are None keep what is there, or take the default of a new environment."""

    name: str
    kind: EnvironmentKind | None = None
    order: int | None = None
    """None in a new environment: ten above the highest."""
    cluster: str | None = None
    clusters: tuple[str, ...] | None = None
    namespace: str | None = None
    promote_from: tuple[str, ...] | None = None
    automated: bool | None = None
    protected: bool | None = None
    """None in a new environment: whether its kind is production."""
    new: bool = False
    """Whether the planner saw no environment of that name: then somebody else's is a conflict, not something to change."""

    def apply(self, tree: Tree) -> Tree:
        """Raises `NotFound` (a cluster or an environment that it names), `Refused` (locked, or deployments would be left outside)."""
        parse_slug(self.name, "environment name")
        path = files.environment_file(self.name)
        if path in tree:
            return self._changed(tree, path)
        environment = self._new(tree)
        self._check_names(tree, environment)
        tree = tree.with_file(path, records.environment_yaml(environment))
        return _with_control(tree, files.environment(tree, self.name))

    def describe(self, before: Tree, after: Tree) -> Description:
        environment = files.environment(after, self.name)
        if files.environment_file(self.name) in before:
            given = ", ".join(_KEYS[field] for field in _KEYS if getattr(self, field) is not None)
            detail = f"change {given}"
        else:
            detail = f"{environment.kind} on {', '.join(environment.allowed_clusters)}"
        return description(after, "create-environment", self.name, detail, [("Env", self.name)])

    def _new(self, tree: Tree) -> Environment:
        kind = self.kind or EnvironmentKind.DEVELOPMENT
        cluster = self.cluster or (self.clusters[0] if self.clusters else IN_CLUSTER)
        return Environment(
            name=self.name,
            kind=kind,
            order=_highest_order(tree) + 10 if self.order is None else self.order,
            cluster=cluster,
            clusters=_with_default(self.clusters or (), cluster),
            namespace="{app}-{env}" if self.namespace is None else self.namespace,
            promote_from=self.promote_from or (),
            automated=self.automated is not False,
            protected=kind is EnvironmentKind.PRODUCTION if self.protected is None else self.protected,
            allow=NAMESPACES,
        )

    def _changed(self, tree: Tree, path: str) -> Tree:
        before = files.environment(tree, self.name)
        refuse_locked(before)
        given = {field: value for field in _KEYS if (value := getattr(self, field)) is not None}
        after = msgspec.structs.replace(before, **given)
        if self.cluster is not None and self.clusters is None:
            after = msgspec.structs.replace(after, clusters=_with_default(after.clusters, self.cluster))
        elif self.clusters is not None and self.cluster is None and before.cluster not in self.clusters:
            after = msgspec.structs.replace(after, cluster=self.clusters[0] if self.clusters else before.cluster)
        if self.kind is EnvironmentKind.PRODUCTION and self.protected is None:
            after = msgspec.structs.replace(after, protected=True)
        if after == before:
            return tree
        if self.new:
            raise Conflict(f"somebody has created environment {self.name} meanwhile, with other options", hint=f"its file is {path}")
        self._check_names(tree, after)
        _refuse_left_outside(tree, before, after)
        tree = tree.with_file(path, _edited(path, tree.read(path) or b"", before, after))
        written = files.environment(tree, self.name)
        tree = _with_control(tree, written)
        if before.automated != written.automated:
            for place in LAYOUT.deployments(tree, environment=self.name):
                tree = LAYOUT.with_application(tree, place)
        return tree

    def _check_names(self, tree: Tree, environment: Environment) -> None:
        files.workspace(tree)
        for cluster in environment.allowed_clusters:
            files.cluster(tree, cluster)
        for name in self.promote_from or ():
            files.environment(tree, name)


_KEYS = {
    "kind": "kind",
    "order": "order",
    "cluster": "cluster",
    "clusters": "clusters",
    "namespace": "namespace",
    "promote_from": "promoteFrom",
    "automated": "automated",
    "protected": "protected",
}


def _highest_order(tree: Tree) -> int:
    """The highest order of the environments that can be read: a broken one must not keep a new one from being made."""
    highest = 0
    for name in files.environments(tree):
        with contextlib.suppress(Invalid):
            highest = max(highest, files.environment(tree, name).order)
    return highest


def _with_default(clusters: tuple[str, ...], cluster: str) -> tuple[str, ...]:
    """The allowed clusters, the default one among them."""
    return clusters if cluster in clusters else (cluster, *clusters)


def _with_control(tree: Tree, environment: Environment) -> Tree:
    """The environment's control files, and what keeps its Manager's path alive."""
    workspace = files.workspace(tree)
    apps = [files.app(tree, name) for name in files.apps(tree)]
    tree = tree.with_files(
        {
            files.project_file(environment.name): control.project_yaml(workspace, environment, apps),
            files.manager_file(environment.name): control.manager_yaml(workspace, environment.name),
        }
    )
    for path, data in (
        (files.environment_values(environment.name), records.values_yaml(f"values of every app in {environment.name}")),
        (f"{files.environment_folder(environment.name)}/{files.KEEP}", b""),
    ):
        if path not in tree:
            tree = tree.with_file(path, data)
    return tree


def _edited(path: str, data: bytes, before: Environment, after: Environment) -> bytes:
    """environment.yaml with only the keys that differ touched: comments and unknown keys of people stay."""
    old, new = records.environment_fields(before), records.environment_fields(after)
    changes: list[tuple[KeyPath, Any, bool]] = [((name,), new[name], False) for name in _KEYS.values() if new[name] != old[name]]
    return spliced(path, data, changes, order=records.ENVIRONMENT_KEYS)


def _refuse_left_outside(tree: Tree, before: Environment, after: Environment) -> None:
    """A deployment whose cluster or namespace its AppProject would no longer allow keeps Argo CD from syncing it."""
    if set(before.allowed_clusters) <= set(after.allowed_clusters) and before.namespace == after.namespace:
        return
    for place in LAYOUT.deployments(tree, environment=after.name):
        deployment = LAYOUT.deployment(tree, place)
        if deployment.cluster not in after.allowed_clusters:
            raise Refused(f"{place.id} is on cluster {clean(deployment.cluster, limit=60)}: delete it first, or keep the cluster")
        if not fnmatch.fnmatchcase(deployment.namespace, after.namespace_pattern):
            raise Refused(f"{place.id} is in namespace {clean(deployment.namespace, limit=80)}, which the new template would not allow")
