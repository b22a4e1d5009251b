"""Switches automation off until a time, and on again: of one deployment, or of a whole environment.

The pause stands in deployment.yaml or environment.yaml for people, and as `automated.enabled: false` in application.yaml for Argo CD.
"""

from __future__ import annotations

import msgspec

from backends.domain.environment import Environment, Instant
from backends.domain.environment import Pause as PauseBlock
from backends.errors import Invalid, NotFound, Refused
from backends.gitops import files, records
from backends.gitops.intent import Description
from backends.gitops.intents.locks import refuse_locked
from backends.gitops.intents.subjects import description, location
from backends.gitops.layout import Layer, LayerKind, Place
from backends.gitops.records import instant
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT, with_pause
from backends.text import clean, is_one_line


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag="pause"):
    """Commits still land; nothing is applied until somebody resumes."""

    target: Layer
    """A deployment or an environment."""
    until: Instant | None = None
    reason: str = ""

    def apply(self, tree: Tree) -> Tree:
        """Raises `Refused` (locked, or changes of that environment wait for a sync anyway), `NotFound`, `Invalid`."""
        if not is_one_line(self.reason):
            raise Invalid("a reason is one line without control characters")
        environment = _environment(tree, self.target)
        refuse_locked(environment)
        if not environment.automated:
            raise Refused(f"{environment.name} is not automated: its changes wait for a sync already")
        until = self.until.replace(microsecond=0) if self.until else None
        return _with(tree, self.target, PauseBlock(until=until, reason=self.reason))

    def describe(self, before: Tree, after: Tree) -> Description:  # noqa: ARG002 - the protocol's
        detail = f"until {instant(self.until)}" if self.until else "until resumed"
        return _described(after, "pause", self.target, detail)


class Resume(msgspec.Struct, frozen=True, kw_only=True, tag="resume"):
    """Switches automation on again; a deployment that is paused by itself stays paused when its environment resumes."""

    target: Layer

    def apply(self, tree: Tree) -> Tree:
        """Raises `Refused` (locked; or the environment is paused, not the deployment), `NotFound`."""
        environment = _environment(tree, self.target)
        refuse_locked(environment)
        if self.target.kind is LayerKind.DEPLOYMENT and environment.paused is not None:
            own = LAYOUT.deployment(tree, next(LAYOUT.reached(tree, self.target))).paused
            if own is None:
                raise Refused(
                    f"{clean(self.target.name, limit=80)} is not paused by itself: all of {environment.name} is",
                    hint=f"tiphys resume environment:{environment.name}",
                )
        return _with(tree, self.target, None)

    def describe(self, before: Tree, after: Tree) -> Description:  # noqa: ARG002 - the protocol's
        return _described(after, "resume", self.target, "")


def _environment(tree: Tree, target: Layer) -> Environment:
    if target.kind is LayerKind.APP:
        raise Invalid("an app is not paused as a whole: name a deployment or an environment")
    if target.kind is LayerKind.ENVIRONMENT:
        return files.environment(tree, target.name)
    return files.environment(tree, next(LAYOUT.reached(tree, target)).environment)


def _with(tree: Tree, target: Layer, pause: PauseBlock | None) -> Tree:
    if target.kind is LayerKind.DEPLOYMENT:
        return LAYOUT.with_pause(tree, next(LAYOUT.reached(tree, target)), pause)
    path = files.environment_file(target.name)
    data = tree.read(path)
    if data is None:
        raise NotFound(f"{path} is missing")
    before = tree
    tree = tree.with_file(path, with_pause(path, data, pause, records.ENVIRONMENT_KEYS))
    if tree.oid(path) == before.oid(path):
        return before
    for place in LAYOUT.deployments(tree, environment=target.name):
        tree = LAYOUT.with_application(tree, place)
    return tree


def _described(tree: Tree, op: str, target: Layer, detail: str) -> Description:
    if target.kind is LayerKind.ENVIRONMENT:
        return description(tree, op, str(target), detail, [("Env", target.name)])
    place: Place = next(LAYOUT.reached(tree, target))
    trailers = [("Deployment", place.id), ("App", place.app), ("Env", place.environment)]
    return description(tree, op, f"{place.app} → {location(tree, place)}", detail, trailers)
