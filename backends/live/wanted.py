"""What Git wants of a deployment, as `domain.rollout` needs it: read from the repository, its trees and its log.

`wanted_of` and `wanted_at` ask git a handful of times; `wanted_all` is for lists of thousands and asks git as often for all as for one.
Nothing here knows what Argo CD shows. Blocking: call it by `engine.in_thread`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from backends.domain.environment import Pause
from backends.domain.ids import DeploymentId, Sha
from backends.domain.release import Release
from backends.domain.rollout import Wanted
from backends.errors import BackendError, Invalid, NotFound
from backends.gitops import files, sources
from backends.gitops.catalog import Catalog
from backends.gitops.catalog import read as read_catalog
from backends.gitops.history import SILENT, last_changes
from backends.gitops.layout import Layout, Place
from backends.gitops.log import Commit
from backends.gitops.repo import Repo
from backends.gitops.sources import Application
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT

RECORDS = frozenset(("release.yaml", "deployment.yaml", "application.yaml"))
"""Files of a deployment's folder that no source reads, also where the folder is one."""
FEW = 4
"""Deployments that are asked about one by one: up to 0.1 s each, and reading everything takes 0.5 s at 3,000."""
RELEASES = ("release.yaml", "values.release.yaml", "kustomization.yaml")
"""Files that a newer release of the same deployment changes, or removes with it."""


def wanted_of(
    repo: Repo, tree: Tree, id: DeploymentId, *, commit: Sha | None = None, before: datetime | None = None, layout: Layout = LAYOUT
) -> Wanted:
    """What is wanted of one deployment: by the commit that somebody follows, or by the newest one that reaches it.

    Args:
        tree: of the branch's head.
        before: `reconciledAt` in the last look before the push.

    Raises `NotFound` (no such deployment in either), `Invalid` (a file that does not fit), `GitError`.
    """
    if commit is not None:
        return wanted_at(repo, tree, [id], commit, before={id: before}, layout=layout)[id]
    place = layout.find(tree, id)
    app = layout.application(tree, place)
    reads = layout.reads(tree, place)
    paths = (place.folder, *reads.folders, *reads.files)
    newest = _newest(repo.log(until=tree.commit, paths=paths, names=True), reads, place)
    if newest is None:
        raise NotFound(f"no commit of the branch changed {place.id}")
    return _wanted(repo, tree, place, newest, specs=(app.spec,), app=app, files=_Changed(newest.paths).read(reads, place), before=before)


def wanted_now(repo: Repo, ids: Iterable[DeploymentId], *, layout: Layout = LAYOUT) -> dict[DeploymentId, Wanted]:
    """What the newest release of each of these deployments wants, by what was fetched last; those that are not there are left out.

    A deployment whose files do not fit is left out too: `catalog` says what is wrong with it. Raises `GitError`.
    """
    chosen, tree = tuple(ids), repo.tree()
    if len(chosen) > FEW:
        catalog = read_catalog(tree, cache_dir=repo.folder.parent)
        everything = wanted_all(repo, catalog, tree, last_changes(repo, layout=layout))
        return {id: everything[id] for id in chosen if id in everything}
    found: dict[DeploymentId, Wanted] = {}
    for id in chosen:
        try:
            found[id] = wanted_of(repo, tree, id, layout=layout)
        except (NotFound, Invalid):
            continue
    return found


def wanted_at(
    repo: Repo,
    tree: Tree,
    ids: Iterable[DeploymentId],
    commit: Sha,
    *,
    before: Mapping[DeploymentId, datetime | None] | None = None,
    layout: Layout = LAYOUT,
) -> dict[DeploymentId, Wanted]:
    """What a followed commit wants of each of these deployments: three calls of git for all of them.

    Raises `NotFound`, `Invalid`, `GitError`.
    """
    made, paths = changed_by(repo, commit)
    changed = _Changed(paths)
    later = tuple(repo.log(until=tree.commit, since=commit, names=True)) if tree.commit else ()
    at = repo.tree(commit)
    there, removed = _places(at, paths, layout)
    found: dict[DeploymentId, Wanted] = {}
    for id in ids:
        at_push = (before or {}).get(id)
        if id in there:
            found[id] = _at(repo, tree, at, there[id], made, changed, later, at_push, layout)
        elif id in removed:
            found[id] = Wanted(id=id, commit=made.sha, committed_at=made.at, removed=True, before=at_push)
        else:
            raise NotFound(f"commit {made.sha[:12]} neither holds nor removes deployment {id}")
    return found


