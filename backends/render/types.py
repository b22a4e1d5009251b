"""What rendering takes and gives."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec


class SourceKind(enum.StrEnum):
    HELM = "helm"
    KUSTOMIZE = "kustomize"
    DIRECTORY = "directory"


class RenderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One source of one Application, with every file it may read (`sources.files_for` collects them from a tree).

    `files` are repository files (path → bytes): those under `path`, those that `value_files` name, and for a kustomization those that it
    refers to; nothing else is on disk while rendering.
    """

    kind: SourceKind
    files: Mapping[str, bytes]
    path: str
    """The chart folder, the kustomization's folder or the plain folder, as a repository path."""
    value_files: tuple[str, ...] = ()
    """Repository paths, lowest precedence first."""
    release_name: str = ""
    namespace: str = ""
    recurse: bool = False
    include: str = ""
    exclude: str = ""
    """Argo CD's globs of a plain folder, against paths below `path`: `*` crosses `/`, `{a,b}` is either."""
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    """What the cluster is, for `.Capabilities`: the `helm` program takes them, the Helm SDK has a version of its own (`Rendered.by`)."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered object. `text` is its YAML as rendered (Secret data masked only when it is shown: `diff`)."""

    api_version: str
    kind: str
    name: str
    """`metadata.name`, else `metadata.generateName` (which ends with what Kubernetes completes)."""
    namespace: str = ""
    text: str
    hook: str = ""
    """The phases in which Argo CD runs it ("PreSync", "PreSync,PostSync", "PostDelete"); "" for an ordinary object."""
    wave: int = 0
    """The sync wave; of a Helm hook its weight, as Argo CD reads it."""

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """Rendered objects, or why there are none.

    `by` names the engine ("Helm 4.2 for Kubernetes 1.36"); `missing` is the reason where nothing could be rendered here ("not rendered
    here: a chart of https://charts.example.org"). `warnings` are sentences about what was rendered (the same object twice, a values schema
    that was not checked).
    """

    manifests: tuple[Manifest, ...] = ()
    by: str = ""
    missing: str = ""
    warnings: tuple[str, ...] = ()
