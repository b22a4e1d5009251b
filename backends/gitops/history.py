"""The audit trail: releases as the repository's history tells them, and the newest one of each deployment.

The changed files say which deployments a commit touched; trailers say what it was meant to do. So a person's commit is in it as well, and
a trailer that names a deployment without touching it moves nobody's newest release. Everything is derived from Git; what is kept on disk
is only a faster way to the same answer (`changes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from backends.domain.ids import DeploymentId, parse_deployment_id
from backends.domain.record import Record
from backends.domain.release import Release
from backends.engine import Cancel
from backends.errors import Invalid, NotFound
from backends.gitops import changes, files
from backends.gitops.layout import Layout, Place
from backends.gitops.log import Commit
from backends.gitops.messages import Change, read_message
from backends.gitops.progress import OnProgress
from backends.gitops.repo import Repo
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean

SILENT = ("deployment.yaml", "application.yaml")
"""Files of which a pause and its end consist: a commit that changes nothing else of a deployment releases nothing."""
EDIT = "edit"
"""The op of a commit that a person made without Tiphys."""


def history(
    repo: Repo,
    *,
    deployment: DeploymentId | None = None,
    app: str | None = None,
    environment: str | None = None,
    limit: int | None = None,
    layout: Layout = LAYOUT,
) -> Iterator[Release]:
    """Releases of what was fetched last, newest first, as git walks.

    Args:
        deployment: only what touched its files; `app` and `environment`: only what touched or names one of these.
        limit: at most so many.

    Raises `GitError`.
    """
    if limit is not None and limit <= 0:
        return
    found = 0
    for commit in repo.log(names=True, paths=_folders(repo, deployment, layout), every_merge=True):
        if len(commit.parents) > 1 and not commit.paths and not read_message(commit.message):
            continue  # a merge that changed nothing by itself
        for release in reversed(releases_of(commit, layout)):
            if _concerns(release, commit, deployment, app, environment, layout):
                yield _completed(repo, release, deployment, commit, layout)
                found += 1
                if found == limit:
                    return


def last_changes(
    repo: Repo, *, layout: Layout = LAYOUT, progress: OnProgress | None = None, cancel: Cancel | None = None
) -> Mapping[DeploymentId, Release]:
    """The newest release that touched each deployment, those that are gone included: 3,000 from the disk's cache in about 20 ms.

    A pause and its end are in the history and are no releases.

    Their `images` and `chart` are what trailers say. The first time the whole history is walked, with progress.
    Raises `GitError`, `Cancelled`.
    """

    def newest(commits: Iterable[Commit]) -> Iterator[tuple[DeploymentId, Release]]:
        for commit in commits:
            if not commit.paths:
                continue
            touched = _touched((path for path in commit.paths if path.rpartition("/")[2] not in SILENT), layout)
            for release in reversed(releases_of(commit, layout)):
                for id in release.deployments:
                    if id in touched:
                        yield id, release

    return changes.last(repo, newest, progress=progress, cancel=cancel)


def releases_of(commit: Commit, layout: Layout = LAYOUT) -> list[Release]:
    """What one commit did, one release for each change in its message, in their order; one "edit" where a person did something else."""
    touched = _touched(commit.paths, layout)
    named = read_message(commit.message)
    releases = [_release(commit, change) for change in named]
    left = [id for id in touched if not any(id in release.deployments for release in releases)]
    for number, release in enumerate(releases):
        if left and not release.deployments:  # it names what it changed by environment or app, and these are what that reached
            releases[number] = msgspec.structs.replace(release, deployments=tuple(left))
            left = []
    if left or not releases:
        releases.append(
            Release(
                commit=commit.sha,
                at=commit.at,
                author=commit.author,
                subject=clean(commit.subject, limit=300),
                op=EDIT,
                deployments=tuple(left),
            )
        )
    return releases


def _release(commit: Commit, change: Change) -> Release:
    return Release(
        commit=commit.sha,
        at=commit.at,
        author=commit.author,
        subject=clean(commit.subject, limit=300),
        op=change.first("Op") or EDIT,
        deployments=tuple(dict.fromkeys(id for value in change.all("Deployment") if (id := _id(value)) is not None)),
        images=change.all("Image"),
        chart=change.first("Chart"),
        reason=change.first("Reason"),
        change=change.first("Change"),
        promoted_from=change.first("From"),
    )


def _id(text: str) -> DeploymentId | None:
    try:
        return parse_deployment_id(text)
    except Invalid:
        return None  # forged, or of a folder that is none of ours


def _touched(paths: Iterable[str], layout: Layout) -> dict[DeploymentId, Place]:
    places = (layout.owner(path) for path in paths)
    return {id: place for place in places if place is not None and (id := _id(place.id)) is not None}


def _folders(repo: Repo, deployment: DeploymentId | None, layout: Layout) -> tuple[str, ...]:
    """Where git need only look; () for everywhere: a deployment that is gone may have lain anywhere."""
    if deployment is None:
        return ()
    try:
        return (layout.find(repo.tree(), deployment).folder,)
    except NotFound:
        return ()


def _concerns(
    release: Release, commit: Commit, deployment: DeploymentId | None, app: str | None, environment: str | None, layout: Layout
) -> bool:
    if deployment is not None and deployment not in release.deployments:
        return False
    if app is None and environment is None:
        return True
    places = [place for id, place in _touched(commit.paths, layout).items() if id in release.deployments]
    said = next((change for change in read_message(commit.message) if change.first("Change") == release.change), None)
    apps, environments = {place.app for place in places}, {place.environment for place in places}
    if said is not None:
        apps |= set(said.all("App"))
        environments |= set(said.all("Env"))
    else:
        folders = {tuple(path.split("/")[:2]) for path in commit.paths}
        apps |= {name for kind, *rest in folders if kind == "apps" for name in rest}
        environments |= {name for kind, *rest in folders if kind == "environments" for name in rest}
    return (app is None or app in apps) and (environment is None or environment in environments)


def _completed(repo: Repo, release: Release, deployment: DeploymentId | None, commit: Commit, layout: Layout) -> Release:
    """With images and chart from release.yaml at that commit, where the trailers say neither and one deployment is meant."""
    id = deployment or (release.deployments[0] if len(release.deployments) == 1 else None)
    if id is None or release.images or release.chart:
        return release
    place = _touched(commit.paths, layout).get(id)
    path = f"{place.folder}/release.yaml" if place else ""
    data = repo.read_at(release.commit, path) if path else None
    if data is None:
        return release
    try:
        record = files.parse(path, data).value
    except Invalid:
        return release  # broken at that commit: its history is still told
    if not isinstance(record, Record):
        return release
    images = tuple(clean(str(image) if name == "main" else f"{name}={image}", limit=300) for name, image in record.images.items())
    return msgspec.structs.replace(release, images=images, chart=clean(record.chart_version, limit=100))
