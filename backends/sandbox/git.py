"""Reading bare repositories on disk: what the repository server of the sandbox sees of a remote.

One `git cat-file --batch` process per repository, answering by object id or name; trees and commits are kept by id, since they never
change. Read-only and for local paths alone. Blocking; safe from any thread.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from backends.errors import NotFound

_ENVIRONMENT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"}
_TREE_ENTRY = re.compile(rb"(\d+) ([^\0]+)\0(.{20})", re.DOTALL)
_SHA = re.compile(r"[0-9a-f]{40}\Z")


class Entry(NamedTuple):
    mode: str
    oid: str

    @property
    def is_folder(self) -> bool:
        return self.mode == "40000"


class CommitInfo(NamedTuple):
    tree: str
    parents: tuple[str, ...]
    author: str
    at: datetime
    message: str


def local_path(url: str) -> Path | None:
    """The folder that a `file://` URL or an absolute path names; None for any other URL."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(url) if url.startswith("/") else None


class Repository:
    """One bare repository. Opening one that is not there raises `NotFound`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not any((folder / name).exists() for name in ("HEAD", ".git/HEAD")):
            raise NotFound("repository not found", target=str(folder))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._trees: dict[str, dict[str, Entry]] = {}
        self._commits: dict[str, CommitInfo] = {}

    def resolve(self, name: str) -> str | None:
        """The commit that a branch, a tag, HEAD or an id names now."""
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name) if not _SHA.match(name) else (name,):
            if not re.search(r"[\s\0]|^-|\.\.|[~^:?*\[]", candidate):
                found = self._read(f"{candidate}^{{commit}}")
                if found is not None:
                    self._commits.setdefault(found[0], _commit(found[1]))
                    return found[0]
        return None

    def commit(self, sha: str) -> CommitInfo:
        """Raises `NotFound`."""
        if sha not in self._commits:
            found = self._read(f"{sha}^{{commit}}")
            if found is None:
                raise NotFound(f"no such commit: {sha}")
            self._commits[sha] = _commit(found[1])
        return self._commits[sha]

    def find(self, sha: str, path: str) -> Entry | None:
        """The file or folder at a path of a commit ("" is the root)."""
        entry = Entry("40000", self.commit(sha).tree)
        for part in [part for part in path.strip("/").split("/") if part not in ("", ".")]:
            if not entry.is_folder:
                return None
            inside = self._tree(entry.oid).get(part)
            if inside is None:
                return None
            entry = inside
        return entry

    def read(self, oid: str) -> bytes:
        found = self._read(oid)
        if found is None:
            raise NotFound(f"no such object: {oid}")
        return found[1]

    def walk(self, oid: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """All files below a folder, as paths, in path order."""
        for name, entry in sorted(self._tree(oid).items()):
            path = f"{prefix}{name}"
            if entry.is_folder:
                yield from self.walk(entry.oid, f"{path}/")
            else:
                yield path, entry

    def changed(self, before: str, after: str) -> list[str]:
        """The paths that differ between two commits."""
        return list(self._differences(self.commit(before).tree, self.commit(after).tree, ""))

    def close(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _differences(self, before: str, after: str, prefix: str) -> Iterator[str]:
        if before == after:
            return
        old, new = self._tree(before) if before else {}, self._tree(after) if after else {}
        for name in sorted({*old, *new}):
            one, two = old.get(name), new.get(name)
            if one == two:
                continue
            path = f"{prefix}{name}"
            if (one is None or one.is_folder) and (two is None or two.is_folder):
                yield from self._differences(one.oid if one else "", two.oid if two else "", f"{path}/")
            else:
                yield path

    def _tree(self, oid: str) -> dict[str, Entry]:
        if oid not in self._trees:
            data = self.read(oid)
            self._trees[oid] = {
                match[2].decode("utf-8", "surrogateescape"): Entry(match[1].decode(), match[3].hex())
                for match in _TREE_ENTRY.finditer(data)
            }
        return self._trees[oid]

    def _read(self, name: str) -> tuple[str, bytes] | None:
        """Ask for one object: its id and bytes, None when there is none."""
        with self._lock:
            process = self._running()
            stdin, stdout = process.stdin, process.stdout
            if stdin is None or stdout is None:
                return None
            try:
                stdin.write(name.encode() + b"\n")
                stdin.flush()
                head = stdout.readline().split()
            except BrokenPipeError:  # the process was ended from outside: the next question starts another
                head = []
            if len(head) != 3:  # "missing", "ambiguous"
                return None
            data = stdout.read(int(head[2]))
            stdout.read(1)
            return head[0].decode(), data

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                ["git", "--git-dir", str(self.folder if (self.folder / "HEAD").exists() else self.folder / ".git"), "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        return self._process


def _commit(data: bytes) -> CommitInfo:
    head, _, message = data.partition(b"\n\n")
    fields = [line.split(b" ", 1) for line in head.splitlines() if b" " in line]
    author, _, when = next((value for name, value in fields if name == b"author"), b" 0 +0000").rpartition(b"> ")
    at = datetime.fromtimestamp(int(when.split()[0]), UTC)
    return CommitInfo(
        tree=next(value.decode() for name, value in fields if name == b"tree"),
        parents=tuple(value.decode() for name, value in fields if name == b"parent"),
        author=author.decode("utf-8", "replace") + ">",
        at=at,
        message=message.decode("utf-8", "replace").strip(),
    )