def places_at(repo: Repo, commit: Sha, *, layout: Layout = LAYOUT) -> dict[DeploymentId, Place]:
    """Where the deployments lie at a commit, those that it removes included. Raises `GitError`."""
    _, paths = changed_by(repo, commit)
    there, removed = _places(repo.tree(commit), paths, layout)
    return {**there, **removed}


def changed_by(repo: Repo, commit: Sha) -> tuple[Commit, tuple[str, ...]]:
    """A commit and the paths that it changed on the branch: of a merge, everything that it brought in. Raises `NotFound`, `GitError`."""
    made = next(repo.log(until=commit, names=True, limit=1), None)
    if made is None:
        raise NotFound(f"there is no commit {commit[:12]} here")
    if len(made.parents) < 2:
        return made, made.paths
    before, after = repo.tree(made.parents[0]), repo.tree(commit)
    return made, tuple(path for path in sorted({*before.paths(), *after.paths()}) if before.oid(path) != after.oid(path))


def wanted_all(repo: Repo, catalog: Catalog, tree: Tree, releases: Mapping[DeploymentId, Release]) -> dict[DeploymentId, Wanted]:
    """What is wanted of every deployment of the catalog, by the newest commit that reaches it. What nobody knows a commit of is left out.

    Raises `GitError`.
    """
    url = catalog.workspace.repo_url if catalog.workspace else ""
    shared = _Shared(repo.log(until=tree.commit, paths=("apps", "environments", "charts"), names=True) if tree.commit else ())
    reads = {id: sources.reads(app, tree, url) for id, app in catalog.applications.items()}
    newest: dict[DeploymentId, tuple[Release, Commit | None]] = {}
    for id in catalog.deployments:
        own, above = releases.get(id), shared.newest(reads[id]) if id in reads else None
        if own is not None:
            newest[id] = own, above if above is not None and above.sha != own.commit and repo.contains(above.sha, own.commit) else None
    own_changes = repo.commits({own.commit for own, above in newest.values() if above is None}, names=True)
    changed = {one.sha: _Changed(one.paths) for one in (*own_changes, *{above for _, above in newest.values() if above is not None})}
    nothing, who = _Changed(()), _Pausers(repo, tree)
    return {
        id: _listed(catalog, id, own, above, reads.get(id), changed.get(above.sha if above else own.commit, nothing), who)
        for id, (own, above) in newest.items()
    }


def _places(at: Tree, changed: Iterable[str], layout: Layout) -> tuple[dict[DeploymentId, Place], dict[DeploymentId, Place]]:
    """The deployments of a tree, and those that a commit which changed these paths removed from it."""
    there = {place.id: place for place in layout.deployments(at)}
    gone = {place.id: place for path in changed if (place := layout.owner(path)) is not None and place.id not in there}
    return there, gone


class _Shared:
    """The newest commits of the layers that several deployments read; `log` is newest first."""

    def __init__(self, log: Iterable[Commit]) -> None:
        self._order: dict[Sha, int] = {}
        self._paths: dict[str, Commit] = {}
        for number, commit in enumerate(log):
            self._order[commit.sha] = number
            for path in commit.paths:
                self._paths.setdefault(path, commit)
                folder = path
                while folder := folder.rpartition("/")[0]:
                    self._paths.setdefault(folder, commit)

    def newest(self, reads: sources.Reads) -> Commit | None:
        found = [one for path in (*reads.folders, *reads.files) if (one := self._paths.get(path)) is not None]
        return min(found, key=lambda commit: self._order[commit.sha], default=None)


class _Pausers:
    """Who paused, by the file that says so; each file is asked about once."""

    def __init__(self, repo: Repo, tree: Tree) -> None:
        self._repo, self._tree = repo, tree
        self._known: dict[str, str] = {}

    def paused(self, path: str) -> str:
        if path not in self._known:
            by = next(self._repo.log(until=self._tree.commit, paths=(path,), limit=1), None)
            self._known[path] = by.author if by else ""
        return self._known[path]


def _at(
    repo: Repo,
    tree: Tree,
    at: Tree,
    place: Place,
    made: Commit,
    changed: _Changed,
    later: Sequence[Commit],
    before: datetime | None,
    layout: Layout,
) -> Wanted:
    app = layout.application(at, place)
    manifest = f"{place.folder}/application.yaml"
    specs = [app.spec]
    for commit in reversed(later):
        if manifest in commit.paths and manifest in (then := repo.tree(commit.sha)):
            specs.append(layout.application(then, place).spec)
    own = {f"{place.folder}/{name}" for name in RELEASES}
    newer = next((commit for commit in later if own.intersection(commit.paths)), None)
    wanted = _wanted(
        repo, tree, place, made, specs=tuple(specs), app=app, files=changed.read(layout.reads(at, place), place), before=before
    )
    if newer is None:
        return wanted
    return msgspec.structs.replace(wanted, superseded_by=newer.sha, superseded_who=newer.author)


