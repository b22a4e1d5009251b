"""Which files a commit holds: every path with its mode and object id, and the tree objects of a changed one.

A listing of 45,000 files costs git 70 ms and Python 90 ms, so it is made once and then moved from commit to commit by comparing tree
objects (about 1 ms for one deployment). The last whole one is kept on disk by tree id; losing it costs time only.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from backends.errors import Invalid
from backends.gitops.git import Git
from backends.gitops.objects import Objects, object_id
from backends.gitops.tree import REGULAR, Entry
from backends.paths import write_private
from backends.text import clean

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_VERSION = 1
_KEPT = 4
"""Listings in memory: 45,000 paths are 9 MB, but neighbours share their strings."""
_WORTH_KEEPING = 500
"""Paths that differ from what is on disk before it is written again (12 ms at 45,000 files)."""


class Listing(Mapping[str, Entry]):
    """Every file below one tree object, in path order when listed whole."""

    def __init__(self, tree: str, oids: dict[str, str], modes: dict[str, int]) -> None:
        self.tree = tree
        self.oids, self.modes = oids, modes
        """`modes` holds only what is not a regular file."""

    def __getitem__(self, path: str) -> Entry:
        return Entry(self.modes.get(path, REGULAR), self.oids[path])

    def __contains__(self, path: object) -> bool:
        return path in self.oids

    def __iter__(self) -> Iterator[str]:
        return iter(self.oids)

    def __len__(self) -> int:
        return len(self.oids)


class _Kept(msgspec.Struct, array_like=True):
    """A listing as a file."""

    version: int
    tree: str
    paths: bytes
    oids: bytes
    modes: dict[bytes, int]


class Listings:
    """The listings of one repository, by tree id. Thread-safe."""

    def __init__(self, git: Git, objects: Objects, file: Path) -> None:
        self._git, self._objects, self._file = git, objects, file
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, Listing] = OrderedDict()
        self._unsaved = 0

    def get(self, tree: str) -> Listing:
        """The listing of a tree object. Raises `GitFailed` when it is not there."""
        with self._lock:
            listing = self._memory.get(tree) or self._make(tree)
            self._memory[tree] = listing
            self._memory.move_to_end(tree)
            while len(self._memory) > _KEPT:
                self._memory.popitem(last=False)
            return listing

    def _make(self, tree: str) -> Listing:
        near = next(reversed(self._memory.values()), None)
        if near is None:
            near = self._load()
        if near is None:
            listing = self._list(tree)
            self._unsaved = len(listing)
        else:
            listing, changed = moved(self._objects, near, tree)
            self._unsaved += changed
        if self._unsaved >= _WORTH_KEEPING:
            self._save(listing)
        return listing

    def _list(self, tree: str) -> Listing:
        rows = self._git.run("ls-tree", "-r", "-z", tree, operation="read").decode("utf-8", "surrogateescape").split("\0")
        rows.pop()
        # "<6 digits of mode> <kind> <40 of id>\t<path>", where a submodule's kind is "commit"
        oids = {row[53:]: row[12:52] for row in rows if row[7] == "b"}
        modes = {row[53:]: int(row[:6], 8) for row in rows if row[7] == "b" and not row.startswith("100644")}
        for row in rows:
            if row[7] == "c":
                oids[row[55:]], modes[row[55:]] = row[14:54], int(row[:6], 8)
        return Listing(tree, oids, modes)

    def _load(self) -> Listing | None:
        try:
            kept = msgspec.msgpack.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return None  # never written, or by a version that writes another form: listed anew
        paths = kept.paths.decode("utf-8", "surrogateescape").split("\0") if kept.paths else []
        text = kept.oids.decode("ascii", "replace")
        if kept.version != _VERSION or len(text) != 40 * len(paths) or self._objects.read(kept.tree) is None:
            return None
        oids = dict(zip(paths, [text[at : at + 40] for at in range(0, len(text), 40)], strict=True))
        return Listing(kept.tree, oids, {path.decode("utf-8", "surrogateescape"): mode for path, mode in kept.modes.items()})

    def _save(self, listing: Listing) -> None:
        self._unsaved = 0
        kept = _Kept(
            _VERSION,
            listing.tree,
            "\0".join(listing.oids).encode("utf-8", "surrogateescape"),
            "".join(listing.oids.values()).encode(),
            {path.encode("utf-8", "surrogateescape"): mode for path, mode in listing.modes.items()},
        )
        try:
            write_private(self._file, msgspec.msgpack.encode(kept))
        except OSError:
            self._unsaved = -(1 << 30)  # a full disk: the next process lists anew, this one has it in memory


def moved(objects: Objects, near: Listing, tree: str) -> tuple[Listing, int]:
    """The listing of `tree` made from that of another one, and how many paths differ."""
    oids, modes, changed = dict(near.oids), dict(near.modes), 0
    for path, entry in differences(objects, near.tree, tree):
        changed += 1
        modes.pop(path, None)
        if entry is None:
            oids.pop(path, None)
        else:
            oids[path] = entry.oid
            if entry.mode != REGULAR:
                modes[path] = entry.mode
    return Listing(tree, oids, modes), changed


def differences(objects: Objects, before: str | None, after: str | None, under: str = "") -> Iterator[tuple[str, Entry | None]]:
    """Paths that differ between two trees, removals (None) before additions of the same name; None stands for no tree."""
    if before == after:
        return
    old, new = frozenset(_rows(objects, before)), frozenset(_rows(objects, after))
    gone, come = {_name(row): row for row in old - new}, {_name(row): row for row in new - old}
    for name in sorted({*gone, *come}):
        was, now = gone.get(name), come.get(name)
        path = under + name.decode("utf-8", "surrogateescape")
        was_folder, now_folder = _subtree(was), _subtree(now)
        if was is not None and was_folder is None:
            yield path, None
        if was_folder or now_folder:
            yield from differences(objects, was_folder, now_folder, f"{path}/")
        if now is not None and now_folder is None:
            yield path, Entry(int(_mode(now), 8), now[-20:].hex())


def build(objects: Objects, base: str | None, changes: Mapping[str, Entry | None]) -> tuple[str, dict[str, tuple[str, bytes]]]:
    """The tree id of `base` (None: nothing) with `changes` (path → new entry, None: removed), and the tree objects that are new.

    Reads and makes only the touched folders. Raises `Invalid` for a path that Git does not take.
    """
    made: dict[str, tuple[str, bytes]] = {}
    top = _Folder()
    for path, entry in changes.items():
        *folders, name = checked_path(path).encode("utf-8", "surrogateescape").split(b"/")
        folder = top
        for inner in folders:
            folder = folder.folders.setdefault(inner, _Folder())
        folder.files[name] = entry
    root = _built(objects, base, top, made)
    if root is None:
        root = EMPTY_TREE
        made[root] = ("tree", b"")
    return root, made


def checked_path(path: str) -> str:
    """A path that Git stores and that stays inside of whatever it is written into. Raises `Invalid`."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" or "\0" in part or "\\" in part for part in parts):
        raise Invalid(f"not a path for a file of the repository: {clean(path, limit=200)!r}")
    return path


