"""Edits values at any layer, in place: one key is one hunk, and what people wrote around it stays."""

from __future__ import annotations

import msgspec

from backends.errors import Invalid, NotFound
from backends.gitops.document import read
from backends.gitops.intent import Description
from backends.gitops.intents.locks import refuse_any_locked
from backends.gitops.intents.subjects import description, location
from backends.gitops.keys import parse_key
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.tree import Tree
from backends.gitops.values import Edit, edited, lookup
from backends.gitops.workspace_layout import LAYOUT


class EditValues(msgspec.Struct, frozen=True, kw_only=True, tag="edit-values"):
    """Sets and removes keys of one layer's values file."""

    layer: Layer
    edits: tuple[Edit, ...]

    def apply(self, tree: Tree) -> Tree:
        """Raises `Refused` (an environment that reads the layer is locked), `Conflict` (a key changed since it was shown), `Invalid`."""
        if not self.edits:
            raise Invalid("no key to edit")
        path = LAYOUT.values_file(tree, self.layer)
        refuse_any_locked(tree, self._environments(tree))
        data = tree.read(path)
        if data is None:
            raise NotFound(f"{path} is missing: Argo CD refuses to render without it")
        return tree.with_file(path, edited(path, data, self.edits))

    def describe(self, before: Tree, after: Tree) -> Description:  # noqa: ARG002 - the protocol's
        detail = ", ".join(f"{edit.key}-" if edit.remove else edit.key for edit in self.edits)
        if self.layer.kind is LayerKind.DEPLOYMENT:
            place = next(LAYOUT.reached(after, self.layer))
            trailers = [("Deployment", place.id), ("App", place.app), ("Env", place.environment)]
            return description(after, "edit-values", f"{place.app} → {location(after, place)}", detail, trailers)
        kind = "App" if self.layer.kind is LayerKind.APP else "Env"
        return description(after, "edit-values", str(self.layer), detail, [(kind, self.layer.name)])

    def bound(self, tree: Tree) -> EditValues:
        """The same edits, bound to what each key holds in this tree: another value there later is a conflict, key by key."""
        path = LAYOUT.values_file(tree, self.layer)
        document = read(path, tree.read(path) or b"")
        edits = tuple(msgspec.structs.replace(edit, was=lookup(document, parse_key(edit.key))) for edit in self.edits)
        return msgspec.structs.replace(self, edits=edits)

    def _environments(self, tree: Tree) -> set[str]:
        if self.layer.kind is LayerKind.ENVIRONMENT:
            return {self.layer.name}
        return {place.environment for place in LAYOUT.reached(tree, self.layer)}
