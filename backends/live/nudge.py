"""Whom to ask for a comparison after a push, and the asking (gitops-repo.md, *Nudge after each push*).

Polling takes Argo CD 2 to 4 minutes, a refresh half a second. `nudges` is pure: it says which Applications a commit concerns and what each
has to wait for. `run` asks, at most a few at once; that somebody may not, or that nobody answers, is told and ends nothing.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import Application
from backends.domain.ids import AppKey, DeploymentId
from backends.domain.workspace import Workspace
from backends.errors import BackendError, Forbidden, Invalid, NotFound, TimedOut, Unavailable
from backends.gitops import sources
from backends.gitops.document import Owner, read_all
from backends.gitops.layout import Layout, Place
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean

AT_ONCE = 8
"""Refreshes at once: each is a rendering on Argo CD's repo server."""
MOST = 50
"""Readers of a shared layer that are asked in one go; more are asked in slices of as many, with progress."""
POLLED = 500
"""Readers from this many on are left to Argo CD's polling: asking would take longer."""
_NEVER_READ = ("control/", "bootstrap/", "clusters/", "pipelines/")


class Role(enum.StrEnum):
    """What an Application is to the workspace."""

    ROOT = "root"
    MANAGER = "manager"
    DEPLOYMENT = "deployment"


class When(enum.StrEnum):
    """What has to have happened before a refresh is of use."""

    NOW = "now"
    ROOT_SYNCED = "root synced"
    """The root has synced past the commit: it brings the Manager's new manifest."""
    SPEC_APPLIED = "spec applied"
    """The live spec equals application.yaml: before that it would be compared under its old spec."""


class Nudge(msgspec.Struct, frozen=True, kw_only=True):
    """One Application to refresh. `shared`: it only reads a layer that several read."""

    name: str
    project: str
    role: Role
    environment: str = ""
    when: When = When.NOW
    shared: bool = False


class NoticeKind(enum.StrEnum):
    NUDGED = "nudged"
    REFUSED = "refused"
    """403; somebody else may."""
    AWAY = "away"
    """Nobody answered: nobody has seen the commit yet."""
    ABSENT = "absent"
    """There is no such Application (yet)."""
    FAILED = "failed"
    PROGRESS = "progress"
    LEFT = "left"
    """Left to polling."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a refresh: one cleaned line, and the Application as it was compared."""

    kind: NoticeKind
    name: str
    text: str
    application: Application | None = None


def nudges(paths: Iterable[str], before: Tree, after: Tree, workspace: Workspace, *, layout: Layout = LAYOUT) -> tuple[Nudge, ...]:
    """Whom a commit concerns: root first, then Managers, then deployments in order of id.

    Args:
        paths: that differ between `before` and `after`.
    """
    changed = tuple(sorted(set(paths)))
    found: dict[str, Nudge] = {}
    manifests: dict[str, Place] = {}
    for path in changed:
        place = layout.owner(path)
        if place is not None and path == f"{place.folder}/application.yaml" and before.oid(path) != after.oid(path):
            manifests[place.id] = place
    managers = dict.fromkeys(place.environment for place in manifests.values())
    if any(path.startswith("control/") for path in changed):
        found[workspace.root_name] = Nudge(name=workspace.root_name, project=workspace.root_name, role=Role.ROOT)
    for name, environment in _managers_of(changed, after, workspace):
        found[name] = Nudge(name=name, project=name, role=Role.MANAGER, environment=environment, when=When.ROOT_SYNCED)
    for environment in managers:
        name = workspace.manager_name(environment)
        found.setdefault(name, Nudge(name=name, project=name, role=Role.MANAGER, environment=environment))
    for nudge in sorted(_deployments(changed, manifests, before, after, workspace, layout), key=lambda one: (one.shared, one.name)):
        found.setdefault(nudge.name, nudge)
    return tuple(found.values())


def readers(tree: Tree, paths: Sequence[str], repo_url: str, *, layout: Layout = LAYOUT) -> Iterator[Place]:
    """The deployments whose sources read one of these files. Thousands cost one read of all application.yaml and a parse of those that fit."""
    wanted = tuple({part.encode("utf-8", "surrogateescape") for path in paths for part in _prefixes(path)})
    places = {f"{place.folder}/application.yaml": place for place in layout.deployments(tree)}
    for path, data in tree.read_many(places).items():
        if not any(part in data for part in wanted):
            continue
        try:
            app = layout.application(tree, places[path])
        except (Invalid, NotFound):  # Argo CD cannot read it either; its Manager will say so
            continue
        if sources.reads(app, tree, repo_url).among(paths):
            yield places[path]


