"""What a change reaches: the deployments that read a changed file, and what runs there before and after."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from backends.domain.deployment import Deployment
from backends.domain.ids import DeploymentId
from backends.domain.record import Image
from backends.errors import BackendError
from backends.gitops.layout import Place
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT

_SHARED = re.compile(r"(apps|environments)/([^/]+)/(?:values\.yaml|base/.*)")


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment that a change reaches, and how."""

    id: DeploymentId
    app: str
    environment: str
    folder: str
    """Where its own files lie."""
    files: tuple[str, ...] = ()
    """Changed files that its sources read."""
    application: bool = False
    """Its application.yaml changes: the environment's Manager has to apply it."""
    new: bool = False
    removed: bool = False
    problem: str = ""
    """Why it could not be looked into; it may be reached."""

    @property
    def place(self) -> Place:
        return Place(self.id, self.app, self.environment, self.folder)


class ImageChange(msgspec.Struct, frozen=True, kw_only=True):
    """One image by its name in the app; None where there was, or will be, none."""

    name: str
    before: Image | None
    after: Image | None


class TargetChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a release changes on one deployment; images that stay are among them, with the same value twice."""

    id: DeploymentId
    app: str
    environment: str
    cluster: str
    namespace: str
    new: bool = False
    removed: bool = False
    images: tuple[ImageChange, ...] = ()
    chart_before: str = ""
    chart_after: str = ""


def reaches(before: Tree, after: Tree, changed: Sequence[str]) -> tuple[Reach, ...]:
    """The deployments that change, are new, go, or read a changed file; in order of environment, app and id."""
    found = (_reach(place, before, after, changed) for place in _candidates(before, after, changed))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.environment, one.app, one.id)))


def target_changes(before: Tree, after: Tree, changed: Iterable[str]) -> tuple[TargetChange, ...]:
    """What a release changes, for each deployment whose record changes; one that cannot be read is left out (its files are in the diff)."""
    places = {place: None for path in changed if path.endswith(("/release.yaml", "/deployment.yaml")) and (place := LAYOUT.owner(path))}
    found = (_target(place, before, after) for place in places)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.environment, one.app, one.id)))


def _candidates(before: Tree, after: Tree, changed: Sequence[str]) -> Iterator[Place]:
    seen: set[DeploymentId] = set()
    for place in _all_candidates(before, after, changed):
        if place.id not in seen:
            seen.add(place.id)
            yield place


def _all_candidates(before: Tree, after: Tree, changed: Sequence[str]) -> Iterator[Place]:
    for path in changed:
        own = LAYOUT.owner(path)
        if own is not None:
            yield own
    for kind, name in dict.fromkeys((m[1], m[2]) for path in changed if (m := _SHARED.fullmatch(path))):
        yield from LAYOUT.deployments(after, app=name) if kind == "apps" else LAYOUT.deployments(after, environment=name)
    if any(path.startswith("charts/") for path in changed) and before.commit is not None:
        yield from LAYOUT.deployments(after)


def _reach(place: Place, before: Tree, after: Tree, changed: Sequence[str]) -> Reach | None:
    file = f"{place.folder}/application.yaml"
    was, will = file in before, file in after
    if not was and not will:
        return None
    application = before.oid(file) != after.oid(file)
    problem = ""
    read: tuple[str, ...] = ()
    try:
        read = LAYOUT.reads(after if will else before, place).among(changed)
    except BackendError as error:  # its own broken files must not hide what the change does elsewhere
        problem = error.message
    if not (read or application or problem):
        return None
    return Reach(
        id=place.id,
        app=place.app,
        environment=place.environment,
        folder=place.folder,
        files=read,
        application=application,
        new=not was,
        removed=not will,
        problem=problem,
    )


def _target(place: Place, before: Tree, after: Tree) -> TargetChange | None:
    old, new = _deployment(before, place), _deployment(after, place)
    shown = new or old
    if shown is None or (old is not None and new is not None and old.record == new.record):
        return None
    was, will = (old.record.images if old else {}), (new.record.images if new else {})
    return TargetChange(
        id=place.id,
        app=place.app,
        environment=place.environment,
        cluster=shown.cluster,
        namespace=shown.namespace,
        new=old is None,
        removed=new is None,
        images=tuple(ImageChange(name=name, before=was.get(name), after=will.get(name)) for name in {**was, **will}),
        chart_before=old.record.chart_version if old else "",
        chart_after=new.record.chart_version if new else "",
    )


def _deployment(tree: Tree, place: Place) -> Deployment | None:
    if f"{place.folder}/deployment.yaml" not in tree:
        return None
    try:
        return LAYOUT.deployment(tree, place)
    except BackendError:  # shown as a file diff only
        return None
