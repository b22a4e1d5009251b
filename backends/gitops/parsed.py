"""Parsed files kept between runs, by path and blob, in one private file: YAML is read once per version of a file.

A cache: what it holds can always be parsed again, and anything odd about it is simply not used.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import msgspec

from backends.domain.app import App
from backends.domain.cluster import Cluster
from backends.domain.deployment import Deployment
from backends.domain.environment import Environment
from backends.domain.record import Record
from backends.domain.workspace import Workspace
from backends.gitops.document import Problem
from backends.gitops.files import Parsed, Pipeline
from backends.gitops.sources import Application
from backends.paths import write_private

VERSION = 1
"""Counted up whenever a type in here changes its meaning; an older file is then not used."""
NAME = "parsed.msgpack"
WORTH_WRITING = 20
"""Files that must be new before the store is written again: parsing fewer costs less than writing."""

_ODD_NAME = re.compile("[\ud800-\udfff]")
_KINDS: tuple[type[Any] | None, ...] = (None, Workspace, Environment, App, Cluster, Deployment, Record, Pipeline, Application)
_APPLICATION = _KINDS.index(Application)


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    oid: str
    kind: int
    value: msgspec.Raw
    problems: tuple[tuple[int, int, str, bool], ...] = ()


class Later(msgspec.Struct, frozen=True):
    """An application.yaml that was parsed before and is decoded when somebody asks: of thousands, few are looked into."""

    data: msgspec.Raw

    def value(self) -> Application:
        return msgspec.msgpack.decode(self.data, type=Application)


class _File(msgspec.Struct, frozen=True, array_like=True):
    version: int
    rows: dict[str, _Row]


class ParsedFiles:
    """What was parsed before, and what this run adds."""

    def __init__(self, path: Path | None, rows: dict[str, _Row]) -> None:
        self._path, self._before = path, rows
        self._rows: dict[str, _Row] = {}
        self._new = 0
        self._decoders = [None if kind is None else msgspec.msgpack.Decoder(kind) for kind in _KINDS]
        self._encoder = msgspec.msgpack.Encoder()

    @classmethod
    def load(cls, folder: Path | None) -> ParsedFiles:
        """The store of a cache folder; an empty one where there is none, or one that cannot be used."""
        if folder is None:
            return cls(None, {})
        path = folder / NAME
        try:
            file = msgspec.msgpack.decode(path.read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError):
            return cls(path, {})
        return cls(path, file.rows if file.version == VERSION else {})

    def get(self, path: str, oid: str) -> Parsed | Later | None:
        """A file as it was parsed before, if its bytes are the same; an application.yaml without problems comes `Later`."""
        key = _key(path, oid)
        row = self._before.get(key)
        if row is None or row.oid != oid or not 0 <= row.kind < len(_KINDS):
            return None
        decoder = self._decoders[row.kind]
        if row.kind == _APPLICATION and not row.problems:
            self._rows[key] = row
            return Later(row.value)
        try:
            value = decoder.decode(row.value) if decoder is not None else None
        except msgspec.DecodeError:
            return None
        self._rows[key] = row
        problems = tuple(Problem(path, *problem) for problem in row.problems) if row.problems else ()
        return Parsed(value, problems)

    def put(self, path: str, oid: str, parsed: Parsed) -> None:
        """Keep what a file was parsed to; a path that is not UTF-8 has no place in the store and is parsed again each time."""
        if self._path is not None and not _ODD_NAME.search(path):
            kind = _KINDS.index(None if parsed.value is None else type(parsed.value))
            value = msgspec.Raw(self._encoder.encode(parsed.value))
            problems = tuple((p.line, p.column, p.reason, p.warning) for p in parsed.warnings)
            self._rows[_key(path, oid)] = _Row(oid, kind, value, problems)
        self._new += 1

    def save(self) -> None:
        """Write the store, if enough is new; what no path of this read names is forgotten."""
        if self._path is None or (self._new < WORTH_WRITING and self._before) or not self._new:
            return
        with contextlib.suppress(OSError):  # a full or read-only disk costs time at the next start, nothing else
            write_private(self._path, msgspec.msgpack.encode(_File(VERSION, self._rows)))


def _key(path: str, oid: str) -> str:
    """Most files mean something by their path too; values do not, and most of them are the same few bytes."""
    return oid if path.endswith("/values.yaml") else path
