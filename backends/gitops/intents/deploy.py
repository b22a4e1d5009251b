"""Deploys images or a chart version to deployments, first time and again; N targets are one commit."""

from __future__ import annotations

import re

import msgspec

from backends.domain.app import App
from backends.domain.deployment import Deployment
from backends.domain.environment import Environment
from backends.domain.ids import DeploymentId, parse_deployment_id, parse_digest
from backends.domain.record import ChartVersion, Image, Record
from backends.errors import Conflict, Invalid, NotFound, Refused
from backends.gitops import files
from backends.gitops.intent import Description
from backends.gitops.intents.locks import refuse_locked
from backends.gitops.intents.subjects import description, movement, release_trailers, scope
from backends.gitops.layout import Place
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean, is_one_line

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment to change; `new` was minted by the planner and is made if nobody else made one meanwhile."""

    id: DeploymentId
    environment: str
    cluster: str
    new: bool = False


class Deploy(msgspec.Struct, frozen=True, kw_only=True, tag="deploy"):
    """Writes the release files of each target; a new target gets its whole folder."""

    app: str
    targets: tuple[Target, ...]
    images: dict[str, Image] = {}
    """By name; those not named keep what they are."""
    chart_version: str = ""
    """"" keeps the version, or takes the app's own for a new deployment."""
    source: str = ""
    """The commit of the app's repository that was built."""
    build: str = ""

    def apply(self, tree: Tree) -> Tree:
        """Raises `Refused` (locked, a cluster outside the environment), `Conflict` (somebody was faster), `NotFound`, `Invalid`."""
        app = files.app(tree, self.app)
        if not self.targets:
            raise Invalid("nowhere to deploy to")
        self._check()
        for target in self.targets:
            environment = files.environment(tree, target.environment)
            refuse_locked(environment)
            tree = self._deploy(tree, app, environment, target)
            _refuse_unreadable(tree, _place(self.app, target))
        return tree

    def describe(self, before: Tree, after: Tree) -> Description:
        places = [_place(self.app, target) for target in self.targets]
        records = [LAYOUT.deployment(after, place).record for place in places]
        old = [LAYOUT.deployment(before, place).record if _exists(before, place) else None for place in places]
        moved = {movement(*pair) for pair in zip(old, records, strict=True)}
        detail = moved.pop() if len(moved) == 1 else movement(None, records[0])
        return description(after, "deploy", scope(after, places), detail, release_trailers(after, places, records[0]))

    def _check(self) -> None:
        for name, image in self.images.items():
            if not all(is_one_line(text) and not re.search(r"[\s@]", text) for text in (image.repository, image.tag)):
                raise Invalid(f"not an image for {clean(name, limit=40)!r}: {clean(str(image), limit=200)!r}")
            if image.digest:
                parse_digest(image.digest)
            elif not image.tag:
                raise Invalid(f"the image {clean(name, limit=40)!r} has neither tag nor digest")
        for text in (self.chart_version, self.source, self.build):
            if not is_one_line(text):
                raise Invalid(f"not one line: {clean(text, limit=80)!r}")

    def _deploy(self, tree: Tree, app: App, environment: Environment, target: Target) -> Tree:
        place = _place(self.app, target)
        if _exists(tree, place):
            deployment = LAYOUT.deployment(tree, place)
            return LAYOUT.with_record(tree, place, self._next(app, deployment.record))
        if not target.new:
            raise NotFound(f"deployment {place.id} is not there any more: somebody deleted it")
        refuse_taken(tree, target, self.app)
        if target.cluster not in environment.allowed_clusters:
            clusters = ",".join((*environment.allowed_clusters, target.cluster))
            raise Refused(
                f"{environment.name} does not allow cluster {clean(target.cluster, limit=60)}",
                hint=f"tiphys create environment {environment.name} --clusters {clusters}",
            )
        files.cluster(tree, target.cluster)
        namespace = environment.namespace_of(self.app)
        if not _NAMESPACE.match(namespace):
            raise Invalid(f"the namespace {clean(namespace, limit=80)!r} is not one: at most 63 of a-z, 0-9 and dashes")
        deployment = Deployment(
            id=parse_deployment_id(target.id), app=self.app, environment=environment.name, cluster=target.cluster, namespace=namespace
        )
        return LAYOUT.create(tree, deployment, self._next(app, None))

    def _next(self, app: App, before: Record | None) -> Record:
        """The record after this deploy: where a build and its source came from goes with the images."""
        images = dict(before.images) if before else {}
        for name, image in self.images.items():
            if app.images and name not in app.images:
                names = ", ".join(app.images)
                raise NotFound(
                    f"app {app.name} has no image {clean(name, limit=40)!r}: {names}", suggestion=files.nearest(name, tuple(app.images))
                )
            declared = app.images[name].repository if name in app.images else ""
            repository = image.repository or (images[name].repository if name in images else "") or declared
            if not repository:
                raise Invalid(f"no repository for the image {clean(name, limit=40)!r}", hint="name it whole: registry/repository:tag")
            images[name] = msgspec.structs.replace(image, repository=repository)
        if missing := [name for name in app.images if name not in images]:
            raise Invalid(f"{app.name} was never deployed there and needs an image for {', '.join(missing)}")
        version = self.chart_version or (before.chart_version if before else "") or (app.chart.version if app.chart else "")
        if self.images or before is None:
            build, source, promoted = self.build, self.source, ""
            if before is not None and before.images == images and not (self.build or self.source):
                build, source, promoted = before.build, before.source, before.promoted_from
        else:
            build, source, promoted = self.build or before.build, self.source or before.source, before.promoted_from
        ordered = {name: images[name] for name in (*(n for n in app.images if n in images), *(n for n in images if n not in app.images))}
        return Record(
            images=ordered, chart=ChartVersion(version=version) if version else None, build=build, source=source, promoted_from=promoted
        )


def refuse_taken(tree: Tree, target: Target, app: str) -> None:
    """Raises `Conflict` when a deployment of this app, environment and cluster is there already, or its id is somebody else's."""
    for place in LAYOUT.deployments(tree, app=app, environment=target.environment):
        if LAYOUT.deployment(tree, place).cluster == target.cluster:
            raise Conflict(
                f"somebody has deployed {app} to {target.environment} on {target.cluster} meanwhile: {place.id}",
                hint="deploy again: it will then change that one",
            )
    ending = f"/{target.id}/deployment.yaml"
    if any(path.endswith(ending) for path in tree.paths("deployments")):
        raise Conflict(f"the id {target.id} is taken")


def _refuse_unreadable(tree: Tree, place: Place) -> None:
    """Raises `Invalid` where a values file of the deployment is missing or does not fit: Helm would refuse it, or read it as nobody meant it."""
    for path in LAYOUT.application(tree, place).value_files:
        data = tree.read(path)
        if data is None:
            raise Invalid(f"{path} is missing: Argo CD refuses to render {place.id} without it")
        files.parse(path, data)


def _place(app: str, target: Target) -> Place:
    return Place(target.id, app, target.environment, files.deployment_folder(target.environment, app, target.id))


def _exists(tree: Tree, place: Place) -> bool:
    return f"{place.folder}/deployment.yaml" in tree
