"""Repository files onto disk, in a folder that nobody else reads, while they are rendered.

Entries come as bytes, so a symbolic link cannot come to be; paths are judged before the first byte is written. Programs are given names of
our making wherever a path would be an argument, and what they say about our folder is turned back into repository paths (`named`).
Not for what the files mean.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from backends.errors import Invalid, Unavailable
from backends.text import clean, is_one_line

MOST_FILES = 10_000
MOST_BYTES = 64 << 20


def check_path(path: str) -> None:
    """Raises `Invalid` unless a repository path names something below the root, in characters that no program reads otherwise."""
    parts = path.split("/")
    if path.startswith("/"):
        reason = "absolute"
    elif ".." in parts:
        reason = "leads out of its folder"
    elif "" in parts or "." in parts or ".git" in (part.lower() for part in parts):
        reason = "not a path that Git holds"
    elif "\\" in path or not is_one_line(path):
        reason = "holds a backslash or a hidden character"
    elif any(len(part.encode()) > 255 for part in parts) or len(path.encode()) > 1024:
        reason = "too long"
    else:
        return
    raise Invalid(f"not rendered: the path {clean(path, limit=200)!r} is refused, {reason}")


def check_files(files: Mapping[str, bytes]) -> None:
    """Raises `Invalid` for paths that `check_path` refuses, a file that is also a folder, too many files or too many bytes."""
    if len(files) > MOST_FILES:
        raise Invalid(f"not rendered: {len(files):,} files, at most {MOST_FILES:,} are read")
    if (total := sum(map(len, files.values()))) > MOST_BYTES:
        raise Invalid(f"not rendered: {total >> 20} MiB of files, at most {MOST_BYTES >> 20} MiB are read")
    for path in files:
        check_path(path)
    for folder in {parent for path in files for parent in folders(path)}:
        if folder in files:
            raise Invalid(f"not rendered: {clean(folder, limit=200)} is a file and a folder")


def folders(path: str) -> list[str]:
    """The folders above a path, nearest last: "a", "a/b" of "a/b/c"."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


class Export:
    """The files of a source in a new private folder, each at its repository path below `root`.

    Args:
        private: a folder of this user alone (0700) in which to make one.

    Raises `Invalid` before anything is written (`check_files`), and when two paths are one to the file system (macOS ignores case).
    """

    def __init__(self, private: Path, files: Mapping[str, bytes]) -> None:
        check_files(files)
        self.root = _new_folder(private)
        self.users = 0
        self.made = time.monotonic()
        made: set[str] = set()
        for path, data in files.items():
            for folder in folders(path):
                if folder not in made:
                    (self.root / folder).mkdir(mode=0o700, exist_ok=True)
                    made.add(folder)
            _write(self.root / path, data, path)

    def named(self, text: str) -> str:
        """A program's words with repository paths where it named files of this folder."""
        for real in (str(self.root), os.path.realpath(self.root)):
            text = text.replace(f"{real}/", "").replace(real, ".")
        return text

    def remove(self) -> None:
        """Delete the folder; what is already gone is no error."""
        shutil.rmtree(self.root, ignore_errors=True)


class Exports:
    """The latest exports, kept while they are used and for the next who needs the same: one chart serves many deployments.

    Writing and deleting ten small files costs 3 to 20 ms, more than rendering them. Safe to use from several threads.

    Args:
        kept: how many at most, those in use aside.
        age: seconds after which one is made anew: systems sweep old files out of their temporary folders, one by one.
    """

    def __init__(self, private: Path, *, kept: int = 8, age: float = 3600.0) -> None:
        self._private, self._kept, self._age = private, kept, age
        self._lock = threading.Lock()
        self._of: OrderedDict[bytes, Export] = OrderedDict()
        """By content, the one used last at the end."""

    @contextlib.contextmanager
    def of(self, files: Mapping[str, bytes]) -> Iterator[Export]:
        """An export of these files, for the time of the block."""
        key = _digest(files)
        with self._lock:
            export = self._of.pop(key, None)
            if export is not None and (time.monotonic() - export.made >= self._age or not export.root.exists()):
                self._dropped(export)
                export = None
            export = self._of[key] = export or Export(self._private, files)
            export.users += 1
        try:
            yield export
        finally:
            with self._lock:
                export.users -= 1
                if self._of.get(key) is not export:
                    self._dropped(export)
                while len(self._of) > self._kept:
                    self._dropped(self._of.popitem(last=False)[1])

    def _dropped(self, export: Export) -> None:
        """Forget one; who uses it last removes it."""
        if not export.users:
            export.remove()


class Beside:
    """Files that are arguments of a program, under names of ours: it would split a path at a comma, or take one for a URL."""

    def __init__(self, private: Path) -> None:
        self._folder = _new_folder(private)
        self._named: dict[str, str] = {}

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def file(self, path: str, data: bytes) -> Path:
        """Write one; `named` knows it as `path`."""
        where = self._folder / f"{len(self._named)}.yaml"
        _write(where, data, path)
        self._named[str(where)] = path
        return where

    def named(self, text: str) -> str:
        """A program's words with the paths of these files instead of our names."""
        for where, path in self._named.items():
            text = text.replace(where, path)
        return text


def ours(folder: Path) -> Path:
    """A folder that is this user's alone, made where it is not there (any more). Raises `Unavailable` where somebody else made it."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise Unavailable(f"{folder} is not a folder of this user alone", operation="render") from None
    return folder


def _new_folder(private: Path) -> Path:
    ours(private)
    return Path(tempfile.mkdtemp(prefix="render-", dir=private))  # 0700


def _write(where: Path, data: bytes, path: str) -> None:
    try:
        handle = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Invalid(f"not rendered: {path} and another path are the same file on this system") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _digest(files: Mapping[str, bytes]) -> bytes:
    total = sha256()
    for path, data in sorted(files.items()):
        total.update(b"%d %d\0" % (len(path), len(data)) + path.encode("utf-8", "surrogatepass") + data)
    return total.digest()
