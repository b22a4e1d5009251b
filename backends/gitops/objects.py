"""Git objects without a work tree: read by one lasting `cat-file` process, written by one `unpack-objects`.

Bytes go in and out as they are. What a tree means is `listing`'s business, what a commit says is `messages`'.
"""

from __future__ import annotations

import subprocess
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha1
from typing import IO, NamedTuple

from backends.domain.ids import is_sha
from backends.gitops import process
from backends.gitops.git import Git, environment
from backends.gitops.trouble import GitFailed, Trouble
from backends.text import clean

CACHE_BYTES = 64 << 20
"""Blobs kept in memory; 18,000 small YAML files are about 8 MB."""
_BATCH = 200
"""Names asked for before answers are read: less than a pipe holds, so that neither side waits for the other."""
_PIPE_BYTES = 1 << 18
_PACK_KINDS = {"commit": 1, "tree": 2, "blob": 3}


class Stored(NamedTuple):
    """One object: its id, kind ("commit", "tree", "blob") and bytes."""

    oid: str
    kind: str
    data: bytes


class Objects:
    """The objects of one repository. Thread-safe; objects that another process adds meanwhile are seen."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._blobs: dict[str, bytes] = {}
        self._kept = 0

    def blob(self, oid: str) -> bytes:
        """The bytes of a blob. Raises `GitFailed` when it is not there."""
        return self.blobs((oid,))[oid]

    def blobs(self, oids: Iterable[str], *, done: Callable[[int], None] | None = None) -> dict[str, bytes]:
        """The bytes of many blobs in one go (18,000 small ones: 0.2 s, from memory: 5 ms), kept in memory as far as they fit.

        `done` hears how many have been read so far. Raises `GitFailed` when one is not there.
        """
        wanted = dict.fromkeys(oids)
        kept = self._blobs
        missing = [oid for oid in wanted if oid not in kept]
        found: dict[str, bytes] = {}
        for begin in range(0, len(missing), _BATCH):
            part = missing[begin : begin + _BATCH]
            for oid, stored in zip(part, self._read(part), strict=True):
                if stored is None or stored.kind != "blob":
                    raise self._broken(f"the file with id {clean(oid, limit=40)} is missing")
                found[oid] = stored.data
            if done is not None:
                done(begin + len(part))
        self._keep(found)
        return {oid: found[oid] if oid in found else kept[oid] for oid in wanted}

    def tree(self, oid: str) -> bytes:
        """A tree object's bytes. Raises `GitFailed` when it is not there."""
        stored = self.read(oid)
        if stored is None or stored.kind != "tree":
            raise self._broken(f"the folder with id {clean(oid, limit=40)} is missing")
        return stored.data

    def read(self, name: str) -> Stored | None:
        """What an object id or a name of ours (`refs/…`, `<commit>^{tree}`) stands for; None when there is no such object."""
        return self._read((name,))[0]

    def write(self, objects: Mapping[str, tuple[str, bytes]]) -> None:
        """Store objects, id → (kind, bytes), through `unpack-objects --strict`, which checks form and links."""
        pack = bytearray(b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big"))
        for kind, data in objects.values():
            pack += _pack_header(_PACK_KINDS[kind], len(data)) + zlib.compress(data, 1)
        pack += sha1(pack, usedforsecurity=False).digest()
        self._git.run("unpack-objects", "-q", "--strict", data=bytes(pack), operation="commit")
        self._keep({oid: data for oid, (kind, data) in objects.items() if kind == "blob"})

    def close(self) -> None:
        """End the process; the next read starts another."""
        with self._lock:
            self._end()

    def _read(self, names: Iterable[str]) -> list[Stored | None]:
        names = list(names)
        if any("\n" in name or not name for name in names):
            raise ValueError("an object's name is one line")
        question = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        with self._lock:
            try:
                return self._exchange(question, len(names))
            except (OSError, EOFError):
                self._end()  # it died (or the machine slept through a kill): once more with a new one
            try:
                return self._exchange(question, len(names))
            except (OSError, EOFError):
                self._end()
                raise self._broken("git cat-file ended") from None

    def _exchange(self, question: bytes, count: int) -> list[Stored | None]:
        if self._process is None:
            command = self._git.command("cat-file", "--batch")
            self._process = process.spawn(command, environment(), stderr=subprocess.DEVNULL, bufsize=_PIPE_BYTES)
        write, read = self._process.stdin, self._process.stdout
        if write is None or read is None:
            raise EOFError
        write.write(question)
        write.flush()
        return [_answer(read) for _ in range(count)]

    def _end(self) -> None:
        if self._process is not None:
            process.kill(self._process)
            process.reap(self._process)
            self._process = None

    def _keep(self, blobs: Mapping[str, bytes]) -> None:
        with self._lock:
            self._kept += sum(len(data) for data in blobs.values())
            if self._kept > CACHE_BYTES:  # start over rather than keep books: what is read again comes back in 15 µs
                self._blobs, self._kept = {}, sum(len(data) for data in blobs.values())
            if self._kept <= CACHE_BYTES:
                self._blobs.update(blobs)
            else:
                self._kept = 0

    def _broken(self, reason: str) -> GitFailed:
        return GitFailed(
            reason,
            kind=Trouble.CACHE_BROKEN,
            operation="read",
            target=str(self._git.folder),
            hint="this clone may be deleted: nothing is kept there alone",
        )


def object_id(kind: str, data: bytes) -> str:
    """Git's id of an object (SHA-1 repositories)."""
    return sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


def _answer(read: IO[bytes]) -> Stored | None:
    words = read.readline().decode("utf-8", "replace").split()
    if not words:
        raise EOFError
    if len(words) != 3 or not is_sha(words[0]):
        return None  # "<name> missing", "<name> ambiguous"
    data = read.read(int(words[2]))
    if len(data) < int(words[2]) or read.read(1) != b"\n":
        raise EOFError
    return Stored(words[0], words[1], data)


def _pack_header(kind: int, size: int) -> bytes:
    first, size = (kind << 4) | (size & 15), size >> 4
    header = bytearray()
    while size:
        header.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    header.append(first)
    return bytes(header)
