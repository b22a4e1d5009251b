"""Deletes a deployment: its folder goes, the Manager prunes the Application, and its finalizer removes the workloads."""

from __future__ import annotations

import msgspec

from backends.domain.ids import DeploymentId
from backends.gitops import files
from backends.gitops.intent import Description
from backends.gitops.intents.locks import refuse_locked
from backends.gitops.intents.subjects import description, location
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT


class Delete(msgspec.Struct, frozen=True, kw_only=True, tag="delete"):
    """Removes one deployment; the environment stays, also when this was its last one."""

    id: DeploymentId

    def apply(self, tree: Tree) -> Tree:
        """Raises `NotFound`, `Refused` (locked), `Invalid` (the environment's file does not fit, so nobody knows whether it is locked)."""
        place = LAYOUT.find(tree, self.id)
        refuse_locked(files.environment(tree, place.environment))
        return LAYOUT.without(tree, place)

    def describe(self, before: Tree, after: Tree) -> Description:  # noqa: ARG002 - the protocol's
        place = LAYOUT.find(before, self.id)
        trailers = [("Deployment", place.id), ("App", place.app), ("Env", place.environment)]
        return description(before, "delete", f"{place.app} → {location(before, place)}", place.id, trailers)
