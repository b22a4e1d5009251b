"""What people type on a command line, found in a tree: deployments, layers, edits, deploys; a typo suggests the nearest name.

Nothing here changes anything: what is found goes into an intent.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from backends.domain.ids import parse_deployment_id
from backends.errors import Invalid
from backends.gitops import files, values
from backends.gitops.images import parse_images
from backends.gitops.intents.deploy import Deploy
from backends.gitops.layout import Layer, LayerKind, Place
from backends.gitops.targets import destinations, prepare_deploy
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean

_KINDS = {"app": LayerKind.APP, "environment": LayerKind.ENVIRONMENT, "env": LayerKind.ENVIRONMENT}


def deployment(tree: Tree, text: str) -> Place:
    """A deployment by id. Raises `NotFound` with the nearest id, `Invalid` for what cannot be one."""
    return LAYOUT.find(tree, parse_deployment_id(text))


def layer(tree: Tree, text: str) -> Layer:
    """`ID`, `app:NAME` or `environment:NAME`. Raises `NotFound` with the nearest name, `Invalid`."""
    kind, colon, name = text.partition(":")
    if not colon:
        return Layer(LayerKind.DEPLOYMENT, deployment(tree, text).id)
    if kind not in _KINDS or not name:
        raise Invalid(f"not a target: {clean(text, limit=80)!r}", hint="a deployment ID, app:NAME or environment:NAME")
    if _KINDS[kind] is LayerKind.APP:
        files.app(tree, name)
    else:
        files.environment(tree, name)
    return Layer(_KINDS[kind], name)


def edit(text: str) -> values.Edit:
    """`KEY=VALUE` or `KEY-`. Raises `Invalid`."""
    return values.parse_edit(text)


def deploy(
    tree: Tree,
    app: str,
    to: str | Sequence[str],
    *,
    images: Sequence[str] = (),
    chart_version: str = "",
    source: str = "",
    build: str = "",
    taken: Container[str] = (),
) -> Deploy:
    """`APP --to ENV[/CLUSTER][,…]` with `[NAME=]REF` images; ids of new deployments are minted, none of `taken` among them.

    Raises `NotFound` with the nearest name, `Invalid`.
    """
    places = destinations([to] if isinstance(to, str) else to)
    return prepare_deploy(
        tree, app, places, images=parse_images(images), chart_version=chart_version, source=source, build=build, taken=taken
    )
