"""`tiphys get NOUN`: lists of what there is."""

from __future__ import annotations

import argparse
from collections.abc import Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tui import config
from tui.cli import nouns
from tui.cli.columns import COLUMNS
from tui.cli.output import Output
from tui.cli.parser import Command
from tui.cli.session import chosen, endpoint, fetched, opened

if TYPE_CHECKING:
    from backends.argocd.types import Application
    from backends.domain.ids import DeploymentId
    from backends.gitops.catalog import Catalog
    from backends.live.following import Looked


def get(arguments: argparse.Namespace, output: Output) -> Coroutine[Any, Any, int] | int:
    """Print one list."""
    return _LISTS[arguments.noun](arguments, output)


def _applications(arguments: argparse.Namespace, output: Output) -> Coroutine[Any, Any, int] | int:
    one = chosen(arguments)
    if one.known.repo:
        return _all_applications(arguments, output)
    from backends.argocd import quick

    try:
        found = quick.list_applications(endpoint(arguments, one.known, output), selector=arguments.selector)
        _listed((row for batch in found for row in batch), frozenset(), output)
    except quick.NotPlain:  # a login, a proxy, a refusal: the whole client knows those, and names what is wrong
        return _all_applications(arguments, output)
    return 0


async def _all_applications(arguments: argparse.Namespace, output: Output) -> int:
    async with opened(arguments, output, argocd=True) as workspace:
        rows = await workspace.server.list_applications(selector=arguments.selector)
        managed = await workspace.managed() if workspace.has_repo else frozenset()
        _listed(rows, managed, output)
        return 0


def _listed(rows: Iterable[Application], managed: frozenset[str], output: Output) -> None:
    """Each row is made into what is printed of it at once: 10,000 Applications are never held whole."""
    at = datetime.now(UTC)
    items = [output.packed(nouns.application(one, managed=one.metadata.name in managed), COLUMNS["application"]) for one in rows]
    output.listing(items, COLUMNS["application"], [{"name": "applications", "state": "live", "since": at, "error": None}])


async def _apps(arguments: argparse.Namespace, output: Output) -> int:
    async with opened(arguments, output, repo=True) as workspace:
        await fetched(workspace, output)
        catalog = await workspace.catalog()
        warned(catalog, output)
        output.listing([nouns.app(one, catalog) for one in catalog.apps.values()], COLUMNS["app"])
        return 0


async def _deployments(arguments: argparse.Namespace, output: Output) -> int:
    from tui.cli.write import reported  # late: a plain list loads nothing of Git

    async with opened(arguments, output, repo=True) as workspace:
        await fetched(workspace, output)
        await reported(workspace, output, reading=True)
        catalog = await workspace.catalog()
        warned(catalog, output)
        releases = await workspace.last_changes()
        looked: Mapping[DeploymentId, Looked] = {}
        feeds: list[dict[str, Any]] = []
        if workspace.has_server:
            looked, status = await workspace.look(tuple(catalog.deployments))
            feeds = [{"name": status.name, "state": str(status.state), "since": status.since, "error": status.error or None}]
            if status.error:
                output.warn(f"Argo CD is not seen as it is now: {status.error}")
        else:
            output.note("no Argo CD was named: where they stand is not known")
        items = [nouns.deployment(one, looked.get(id), releases.get(id)) for id, one in catalog.deployments.items()]
        output.listing(items, COLUMNS["deployment"], feeds)
        return 0


async def _environments(arguments: argparse.Namespace, output: Output) -> int:
    async with opened(arguments, output, repo=True) as workspace:
        await fetched(workspace, output)
        catalog = await workspace.catalog()
        warned(catalog, output)
        output.listing([nouns.environment(one, catalog) for one in catalog.environments.values()], COLUMNS["environment"])
        return 0


def warned(catalog: Catalog, output: Output) -> None:
    """Say what in the repository does not fit; it hides nothing else."""
    for problem in catalog.problems:
        output.warn(str(problem))


async def _clusters(arguments: argparse.Namespace, output: Output) -> int:
    async with opened(arguments, output, argocd=True) as workspace:
        output.listing([nouns.cluster(one) for one in await workspace.server.clusters()], COLUMNS["cluster"])
        return 0


async def _projects(arguments: argparse.Namespace, output: Output) -> int:
    async with opened(arguments, output, argocd=True) as workspace:
        output.listing([nouns.project(one) for one in await workspace.server.projects()], COLUMNS["project"])
        return 0


async def _workspaces(_arguments: argparse.Namespace, output: Output) -> int:
    everything = config.known()
    items = [
        {
            "name": name,
            "id": one.id or None,
            "repo": one.repo or None,
            "branch": one.branch,
            "argocd": one.argocd or None,
            "last": name == everything.last,
        }
        for name, one in everything.workspaces.items()
    ]
    output.listing(items, COLUMNS["workspace"])
    return 0


_LISTS: Mapping[str, Command] = {
    "apps": _apps,
    "deployments": _deployments,
    "environments": _environments,
    "applications": _applications,
    "clusters": _clusters,
    "projects": _projects,
    "workspaces": _workspaces,
}
