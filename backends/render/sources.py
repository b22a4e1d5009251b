"""The files of a tree that one source of an Application may read: what a `RenderRequest` is made of.

Not for which source an Application has (`gitops.catalog`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backends.gitops.tree import Tree
from backends.render.references import NAMES, closure
from backends.render.types import SourceKind


def files_for(tree: Tree, kind: SourceKind, path: str, value_files: Iterable[str] = ()) -> Mapping[str, bytes]:
    """The folder's files and the values files that are there; for a kustomization also the bases and files that it refers to.

    Raises `Invalid` for a symbolic link or a submodule among them, and for a kustomization that cannot be followed (`references.Remote` for
    one that leads to another machine).
    """
    folder = "" if path.strip("/") == "." else path.strip("/")
    paths = list(tree.paths(folder))
    if kind is SourceKind.KUSTOMIZE:
        paths += closure(tree.read, set(tree.paths()), folder)
    paths += [file for file in value_files if file in tree]
    return {one: data for one in dict.fromkeys(paths) if (data := tree.read(one)) is not None}


def kind_of(tree: Tree, path: str) -> SourceKind:
    """What Argo CD takes a folder for, where its Application does not say: a chart, a kustomization, else plain manifests."""
    folder = "" if path.strip("/") == "." else f"{path.strip('/')}/"
    if f"{folder}Chart.yaml" in tree:
        return SourceKind.HELM
    return SourceKind.KUSTOMIZE if any(f"{folder}{name}" in tree for name in NAMES) else SourceKind.DIRECTORY
