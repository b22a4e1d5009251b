"""Which files hold an Application's image, chart and values: the question that intents ask instead of knowing paths.

`workspace_layout` answers for the repository format of Tiphys; another implementation can answer for an Application's own source in
whatever layout its repository has.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from backends.domain.deployment import Deployment
from backends.domain.environment import Pause
from backends.domain.ids import DeploymentId
from backends.domain.record import Record
from backends.gitops.sources import Application, Reads
from backends.gitops.tree import Tree


class Place(msgspec.Struct, frozen=True, order=True):
    """Where one deployment lies; `folder` holds what is its own."""

    id: DeploymentId
    app: str
    environment: str
    folder: str


class LayerKind(enum.StrEnum):
    """Whose values: low to high precedence."""

    APP = "app"
    ENVIRONMENT = "environment"
    DEPLOYMENT = "deployment"


class Layer(msgspec.Struct, frozen=True):
    """One file of values: of an app everywhere, of everything in an environment, or of one deployment (`name` is then its id)."""

    kind: LayerKind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind is LayerKind.DEPLOYMENT else f"{self.kind}:{self.name}"


class Layout(Protocol):
    """Finds, reads and rewrites deployments in a tree. Everything raises `NotFound` and `Invalid` (a file that does not fit)."""

    def deployments(self, tree: Tree, *, app: str | None = None, environment: str | None = None) -> Iterator[Place]:
        """The deployments of an app, of an environment, of both, or all of them; found by path, nothing is read."""
        ...

    def find(self, tree: Tree, id: DeploymentId) -> Place: ...

    def owner(self, path: str) -> Place | None:
        """The deployment whose own file this path is."""
        ...

    def deployment(self, tree: Tree, place: Place) -> Deployment: ...

    def application(self, tree: Tree, place: Place) -> Application: ...

    def reads(self, tree: Tree, place: Place) -> Reads:
        """The files of the repository that the Application's sources read."""
        ...

    def create(self, tree: Tree, deployment: Deployment, record: Record) -> Tree: ...

    def with_record(self, tree: Tree, place: Place, record: Record) -> Tree:
        """The deployment with another release: its images and its chart version, and nothing else."""
        ...

    def release_files(self, tree: Tree, place: Place) -> Mapping[str, bytes]:
        """What a release wrote, by file name: enough to restore it later."""
        ...

    def with_release_files(self, tree: Tree, place: Place, files: Mapping[str, bytes]) -> Tree: ...

    def with_pause(self, tree: Tree, place: Place, pause: Pause | None) -> Tree: ...

    def with_application(self, tree: Tree, place: Place) -> Tree:
        """The deployment with its Application derived anew (options, automation or pause changed somewhere above it)."""
        ...

    def without(self, tree: Tree, place: Place) -> Tree: ...

    def values_file(self, tree: Tree, layer: Layer) -> str:
        """The path of the file that holds a layer's values."""
        ...

    def reached(self, tree: Tree, layer: Layer) -> Iterator[Place]:
        """The deployments that read a layer."""
        ...
