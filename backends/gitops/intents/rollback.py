"""Restores an earlier release as a new commit: it cannot conflict with history, and auto-sync agrees with it."""

from __future__ import annotations

import msgspec

from backends.domain.ids import DeploymentId, Sha
from backends.errors import Invalid
from backends.gitops import files
from backends.gitops.intent import Description
from backends.gitops.intents.locks import refuse_locked
from backends.gitops.intents.subjects import description, movement, release_trailers, scope
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT


class Rollback(msgspec.Struct, frozen=True, kw_only=True, tag="rollback"):
    """The release files of an older commit, carried as data, so that the intent is the same on every head."""

    id: DeploymentId
    commit: Sha
    """Where the files are from."""
    files: dict[str, bytes]
    """File name → bytes; `values.yaml` among them when the values go back too."""

    def apply(self, tree: Tree) -> Tree:
        """Raises `NotFound`, `Refused` (locked), `Invalid` (an old file does not fit today's schema)."""
        if "release.yaml" not in self.files:
            raise Invalid(f"commit {self.commit[:10]} holds no release of {self.id}")
        place = LAYOUT.find(tree, self.id)
        refuse_locked(files.environment(tree, place.environment))
        return LAYOUT.with_release_files(tree, place, self.files)

    def describe(self, before: Tree, after: Tree) -> Description:
        place = LAYOUT.find(after, self.id)
        old, new = LAYOUT.deployment(before, place).record, LAYOUT.deployment(after, place).record
        detail = movement(old, new) if old != new else f"values of {self.commit[:10]}"
        trailers = [*release_trailers(after, [place], new), ("From", f"{self.id}@{self.commit}")]
        return description(after, "rollback", scope(after, [place]), detail, trailers)
