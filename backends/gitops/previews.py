"""What a change does to the objects of each deployment it reaches: its Application's source rendered before and after, and compared.

The request is made of the application.yaml that Argo CD obeys and of the files it may read, nothing else. Rendering itself is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from backends.domain.ids import DeploymentId
from backends.errors import BackendError, Cancelled, Invalid
from backends.gitops.impact import Reach
from backends.gitops.layout import Place
from backends.gitops.sources import Application, Source
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT
from backends.render.diff import ObjectDiff, compare
from backends.render.sources import files_for, kind_of
from backends.render.types import Rendered, RenderRequest, SourceKind
from backends.text import clean

RENDER_LIMIT = 20
"""Deployments that one plan renders; a shared layer can reach a thousand, and a person reads a few."""
Render = Callable[[RenderRequest], Rendered]


class RenderedDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of one deployment that a change adds, changes or removes; `missing` or `error` says why none are known."""

    deployment: DeploymentId
    objects: tuple[ObjectDiff, ...] = ()
    by: str = ""
    """The engine: "Helm 4.2 for Kubernetes 1.36"."""
    missing: str = ""
    """Not rendered here, and why."""
    error: str = ""
    """The files after the change do not render: Argo CD would say ComparisonError."""
    hooks: tuple[str, ...] = ()
    """The hooks that a sync after the change would run ("PreSync Job web-migrate")."""
    kinds: tuple[tuple[str, str], ...] = ()
    """Group and kind of every object after the change."""
    warnings: tuple[str, ...] = ()
    """What the engine said of the files after the change."""


def previews(before: Tree, after: Tree, reached: Iterable[Reach], repo_url: str, render: Render | None) -> tuple[RenderedDiff, ...]:
    """The rendered difference of each reached deployment, the first `RENDER_LIMIT` of them. Raises `Cancelled`."""
    found = []
    for number, reach in enumerate(reached):
        if number >= RENDER_LIMIT:
            found.append(RenderedDiff(deployment=reach.id, missing=f"not rendered: only the first {RENDER_LIMIT} deployments are"))
        else:
            found.append(_preview(before, after, reach, repo_url, render))
    return tuple(found)


def request(tree: Tree, place: Place, repo_url: str) -> RenderRequest | str:
    """What rendering a deployment takes; a sentence where it cannot be rendered here. Raises `NotFound`, `Invalid`."""
    application = LAYOUT.application(tree, place)
    elsewhere = next((source for source in application.sources if source.chart or (source.repo_url != repo_url and not source.ref)), None)
    if elsewhere is not None:
        what = f"chart {elsewhere.chart}" if elsewhere.chart else "a source"
        return clean(f"not rendered here: {what} of {elsewhere.repo_url}", limit=200)
    paths = [source for source in application.sources if source.path]
    if len(paths) != 1:
        return f"not rendered here: {len(paths)} sources with a path"
    return _request(tree, application, paths[0])


def _request(tree: Tree, application: Application, source: Source) -> RenderRequest:
    path = source.path.strip("/")
    kind = SourceKind.HELM if source.helm is not None else SourceKind.DIRECTORY if source.directory is not None else kind_of(tree, path)
    value_files = application.value_files if kind is SourceKind.HELM else ()
    options = source.directory or {}
    return RenderRequest(
        kind=kind,
        files=files_for(tree, kind, path, value_files),
        path=path,
        value_files=value_files,
        release_name=application.name,
        namespace=application.target_namespace,
        recurse=options.get("recurse") is True,
        include=str(options.get("include") or ""),
        exclude=str(options.get("exclude") or ""),
    )


def _preview(before: Tree, after: Tree, reach: Reach, repo_url: str, render: Render | None) -> RenderedDiff:
    if render is None:
        return RenderedDiff(deployment=reach.id, missing="not rendered: nothing here renders")
    try:
        new = Rendered() if reach.removed else _rendered(after, reach.place, repo_url, render)
    except Invalid as error:
        return RenderedDiff(deployment=reach.id, error=error.message)
    try:
        old = Rendered() if reach.new else _rendered(before, reach.place, repo_url, render)
    except Invalid as error:
        old = Rendered(missing=f"not compared: before the change it did not render ({error.message})")
    missing = new.missing or old.missing
    return RenderedDiff(
        deployment=reach.id,
        objects=() if missing else compare(old, new),
        by=new.by or old.by,
        missing=missing,
        hooks=tuple(clean(f"{one.hook} {one.kind} {one.name}", limit=120) for one in new.manifests if one.hook),
        kinds=tuple(sorted({(one.group, one.kind) for one in new.manifests})),
        warnings=new.warnings,
    )


def _rendered(tree: Tree, place: Place, repo_url: str, render: Render) -> Rendered:
    """Raises `Invalid` when the files do not render, `Cancelled`; an engine that does not answer leaves it unrendered."""
    try:
        wanted = request(tree, place, repo_url)
        return Rendered(missing=wanted) if isinstance(wanted, str) else render(wanted)
    except (Invalid, Cancelled):
        raise
    except BackendError as error:
        return Rendered(missing=f"not rendered: {error.message}")