class _Folder:
    """The changes below one folder."""

    def __init__(self) -> None:
        self.files: dict[bytes, Entry | None] = {}
        self.folders: dict[bytes, _Folder] = {}


def _built(objects: Objects, base: str | None, changes: _Folder, made: dict[str, tuple[str, bytes]]) -> str | None:
    """The id of the changed folder; None when nothing is left in it."""
    rows = {_name(row): row for row in _rows(objects, base)}
    before = frozenset(rows)
    for name, entry in changes.files.items():
        if entry is None and name in rows and _subtree(rows[name]) is None:
            del rows[name]
    for name, inner in changes.folders.items():
        was = _subtree(rows.get(name))
        oid = _built(objects, was, inner, made)
        if oid is not None:
            rows[name] = _row(0o40000, name, oid)
        elif was is not None:
            del rows[name]
    for name, entry in changes.files.items():
        if entry is not None:
            if _subtree(rows.get(name)) is not None:
                raise Invalid(f"{clean(name)} would be a file and a folder at once")
            rows[name] = _row(entry.mode, name, entry.oid)
    if not rows:
        return None
    if not before.issuperset(rows) or changes.folders.keys() & changes.files.keys():
        # Git sorts a folder as if its name ended in a slash
        rows = dict(sorted(rows.items(), key=lambda item: item[0] if _subtree(item[1]) is None else item[0] + b"/"))
    data = b"".join(rows.values())
    oid = object_id("tree", data)
    made[oid] = ("tree", data)
    return oid


# A row of a tree object stays as it is stored, `<octal mode> <name>\0<20 bytes of id>`: of the 3,000 that a folder may have, one is looked
# into, and 3,000 tuples would cost 10 ms and the garbage collector.
_ROW = re.compile(rb"\d+ [^\0]+\0.{20}", re.DOTALL)


def _rows(objects: Objects, tree: str | None) -> list[bytes]:
    """The rows of a tree object, in its order; none of no tree."""
    return [] if tree is None or tree == EMPTY_TREE else _ROW.findall(objects.tree(tree))


def _row(mode: int, name: bytes, oid: str) -> bytes:
    return b"%o %s\0%s" % (mode, name, bytes.fromhex(oid))


def _mode(row: bytes) -> bytes:
    return row[: row.index(b" ")]


def _name(row: bytes) -> bytes:
    return row[row.index(b" ") + 1 : -21]


def _subtree(row: bytes | None) -> str | None:
    """The id of the folder that a row is; None when it is a file, or absent."""
    return row[-20:].hex() if row is not None and _mode(row).lstrip(b"0") == b"40000" else None
