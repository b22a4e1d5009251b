"""A commit's files with pending changes, read blob by blob, without a work tree.

A `Tree` is immutable: `with_file` and `without` give a new one that shares the listing. Intents are functions from tree to tree;
`writer` turns the changes of one into a commit. Paths are repository paths: `/` between parts, no leading slash.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import sha1
from typing import NamedTuple

from backends.domain.ids import Sha
from backends.errors import Invalid

REGULAR, EXECUTABLE, SYMLINK, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o160000


class Entry(NamedTuple):
    """One file of a commit: Git's mode and the blob's object id."""

    mode: int
    oid: str


class Tree:
    """The files of `commit` (None: an empty repository) with `changes` on top.

    Args:
        commit: the commit that `entries` lists.
        entries: every file of it by path, in path order.
        read_blob: gives the bytes of an object id; called once a read, so it should cache.
        read_blobs: the same for many at once; None where that would be no faster.
    """

    def __init__(
        self,
        commit: Sha | None,
        entries: Mapping[str, Entry],
        read_blob: Callable[[str], bytes],
        changes: Mapping[str, bytes | None] | None = None,
        read_blobs: Callable[[Iterable[str]], Mapping[str, bytes]] | None = None,
    ) -> None:
        self.commit = commit
        self.changes: Mapping[str, bytes | None] = changes or {}
        """Path → new bytes, or None where the file is removed; only what differs from the commit."""
        self._entries = entries
        self._read_blob = read_blob
        self._read_blobs = read_blobs

    @classmethod
    def of(cls, files: Mapping[str, bytes | str]) -> Tree:
        """A tree that lives in memory alone (tests, a first commit)."""
        blobs = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
        by_oid = {blob_id(data): data for data in blobs.values()}
        return cls(None, {path: Entry(REGULAR, blob_id(blobs[path])) for path in sorted(blobs)}, by_oid.__getitem__)

    def __contains__(self, path: str) -> bool:
        return self.changes[path] is not None if path in self.changes else path in self._entries

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, or None where there is none. A symbolic link or submodule is not a file: raises `Invalid`."""
        if path in self.changes:
            return self.changes[path]
        entry = self._entries.get(path)
        if entry is None:
            return None
        if entry.mode in (SYMLINK, SUBMODULE):
            kind = "symbolic link" if entry.mode == SYMLINK else "submodule"
            raise Invalid(f"{path} is a {kind}; a workspace repository holds plain files")
        return self._read_blob(entry.oid)

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes of many files, asked for in one go; what is absent or not a plain file is left out."""
        read: dict[str, bytes] = {}
        stored: dict[str, str] = {}
        for path in paths:
            if path in self.changes:
                data = self.changes[path]
                if data is not None:
                    read[path] = data
            elif (entry := self._entries.get(path)) is not None and entry.mode not in (SYMLINK, SUBMODULE):
                stored[path] = entry.oid
        blobs = self._read_blobs(stored.values()) if self._read_blobs else {oid: self._read_blob(oid) for oid in set(stored.values())}
        return read | {path: blobs[oid] for path, oid in stored.items()}

    def oid(self, path: str) -> str | None:
        """The object id of a file's bytes: what caches and preconditions go by."""
        if path in self.changes:
            data = self.changes[path]
            return None if data is None else blob_id(data)
        entry = self._entries.get(path)
        return entry.oid if entry else None

    def mode(self, path: str) -> int:
        """Git's mode of a file; a new one is regular."""
        entry = self._entries.get(path)
        return entry.mode if entry else REGULAR

    def paths(self, under: str = "") -> Iterator[str]:
        """The paths of all files below a folder ("" for all), in path order."""
        prefix = f"{under.rstrip('/')}/" if under else ""
        ordered = self._ordered
        added = sorted(p for p, data in self.changes.items() if data is not None and p not in self._entries and p.startswith(prefix))
        index, last = bisect_left(ordered, prefix), 0
        while index < len(ordered) and ordered[index].startswith(prefix):
            path = ordered[index]
            index += 1
            while last < len(added) and added[last] < path:
                yield added[last]
                last += 1
            if self.changes.get(path, b"") is not None:
                yield path
        yield from added[last:]

    def with_file(self, path: str, data: bytes) -> Tree:
        """The same tree with one file written; unchanged when the bytes are those that are there."""
        return self.with_files({path: data})

    def with_files(self, files: Mapping[str, bytes]) -> Tree:
        changes = dict(self.changes)
        for path, data in files.items():
            entry = self._entries.get(path)
            if entry is not None and entry.oid == blob_id(data):
                changes.pop(path, None)
            else:
                changes[path] = data
        return self._changed(changes)

    def without(self, *paths: str) -> Tree:
        """The same tree without these files."""
        changes = dict(self.changes)
        for path in paths:
            if path in self._entries:
                changes[path] = None
            else:
                changes.pop(path, None)
        return self._changed(changes)

    def without_folder(self, folder: str) -> Tree:
        return self.without(*self.paths(folder))

    def _changed(self, changes: dict[str, bytes | None]) -> Tree:
        tree = Tree(self.commit, self._entries, self._read_blob, changes, self._read_blobs)
        tree.__dict__["_ordered"] = self._ordered
        return tree

    @cached_property
    def _ordered(self) -> list[str]:
        return sorted(self._entries)


def blob_id(data: bytes) -> str:
    """Git's object id of a blob (SHA-1 repositories)."""
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def changed_paths(before: Tree, after: Tree) -> Iterable[str]:
    """Paths whose bytes differ between two trees of the same commit."""
    return sorted(path for path in {*before.changes, *after.changes} if before.oid(path) != after.oid(path))
