"""Chart archives inside a chart (`charts/*.tgz`), looked through before Helm unpacks them in memory.

Helm itself takes a link for an empty file, has no bound on archives within archives and reads a values schema wherever it lies; so members
are checked here: plain files and folders only, paths below their chart, a bound on what they unpack to. Nothing is written to disk.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from hashlib import sha256

from backends.errors import Invalid
from backends.render.schemas import SCHEMA, foreign_reference
from backends.text import clean

MOST_UNPACKED = 100 << 20
"""Bytes that all archives of one rendering may unpack to; Helm's own bound for one of them."""
MOST_MEMBERS = 10_000
MOST_DEPTH = 3

_judged: dict[bytes, str] = {}
"""Answers by digest: the same archives are rendered again and again, and unpacking costs 5 ms a megabyte."""


def foreign_schema(files: Mapping[str, bytes]) -> str:
    """A sentence about a values schema in one of the archives that refers to another document, or "".

    Raises `Invalid` for an archive with a link, a device, a path that leads out, or more content than is allowed.
    """
    budget = _Budget()
    for path, data in files.items():
        if _is_chart(path):
            digest = sha256(data).digest()
            if digest not in _judged:
                said = _look(data, path, budget, 1)
                if len(_judged) > 1000:
                    _judged.clear()
                _judged[digest] = said
            if _judged[digest]:
                return f"{path} holds a values schema that {_judged[digest]}"
    return ""


def _is_chart(path: str) -> bool:
    return path.endswith(".tgz") and path.split("/")[-2:-1] == ["charts"]  # the only archives that Helm opens


class _Budget:
    def __init__(self) -> None:
        self.bytes, self.members = MOST_UNPACKED, MOST_MEMBERS

    def spend(self, size: int, path: str) -> None:
        self.bytes -= size
        self.members -= 1
        if self.bytes < 0 or self.members < 0:
            raise _refused(path, f"unpacks to more than {MOST_UNPACKED >> 20} MiB or {MOST_MEMBERS:,} files")


def _refused(path: str, reason: str) -> Invalid:
    return Invalid(f"not rendered: the archive {clean(path, limit=200)} is refused, it {reason}")


def _look(data: bytes, path: str, budget: _Budget, depth: int) -> str:
    if depth > MOST_DEPTH:
        raise _refused(path, f"nests archives more than {MOST_DEPTH} deep")
    said = ""
    for name, content in _members(data, path, budget):
        if name.rpartition("/")[2] == SCHEMA:
            said = said or foreign_reference(content, f"{path}: {clean(name, limit=200)}")
        elif _is_chart(name):
            said = said or _look(content, f"{path}: {clean(name, limit=200)}", budget, depth + 1)
    return said


def _members(data: bytes, path: str, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    import tarfile

    try:
        # A stream: each member is counted before the next one is unpacked.
        with tarfile.open(fileobj=_Counted(data, path), mode="r|") as archive:
            for member in archive:
                budget.spend(max(member.size, 0), path)
                parts = member.name.replace("\\", "/").split("/")
                if not (member.isreg() or member.isdir()):
                    raise _refused(path, f"holds {clean(member.name, limit=200)!r}, which is a link or a device")
                if member.name.startswith("/") or ".." in parts or (parts[0][1:2] == ":"):
                    raise _refused(path, f"holds {clean(member.name, limit=200)!r}, which leads out of its folder")
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise _refused(path, f"cannot be read: {clean(str(error), limit=200)}") from None


class _Counted(io.RawIOBase):
    """The unpacked bytes of a gzip stream, ending in `Invalid` beyond `MOST_UNPACKED` whatever the headers say."""

    def __init__(self, data: bytes, path: str) -> None:
        import gzip

        self._file, self._path, self._left = gzip.GzipFile(fileobj=io.BytesIO(data)), path, MOST_UNPACKED

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise _refused(self._path, f"unpacks to more than {MOST_UNPACKED >> 20} MiB")
        return piece
