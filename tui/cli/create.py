"""`create environment|app|cluster`: each is one intent."""

from __future__ import annotations

import argparse

from backends.domain.app import App, AppImage, Chart, SourceRepo
from backends.domain.environment import EnvironmentKind
from backends.errors import Invalid
from backends.gitops import files
from backends.gitops.charts import newest
from backends.gitops.intents import CreateApp, CreateCluster, CreateEnvironment
from backends.gitops.tree import Tree
from tui.cli.output import Output
from tui.cli.session import fetched, opened
from tui.cli.waiting import carried_out
from tui.cli.write import planned_and_run


async def environment(arguments: argparse.Namespace, output: Output) -> int:
    """A new environment, or other options of one that is there."""
    async with opened(arguments, output, repo=True, argocd=arguments.wait) as workspace:
        tree = await fetched(workspace, output)
        intent = CreateEnvironment(
            name=arguments.name,
            kind=EnvironmentKind(arguments.kind) if arguments.kind else None,
            order=arguments.order,
            cluster=arguments.cluster,
            clusters=arguments.clusters,
            namespace=arguments.namespace,
            promote_from=arguments.promote_from,
            automated=None if arguments.manual is None else not arguments.manual,
            protected=arguments.protected,
            new=files.environment_file(arguments.name) not in tree,
        )
        return await carried_out(workspace, intent, arguments, output)


async def app(arguments: argparse.Namespace, output: Output) -> int:
    """An app of ours by its image, or an add-on by its chart."""
    async with opened(arguments, output, repo=True) as workspace:
        tree = await fetched(workspace, output)
        return await planned_and_run(
            workspace, CreateApp(app=_addon(arguments) if arguments.addon else _ours(arguments, tree)), arguments, output
        )


async def cluster(arguments: argparse.Namespace, output: Output) -> int:
    """A cluster by the name under which Argo CD knows it."""
    async with opened(arguments, output, repo=True) as workspace:
        await fetched(workspace, output)
        intent = CreateCluster(name=arguments.name, server=arguments.server, secret=arguments.secret)
        return await planned_and_run(workspace, intent, arguments, output)


def _addon(arguments: argparse.Namespace) -> App:
    if not arguments.chart_repo or not arguments.chart:
        raise Invalid("an add-on is a chart of a repository", hint="--addon --chart-repo URL --chart NAME")
    if arguments.image or arguments.source:
        raise Invalid("an add-on has no image and no source of its own", hint="without --image and --source")
    return App(
        name=arguments.name, kind="addon", chart=Chart(repo=arguments.chart_repo, name=arguments.chart, version=arguments.chart_version)
    )


def _ours(arguments: argparse.Namespace, tree: Tree) -> App:
    if not arguments.image:
        raise Invalid("an app needs its image's repository", hint="--image registry.example.org/acme/web (or --addon)")
    if arguments.chart_repo:
        raise Invalid("--chart-repo goes with --addon")
    path = (arguments.chart or "charts/service").strip("/")
    return App(
        name=arguments.name,
        source=SourceRepo(repo=arguments.source) if arguments.source else None,
        chart=Chart(path=path, version=arguments.chart_version or newest(tree, path)),
        images={"main": AppImage(repository=arguments.image)},
    )
