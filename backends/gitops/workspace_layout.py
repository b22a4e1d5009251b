"""The layout of a Tiphys workspace repository: one folder per deployment, no file that two deploys both rewrite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from backends.domain.app import App
from backends.domain.deployment import Deployment
from backends.domain.environment import Environment, Pause
from backends.domain.ids import DeploymentId
from backends.domain.record import Record
from backends.errors import Invalid, NotFound
from backends.gitops import charts, files, records, sources
from backends.gitops.applications import ChartElsewhere, ChartHere, Origin, Overlay, application_yaml
from backends.gitops.document import read
from backends.gitops.kustomizations import kustomization_yaml, with_images
from backends.gitops.layout import Layer, LayerKind, Layout, Place
from backends.gitops.sources import Application, Reads
from backends.gitops.tree import Tree
from backends.gitops.values import spliced
from backends.text import clean

RELEASE_FILES = ("release.yaml", "values.release.yaml")
RESTORABLE = frozenset((*RELEASE_FILES, "values.yaml"))
_RECORD_KEYS = frozenset(("images", "chart", "build", "source", "promotedFrom"))
_OWN = re.compile(r"deployments/([^/]+)/([^/]+)/([^/]+)/.+")


class WorkspaceLayout:
    """Our own format (gitops-repo: `deployments/<env>/<app>/<id>/`)."""

    def deployments(self, tree: Tree, *, app: str | None = None, environment: str | None = None) -> Iterator[Place]:
        if environment is None and app is not None:
            for name in files.environments(tree):
                yield from self.deployments(tree, app=app, environment=name)
            return
        folder = "deployments" if environment is None else files.environment_folder(environment)
        for path in tree.paths(folder if app is None else f"{folder}/{app}"):
            if path.endswith("/deployment.yaml") and path.count("/") == 4:
                _, env, name, id, _ = path.split("/")
                yield Place(DeploymentId(id), name, env, path[: -len("/deployment.yaml")])

    def find(self, tree: Tree, id: DeploymentId) -> Place:
        ending = f"/{id}/deployment.yaml"
        found = next((path for path in tree.paths("deployments") if path.endswith(ending) and path.count("/") == 4), None)
        if found is None:
            near = files.nearest(id, tuple(place.id for place in self.deployments(tree)))
            raise NotFound(f"there is no deployment {clean(id, limit=80)!r} in this workspace", suggestion=near)
        _, env, app, _, _ = found.split("/")
        return Place(id, app, env, files.deployment_folder(env, app, id))

    def owner(self, path: str) -> Place | None:
        match = _OWN.fullmatch(path)
        return Place(DeploymentId(match[3]), match[2], match[1], files.deployment_folder(match[1], match[2], match[3])) if match else None

    def deployment(self, tree: Tree, place: Place) -> Deployment:
        value = _value(tree, f"{place.folder}/deployment.yaml")
        assert isinstance(value, Deployment)  # noqa: S101 - the path decides the type
        return msgspec.structs.replace(value, record=self._record(tree, place))

    def application(self, tree: Tree, place: Place) -> Application:
        value = _value(tree, f"{place.folder}/application.yaml")
        assert isinstance(value, Application)  # noqa: S101
        return value

    def reads(self, tree: Tree, place: Place) -> Reads:
        return sources.reads(self.application(tree, place), tree, files.workspace(tree).repo_url)

    def create(self, tree: Tree, deployment: Deployment, record: Record) -> Tree:
        folder = files.deployment_folder(deployment.environment, deployment.app, deployment.id)
        place = Place(deployment.id, deployment.app, deployment.environment, folder)
        app = files.app(tree, deployment.app)
        tree = tree.with_files(
            {
                f"{folder}/deployment.yaml": records.deployment_yaml(deployment),
                f"{folder}/release.yaml": records.release_yaml(record),
                **({} if app.chart is None else {f"{folder}/values.yaml": records.values_yaml("values of this deployment only")}),
            }
        )
        return self.with_application(_with_images(tree, place, app, record), place)

    def with_record(self, tree: Tree, place: Place, record: Record) -> Tree:
        path = f"{place.folder}/release.yaml"
        data = tree.read(path)
        before = self._record(tree, place)
        if data is None or before != record:
            unknown = {} if data is None else {k: v for k, v in (read(path, data).data or {}).items() if k not in _RECORD_KEYS}
            tree = tree.with_file(path, records.release_yaml(record, unknown))
        tree = _with_images(tree, place, files.app(tree, place.app), record)
        return tree if before.chart == record.chart else self.with_application(tree, place)

    def release_files(self, tree: Tree, place: Place) -> Mapping[str, bytes]:
        return {name: data for name in _release_names(tree, place) if (data := tree.read(f"{place.folder}/{name}")) is not None}

    def with_release_files(self, tree: Tree, place: Place, restored: Mapping[str, bytes]) -> Tree:
        before = self._record(tree, place)
        if not RESTORABLE.issuperset(restored):
            raise Invalid(f"not files of a release: {', '.join(clean(name, limit=80) for name in sorted(set(restored) - RESTORABLE))}")
        for name, data in restored.items():
            files.parse(f"{place.folder}/{name}", data)
        tree = tree.with_files({f"{place.folder}/{name}": data for name, data in restored.items()})
        record = self._record(tree, place)
        app = files.app(tree, place.app)
        if app.chart is None:
            tree = _with_images(tree, place, app, record)
        return tree if before.chart == record.chart else self.with_application(tree, place)

    def with_pause(self, tree: Tree, place: Place, pause: Pause | None) -> Tree:
        path = f"{place.folder}/deployment.yaml"
        tree = tree.with_file(path, with_pause(path, tree.read(path) or b"", pause, records.DEPLOYMENT_KEYS))
        return self.with_application(tree, place)

    def with_application(self, tree: Tree, place: Place) -> Tree:
        deployment = self.deployment(tree, place)
        app = files.app(tree, place.app)
        environment = files.environment(tree, place.environment)
        options = app.argocd.merged(environment.argocd).merged(deployment.argocd)
        data = application_yaml(
            files.workspace(tree),
            deployment,
            _origin(tree, place, app, environment, deployment),
            options,
            automated=environment.automated,
            paused=deployment.paused is not None or environment.paused is not None,
        )
        return tree.with_file(f"{place.folder}/application.yaml", data)

    def without(self, tree: Tree, place: Place) -> Tree:
        """The folder goes; the environment's own folder stays alive, since its Manager refuses a path that is not there."""
        keep = f"{files.environment_folder(place.environment)}/{files.KEEP}"
        tree = tree.without_folder(place.folder)
        return tree if keep in tree else tree.with_file(keep, b"")

    def values_file(self, tree: Tree, layer: Layer) -> str:
        if layer.kind is LayerKind.APP:
            files.app(tree, layer.name)
            return files.app_values(layer.name)
        if layer.kind is LayerKind.ENVIRONMENT:
            files.environment(tree, layer.name)
            return files.environment_values(layer.name)
        place = self.find(tree, DeploymentId(layer.name))
        if files.app(tree, place.app).chart is None:
            raise Invalid(f"{place.id} has no values: its app is not a chart", hint=f"edit {place.folder}/kustomization.yaml")
        return f"{place.folder}/values.yaml"

    def reached(self, tree: Tree, layer: Layer) -> Iterator[Place]:
        if layer.kind is LayerKind.DEPLOYMENT:
            yield self.find(tree, DeploymentId(layer.name))
        elif layer.kind is LayerKind.APP:
            yield from self.deployments(tree, app=layer.name)
        else:
            yield from self.deployments(tree, environment=layer.name)

    def _record(self, tree: Tree, place: Place) -> Record:
        value = _value(tree, f"{place.folder}/release.yaml", missing=Record())
        assert isinstance(value, Record)  # noqa: S101
        return value