async def run(
    nudges: Sequence[Nudge],
    argocd: ArgoCD,
    namespace: str,
    *,
    told: Callable[[Notice], None] | None = None,
    at_once: int = AT_ONCE,
    most: int = MOST,
    polled: int = POLLED,
) -> tuple[Notice, ...]:
    """Refresh them all, whatever their `when`; what only reads a shared layer comes last, in slices.

    Args:
        told: hears each notice as it comes.
    """
    notices: list[Notice] = []
    gate = asyncio.Semaphore(at_once)

    def tell(notice: Notice) -> None:
        notices.append(notice)
        if told is not None:
            told(notice)

    async def one(nudge: Nudge) -> None:
        async with gate:
            tell(await refresh(nudge, argocd, namespace))

    own, shared = [n for n in nudges if not n.shared], [n for n in nudges if n.shared]
    await _all(one(nudge) for nudge in own)
    if len(shared) > polled:
        text = f"{len(shared)} deployments read what was changed: they are left to Argo CD's polling, which takes some minutes"
        tell(Notice(kind=NoticeKind.LEFT, name="", text=text))
        return tuple(notices)
    for start in range(0, len(shared), most):
        part = shared[start : start + most]
        await _all(one(nudge) for nudge in part)
        if len(shared) > most:
            text = f"asked Argo CD to look at {start + len(part)} of {len(shared)} deployments"
            tell(Notice(kind=NoticeKind.PROGRESS, name="", text=text))
    return tuple(notices)


async def refresh(nudge: Nudge, argocd: ArgoCD, namespace: str, *, hard: bool = False) -> Notice:
    """One refresh; it answers after the comparison. Raises nothing that Argo CD may say."""
    name = clean(nudge.name, limit=253)
    try:
        answer = await argocd.get_application(AppKey(namespace, nudge.name), project=nudge.project, refresh="hard" if hard else "normal")
    except Forbidden as error:
        text = f"you may not refresh {name}: whoever may see Argo CD's project {clean(nudge.project, limit=120)} can ({error.message})"
        return Notice(kind=NoticeKind.REFUSED, name=nudge.name, text=text)
    except NotFound:
        return Notice(kind=NoticeKind.ABSENT, name=nudge.name, text=f"{name} is not in Argo CD")
    except (Unavailable, TimedOut) as error:
        return Notice(kind=NoticeKind.AWAY, name=nudge.name, text=f"nobody has seen it yet: {error.message}")
    except BackendError as error:
        return Notice(kind=NoticeKind.FAILED, name=nudge.name, text=f"{name} could not be refreshed: {error.message}")
    return Notice(kind=NoticeKind.NUDGED, name=nudge.name, text=f"asked Argo CD to look at {name}", application=answer)


def _managers_of(changed: Iterable[str], after: Tree, workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Name and environment of each Manager whose manifest was changed and is still there."""
    for path in changed:
        data = after.read(path) if path.startswith("control/managers/") else None
        if data is None:
            continue
        stem = path.removeprefix("control/managers/").removesuffix(".yaml")
        try:
            documents = read_all(path, data, owner=Owner.MACHINE)
        except Invalid:  # the root will say so
            continue
        for document in documents:
            value = document.data if isinstance(document.data, dict) else {}
            metadata = value.get("metadata")
            if value.get("kind") == "Application" and isinstance(metadata, dict):
                labels = metadata.get("labels") or {}
                yield str(metadata.get("name") or workspace.manager_name(stem)), str(labels.get("tiphys.dev/environment") or stem)


def _deployments(
    changed: Sequence[str], manifests: dict[str, Place], before: Tree, after: Tree, workspace: Workspace, layout: Layout
) -> Iterator[Nudge]:
    for place in manifests.values():
        manifest = f"{place.folder}/application.yaml"
        if manifest in after and manifest in before:  # a new one is compared at once, a removed one by nobody
            yield _nudge(place, workspace, when=When.SPEC_APPLIED)
    for path in changed:
        place_of = layout.owner(path)
        if place_of is not None and place_of.id not in manifests and f"{place_of.folder}/application.yaml" in after:
            yield _nudge(place_of, workspace)
    shared = [path for path in changed if not path.startswith(_NEVER_READ) and layout.owner(path) is None]
    if shared:
        for place in readers(after, shared, workspace.repo_url, layout=layout):
            if place.id not in manifests:
                yield _nudge(place, workspace, shared=True)


def _nudge(place: Place, workspace: Workspace, *, when: When = When.NOW, shared: bool = False) -> Nudge:
    return Nudge(
        name=place.id,
        project=workspace.project_name(place.environment),
        role=Role.DEPLOYMENT,
        environment=place.environment,
        when=when,
        shared=shared,
    )


def _prefixes(path: str) -> Iterator[str]:
    """The path and the folders above it, which a source or an annotation may name instead; not the topmost, which every file holds."""
    yield path
    while (path := path.rpartition("/")[0]).count("/") >= 1:
        yield path


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them together; when one of them or the caller is ended, all are."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def deployment_of(nudge: Nudge) -> DeploymentId | None:
    """The deployment that a nudge is about; None for root and Managers."""
    return DeploymentId(nudge.name) if nudge.role is Role.DEPLOYMENT else None
