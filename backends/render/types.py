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
    """One source of one Application, with every file it may read.

    `files` are repository files (path → bytes) under `path` and those that `value_files` name; nothing else is on disk while rendering.
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


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered object. `text` is its YAML as rendered (Secret data masked only when it is shown: `diff`)."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    text: str
    hook: str = ""
    """The Argo CD sync phase ("PreSync"…) or Helm hook that makes this a hook; "" for an ordinary object."""
    wave: int = 0

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """Rendered objects, or why there are none.

    `by` names the engine ("Helm 4.2 for Kubernetes 1.36"); `missing` is the reason where nothing could be rendered here ("not rendered
    here: a chart of https://charts.example.org").
    """

    manifests: tuple[Manifest, ...] = ()
    by: str = ""
    missing: str = ""
