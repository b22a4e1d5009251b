"""What an intent changes in files, as values: one diff per path, hunks of lines, Git's object ids on both sides."""

from __future__ import annotations

import enum

import msgspec

from backends.gitops.tree import Tree, changed_paths
from backends.render.hunks import Hunk, hunks

NO_NEWLINE = "\\ No newline at end of file"


class FileChange(enum.StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class FileDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One file before and after. Lines of hunks are the file's own text: `backends.text.clean` before they are shown."""

    path: str
    change: FileChange
    before: str | None
    """Git's object id; None where the file is new."""
    after: str | None
    hunks: tuple[Hunk, ...]


def file_diffs(before: Tree, after: Tree) -> tuple[FileDiff, ...]:
    """The files that differ, in path order."""
    return tuple(_diff(path, before, after) for path in changed_paths(before, after))


def _diff(path: str, before: Tree, after: Tree) -> FileDiff:
    old, new = before.oid(path), after.oid(path)
    change = FileChange.ADDED if old is None else FileChange.REMOVED if new is None else FileChange.CHANGED
    return FileDiff(path=path, change=change, before=old, after=new, hunks=hunks(_lines(before.read(path)), _lines(after.read(path))))


def _lines(data: bytes | None) -> list[str]:
    if not data:
        return []
    lines = data.decode("utf-8", "replace").split("\n")
    return lines[:-1] if not lines[-1] else [*lines, NO_NEWLINE]
