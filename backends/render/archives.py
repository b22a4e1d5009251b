"""Chart archives inside a chart (`charts/*.tgz`), unpacked in memory, looked through and packed again before Helm gets them.

Helm takes a link for an empty file, has no bound on archives within archives and reads a values schema wherever it lies; so members are
checked: plain files and folders only, paths below their chart, a bound on what they unpack to, no schema that leads elsewhere. What Helm
reads is packed by us from what was checked, since two readers of a tar file need not see the same one. Nothing is written to disk.
"""

from __future__ import annotations

import io
import posixpath
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from backends.errors import Invalid
from backends.render.export import check_path
from backends.render.schemas import SCHEMA, foreign_reference
from backends.text import clean

MOST_UNPACKED = 100 << 20
"""Bytes that an archive may unpack to, those within it included; Helm's own bound for one of them."""
MOST_MEMBERS = 10_000
MOST_DEPTH = 3


def repacked(files: Mapping[str, bytes]) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """The files with each chart archive made anew, and a sentence about each values schema that was left out of one.

    Raises `Invalid` for an archive with a link, a device, a path that leads out, or more content than is allowed.
    """
    made = {path: _made(data, path) for path, data in files.items() if _is_chart(path)}
    if not made:
        return files, ()
    return {**files, **{path: data for path, (data, _) in made.items()}}, tuple(one for _, said in made.values() for one in said)


def _is_chart(path: str) -> bool:
    return path.endswith(".tgz") and path.split("/")[-2:-1] == ["charts"]  # the only archives that Helm opens


@lru_cache(maxsize=32)  # the same charts are rendered again and again; a megabyte costs 30 ms
def _made(data: bytes, path: str) -> tuple[bytes, tuple[str, ...]]:
    said: list[str] = []
    return _packed(_kept(data, path, _Budget(), 1, said)), tuple(said)


class _Budget:
    def __init__(self) -> None:
        self.bytes, self.members = MOST_UNPACKED, MOST_MEMBERS

    def spend(self, size: int, path: str) -> None:
        self.bytes -= size
        self.members -= 1
        if self.bytes < 0 or self.members < 0:
            raise _refused(path, f"unpacks to more than {MOST_UNPACKED >> 20} MiB or {MOST_MEMBERS:,} files")


def _refused(path: str, reason: str) -> Invalid:
    return Invalid(f"not rendered: the archive {clean(path, limit=200)} is refused, it {reason}", operation="render")


def _kept(data: bytes, path: str, budget: _Budget, depth: int, said: list[str]) -> Iterator[tuple[str, bytes]]:
    """The members that Helm may see, archives among them packed anew."""
    if depth > MOST_DEPTH:
        raise _refused(path, f"nests archives more than {MOST_DEPTH} deep")
    for name, content in _members(data, path, budget):
        inside = f"{path}: {name}"
        if name.rpartition("/")[2] == SCHEMA and (reason := foreign_reference(content, inside)):
            said.append(f"values were not checked: {inside} {reason}")
        elif _is_chart(name):
            yield name, _packed(_kept(content, inside, budget, depth + 1, said))
        else:
            yield name, content


def _members(data: bytes, path: str, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    import tarfile

    try:
        # A stream: each member is counted before the next one is unpacked.
        with tarfile.open(fileobj=_Counted(data, path), mode="r|") as archive:
            for member in archive:
                budget.spend(max(member.size, 0), path)
                if not (member.isreg() or member.isdir()):
                    raise _refused(path, f"holds {clean(member.name, limit=200)!r}, which is a link or a device")
                name = member.name if "/" in member.name else member.name.replace("\\", "/")  # made on Windows
                _check(name, path)
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    yield name, file.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise _refused(path, f"cannot be read: {clean(str(error), limit=200)}") from None


def _check(name: str, path: str) -> None:
    try:
        check_path(name)
    except Invalid as error:
        raise _refused(path, f"holds a path that is: {error.message}") from None
    if posixpath.normpath(name) != name or name[1:2] == ":":
        raise _refused(path, f"holds {clean(name, limit=200)!r}, which can be read in two ways")


def _packed(members: Iterable[tuple[str, bytes]]) -> bytes:
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


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
