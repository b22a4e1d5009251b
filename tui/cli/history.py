"""`history`: the commits of a deployment, an app, an environment, or of everything; the audit trail, from Git alone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backends.domain.ids import DeploymentId
from backends.domain.stage import Stage
from backends.errors import NotFound
from backends.gitops import resolve
from backends.gitops.layout import Layer, LayerKind
from tui.cli import nouns
from tui.cli.columns import COLUMNS
from tui.cli.output import Output
from tui.cli.session import fetched, opened

if TYPE_CHECKING:
    from backends.domain.release import Release
    from backends.gitops.tree import Tree
    from backends.live.observations import Observations
    from backends.workspace import Workspace


async def history(arguments: argparse.Namespace, output: Output) -> int:
    """Print releases, newest first."""
    async with opened(arguments, output, repo=True) as workspace:
        tree = await fetched(workspace, output)
        layer = await _layer(workspace, tree, arguments.name.rpartition("/")[2]) if arguments.name else None
        releases = await workspace.history(
            deployment=DeploymentId(layer.name) if layer and layer.kind is LayerKind.DEPLOYMENT else None,
            app=_name(layer, LayerKind.APP),
            environment=_name(layer, LayerKind.ENVIRONMENT),
            limit=arguments.limit,
        )
        observations = workspace.observations()
        items = [nouns.release(one, _outcome(one, observations)) for one in releases]
        output.listing(items, COLUMNS["release"])
        return 0


def _outcome(release: Release, observations: Observations) -> str | None:
    """Where its deployments were last seen with it, where somebody here watched: "Live", or the stages that differ."""
    seen = [observations.of(id, release.commit) for id in release.deployments]
    stages = {str(Stage.LIVE if one.was_live else one.stage) for one in seen if one is not None and (one.was_live or one.stage)}
    return ", ".join(sorted(stages)) or None


async def _layer(workspace: Workspace, tree: Tree, text: str) -> Layer:
    """What a name means; a deployment that was deleted has a history too. Raises `NotFound`, suggesting the nearest, and `Invalid`."""
    try:
        return resolve.layer(tree, text)
    except NotFound:
        if text not in await workspace.last_changes():
            raise
        return Layer(LayerKind.DEPLOYMENT, text)


def _name(layer: Layer | None, kind: LayerKind) -> str | None:
    return layer.name if layer is not None and layer.kind is kind else None
