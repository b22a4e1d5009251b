"""A folder of plain manifests, read as Argo CD reads it (`findManifests` of its repository server). No program runs.

YAML files of one or several documents, JSON files of one object; files that are no manifests at all are passed over. Jsonnet is not
evaluated here.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

from backends.engine import Cancel
from backends.errors import Invalid
from backends.render.export import check_path
from backends.render.globs import matches
from backends.render.manifests import Reader, repeated
from backends.render.types import Manifest, Rendered, RenderRequest
from backends.text import clean

SKIP_MARKER = b"+argocd:skip-file-rendering"
MOST_BYTES = 10 << 20
"""Of all manifests of one source: Argo CD's own default (`--max-combined-directory-manifests-size`)."""

_MANIFEST = re.compile(r".*\.(yaml|yml|json|jsonnet)\Z", re.DOTALL)
_LOOKS_LIKE_ONE = (b"apiVersion:", b"kind:", b"metadata:")


def render(request: RenderRequest, *, cancel: Cancel | None = None) -> Rendered:
    """The objects of a folder, in path order. Raises `Invalid`, `Cancelled`."""
    reader = Reader(cancel=cancel)
    found: list[Manifest] = []
    total = 0
    for path in selected(request):
        check_path(path)
        data = request.files[path]
        if path.endswith(".jsonnet"):
            return Rendered(missing=f"not rendered here: {clean(path)} is Jsonnet", by="plain files")
        total += len(data)
        if total > MOST_BYTES:
            raise Invalid(
                f"more than {MOST_BYTES >> 20} MiB of manifests, which Argo CD refuses", operation="render", target=clean(request.path)
            )
        found += _read(path, data, reader)
    return Rendered(manifests=tuple(found), by="plain files", warnings=repeated(found))


def selected(request: RenderRequest) -> Iterator[str]:
    """The paths of the files that count as manifests, as Argo CD walks them."""
    folder = request.path.strip("/")
    below = f"{folder}/" if folder and folder != "." else ""
    for path in sorted(request.files, key=lambda path: path.split("/")):
        relative = path[len(below) :]
        if not path.startswith(below) or ("/" in relative and not request.recurse) or not _MANIFEST.match(relative):
            continue
        if (request.exclude and matches(request.exclude, relative)) or (request.include and not matches(request.include, relative)):
            continue
        if SKIP_MARKER not in request.files[path]:
            yield path


def _read(path: str, data: bytes, reader: Reader) -> list[Manifest]:
    text = _decoded(data)
    if path.endswith(".json"):
        try:
            json.loads(text, parse_int=str)
        except (ValueError, RecursionError) as error:
            raise Invalid(f"{path}: not one JSON object: {clean(str(error), limit=200)}", operation="render") from None
        return reader.read(text, path)
    try:
        return reader.read(text, path)
    except Invalid:
        if all(mark in data for mark in _LOOKS_LIKE_ONE):
            raise
        return []  # some other YAML file: Argo CD passes it over


def _decoded(data: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "replace")
