"""Where a deploy goes: `ENV[/CLUSTER]` as typed, the deployments that it means, and ids for those that are still to be made."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import msgspec

from backends.domain.deployment import Deployment
from backends.domain.ids import DeploymentId, mint_deployment_id
from backends.domain.record import Image
from backends.errors import Invalid, NotFound
from backends.gitops import files
from backends.gitops.intents.deploy import Deploy, Target
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean


class Destination(msgspec.Struct, frozen=True):
    """An environment and perhaps a cluster; "" is: every deployment of the app there, else the environment's default cluster."""

    environment: str
    cluster: str = ""


def destinations(texts: Iterable[str]) -> tuple[Destination, ...]:
    """`ENV[/CLUSTER][,…]`, given once or more often; doubles count once. Raises `Invalid`."""
    found = []
    for text in texts:
        for part in text.split(","):
            environment, slash, cluster = part.strip().partition("/")
            if not environment or (slash and not cluster) or "/" in cluster:
                raise Invalid(f"not a destination: {clean(part, limit=80)!r}", hint="ENVIRONMENT or ENVIRONMENT/CLUSTER")
            found.append(Destination(environment, cluster))
    return tuple(dict.fromkeys(found))


def existing(tree: Tree, app: str, destination: Destination) -> tuple[Deployment, ...]:
    """The deployments of an app that a destination means; () when the first one is still to be made.

    Raises `NotFound` (environment, cluster), `Invalid` (a deployment there cannot be read, so nobody knows where it is).
    """
    environment = files.environment(tree, destination.environment)
    there = tuple(LAYOUT.deployment(tree, place) for place in LAYOUT.deployments(tree, app=app, environment=environment.name))
    if not destination.cluster:
        return there
    known = files.clusters(tree)
    if destination.cluster not in environment.allowed_clusters and destination.cluster not in known:
        near = files.nearest(destination.cluster, known)
        raise NotFound(f"there is no cluster {clean(destination.cluster, limit=60)!r} in this workspace", suggestion=near)
    return tuple(one for one in there if one.cluster == destination.cluster)


def prepare_deploy(
    tree: Tree,
    app: str,
    to: Iterable[Destination],
    *,
    images: Mapping[str, Image] | None = None,
    chart_version: str = "",
    source: str = "",
    build: str = "",
    taken: Container[str] = (),
) -> Deploy:
    """A deploy to every deployment that the destinations mean; where there is none yet, one with a new id.

    `taken` are ids that were ever used (deletions in the history count); those of the tree are looked at here. Raises `NotFound`, `Invalid`.
    """
    files.app(tree, app)
    targets: dict[DeploymentId, Target] = {}
    for destination in to:
        there = existing(tree, app, destination)
        for one in there:
            targets[one.id] = Target(id=one.id, environment=one.environment, cluster=one.cluster)
        if there:
            continue
        environment = files.environment(tree, destination.environment)
        cluster = destination.cluster or environment.cluster
        if not any(t.new and (t.environment, t.cluster) == (environment.name, cluster) for t in targets.values()):
            minted = mint_deployment_id(app, environment.name, lambda id: id in taken or _is_used(tree, id))
            targets[minted] = Target(id=minted, environment=environment.name, cluster=cluster, new=True)
    return Deploy(
        app=app, targets=tuple(targets.values()), images=dict(images or {}), chart_version=chart_version, source=source, build=build
    )


def _is_used(tree: Tree, id: str) -> bool:
    inside = f"/{id}/"
    return any(inside in path for path in tree.paths("deployments"))