LAYOUT: Layout = WorkspaceLayout()


def with_pause(path: str, data: bytes, pause: Pause | None, order: tuple[str, ...]) -> bytes:
    """deployment.yaml or environment.yaml with its `paused:` set or taken away."""
    fields: Any = None if pause is None else records.pause_fields(pause.until, pause.reason)
    if pause is None:
        return spliced(path, data, [(("paused",), None, True)])
    return spliced(path, data, [(("paused",), fields, False)], order=order)


def _value(tree: Tree, path: str, missing: object = None) -> object:
    data = tree.read(path)
    if data is None:
        if missing is not None:
            return missing
        raise NotFound(f"{path} is missing")
    return files.parse(path, data).value


def _origin(tree: Tree, place: Place, app: App, environment: Environment, deployment: Deployment) -> Origin:
    version = deployment.record.chart_version
    value_files = (
        files.app_values(app.name),
        files.environment_values(environment.name),
        f"{place.folder}/values.yaml",
        f"{place.folder}/values.release.yaml",
    )
    if app.chart is None:
        base = files.app_base(app.name)
        if _is_kustomize(tree, app):
            read_there = sources.overlay_files(tree, place.folder)
            return Overlay(place.folder, (base, *(path for path in read_there if not path.startswith(f"{base}/"))))
        if next(tree.paths(base), None) is None:
            raise Invalid(f"app {app.name} names no chart, and {base}/ is empty")
        return Overlay(base, (base,))
    if not version:
        raise Invalid(f"no chart version for {place.id}", hint="name one: --chart-version V")
    if app.chart.repo:
        return ChartElsewhere(app.chart.repo, app.chart.name, version, value_files)
    return ChartHere(charts.folder(tree, app.chart.path, version), value_files)


def _with_images(tree: Tree, place: Place, app: App, record: Record) -> Tree:
    """The images of a release where the app's chart or base reads them."""
    if app.chart is not None:
        return tree.with_file(f"{place.folder}/values.release.yaml", records.release_values_yaml(app, record))
    if not _is_kustomize(tree, app):
        return tree
    path = f"{place.folder}/kustomization.yaml"
    data = tree.read(path)
    if data is None:
        return tree.with_file(path, kustomization_yaml(app, files.app_base(app.name), place.folder, record))
    return tree.with_file(path, with_images(path, data, app, record))


def _is_kustomize(tree: Tree, app: App) -> bool:
    return app.chart is None and sources.is_kustomization(tree, files.app_base(app.name))


def _release_names(tree: Tree, place: Place) -> tuple[str, ...]:
    return RELEASE_FILES if f"{place.folder}/kustomization.yaml" not in tree else ("release.yaml",)