def _wanted(
    repo: Repo,
    tree: Tree,
    place: Place,
    commit: Commit,
    *,
    specs: tuple[dict[str, Any], ...],
    app: Application,
    files: tuple[str, ...],
    before: datetime | None,
) -> Wanted:
    wanted = Wanted(
        id=place.id,
        commit=commit.sha,
        committed_at=commit.at,
        specs=specs,
        files=files,
        ref_index=app.ref_index,
        automated=_automated(app),
        before=before,
    )
    pause, path = _pause(tree, place)
    if pause is None:
        return wanted
    return _paused(wanted, pause, _Pausers(repo, tree).paused(path))


def _listed(
    catalog: Catalog,
    id: DeploymentId,
    own: Release,
    above: Commit | None,
    reads: sources.Reads | None,
    changed: _Changed,
    who: _Pausers,
) -> Wanted:
    deployment, app = catalog.deployments[id], catalog.applications.get(id)
    environment = catalog.environments.get(deployment.environment)
    folder = files.deployment_folder(deployment.environment, deployment.app, id)
    place = Place(id, deployment.app, deployment.environment, folder)
    wanted = Wanted(
        id=id,
        commit=above.sha if above else own.commit,
        committed_at=above.at if above else own.at,
        specs=(app.spec,) if app else (),
        files=changed.read(reads, place) if reads else (),
        ref_index=app.ref_index if app else None,
        automated=_automated(app) if app else True,
    )
    if deployment.paused is not None:
        return _paused(wanted, deployment.paused, who.paused(f"{folder}/deployment.yaml"))
    if environment is not None and environment.paused is not None:
        return _paused(wanted, environment.paused, who.paused(files.environment_file(environment.name)))
    return wanted


def _newest(log: Iterable[Commit], reads: sources.Reads, place: Place) -> Commit | None:
    """The newest commit that can change what runs: a pause and its end are wanted by their specs and release nothing.

    Where they were taken for releases, every self-heal after one would be told as a release whose hooks were skipped.
    """
    silent = {f"{place.folder}/{name}" for name in SILENT}
    first = None
    for commit in log:
        first = first or commit
        own = (path for path in commit.paths if path.startswith(f"{place.folder}/"))
        if not silent.issuperset((*own, *reads.among(commit.paths))):
            return commit
    return first


class _Changed:
    """What a commit changed, ordered: a first commit of 15,000 files is asked about by 3,000 deployments."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = sorted(paths)
        self._set = frozenset(self._paths)

    def read(self, reads: sources.Reads, place: Place) -> tuple[str, ...]:
        """What of it the sources of an Application read."""
        found = self._set.intersection(reads.files).union(*(self._under(folder) for folder in reads.folders))
        return tuple(sorted(found - {f"{place.folder}/{name}" for name in RECORDS}))

    def _under(self, folder: str) -> list[str]:
        start = bisect_left(self._paths, f"{folder}/")
        return self._paths[start : bisect_left(self._paths, f"{folder}0", start)]  # "0" is what follows "/"


def _automated(app: Application) -> bool:
    """Commits are synced by Argo CD itself, now or once a pause ends."""
    return isinstance((app.spec.get("syncPolicy") or {}).get("automated"), dict)


def _pause(tree: Tree, place: Place) -> tuple[Pause | None, str]:
    """The pause that holds on the branch's head, and the file that says so. A file that does not fit pauses nothing."""
    for path in (f"{place.folder}/deployment.yaml", files.environment_file(place.environment)):
        data = tree.read(path)
        if data is None:
            continue
        try:
            value = files.parse(path, data).value
        except BackendError:  # `doctor` and every plan name it; what Argo CD does hangs on application.yaml alone
            continue
        pause: Pause | None = getattr(value, "paused", None)
        if pause is not None:
            return pause, path
    return None, ""


def _paused(wanted: Wanted, pause: Pause, by: str) -> Wanted:
    until = f"{pause.until:%Y-%m-%dT%H:%M:%SZ}" if pause.until else ""
    return msgspec.structs.replace(wanted, paused=True, paused_until=until, paused_reason=pause.reason, paused_by=by)
