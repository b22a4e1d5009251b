"""What an intent is: a pure function from tree to tree, and the words of its commit.

Every change to the workspace repository is one of the intents in `backends.gitops.intents`. An intent carries all it needs as data (ids
are minted by whoever makes it), so it can be planned, shown, journalled, run, and run again on a newer head: same tree, same bytes.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from backends.gitops.tree import Tree


class Trailer(msgspec.Struct, frozen=True):
    """One `Tiphys-…` line of a commit message; the value is one line without controls."""

    key: str
    value: str


class Description(msgspec.Struct, frozen=True):
    """The words of a commit: a subject of at most 72 characters for people, trailers for machines (`Tiphys-Change` is the writer's)."""

    subject: str
    trailers: tuple[Trailer, ...] = ()
    body: str = ""


@runtime_checkable
class Intent(Protocol):
    """One change of the repository, as data."""

    def apply(self, tree: Tree) -> Tree:
        """The tree after the change; the same tree when there is nothing to do.

        Raises `NotFound`, `Refused` (locks), `Conflict`, `Invalid` (a file it depends on does not fit its schema).
        """
        ...

    def describe(self, before: Tree, after: Tree) -> Description: ...
