"""`history`: the commits of a deployment, an app, an environment, or of everything; the audit trail, from Git alone."""

from __future__ import annotations

import argparse

from backends.gitops import resolve
from backends.gitops.layout import Layer, LayerKind
from tui.cli import nouns
from tui.cli.output import Output
from tui.cli.session import fetched, opened


async def history(arguments: argparse.Namespace, output: Output) -> int:
    """Print releases, newest first."""
    async with opened(arguments, output, repo=True) as workspace:
        tree = await fetched(workspace, output)
        layer = resolve.layer(tree, arguments.name.rpartition("/")[2]) if arguments.name else None
        releases = await workspace.history(
            deployment=resolve.deployment(tree, layer.name).id if layer and layer.kind is LayerKind.DEPLOYMENT else None,
            app=_name(layer, LayerKind.APP),
            environment=_name(layer, LayerKind.ENVIRONMENT),
            limit=arguments.limit,
        )
        output.listing([nouns.release(one, None) for one in releases], nouns.COLUMNS["release"])
        return 0


def _name(layer: Layer | None, kind: LayerKind) -> str | None:
    return layer.name if layer is not None and layer.kind is kind else None
