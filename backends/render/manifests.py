"""Rendered text, taken apart into objects: each keeps its own text, only its head (kind, name, annotations) is read.

Values are never typed here: what PyYAML and Go read differently stays what it is. The whole of a document is scanned all the same, so
broken YAML is an error with a file and a line. Not for comparing (`diff`) nor for what Argo CD does with a hook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from backends.engine import Cancel
from backends.errors import Invalid
from backends.render import hooks
from backends.render.types import Manifest
from backends.text import clean

MOST_NODES = 1_500_000
"""YAML nodes read of one rendering, some 8 s; a chart may render 32 MiB of `[a,a,a,…`."""

_SEPARATOR = re.compile(r"^---(?=[ \t]|$)[ \t]*", re.MULTILINE)
_SOURCE = re.compile(r"\s*# Source: (\S+)[ \t]*(?:\n|\Z)")
_MERGE = "<<"


class Head(msgspec.Struct):
    """What of an object is looked at. A list of objects (`items`) has no head of its own; one that says `items: null` is none."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    generate_name: str = ""
    annotations: dict[str, str] = {}
    items: bool = False
    null_items: bool = False
    spec: bool = False


class Reader:
    """Reads the texts of one rendering, within one bound on their nodes.

    Args:
        helm: leave out what `helm template` does (hooks of types that it does not know).
    """

    def __init__(self, *, helm: bool = False, cancel: Cancel | None = None) -> None:
        self._left, self._helm, self._cancel = MOST_NODES, helm, cancel

    def read(self, text: str, source: str) -> list[Manifest]:
        """The objects of a text of one or several documents, in order; those that Argo CD never applies are left out.

        Args:
            source: the file it came from, for errors; "" for the output of `helm template`, which names it in each document.

        Raises `Invalid` naming the file (and the line where it is known), `Cancelled`.
        """
        return [manifest for document, line in documents(text) for manifest in self._document(document, source, line)]

    def _document(self, text: str, source: str, line: int) -> Iterator[Manifest]:
        if not source and (named := _SOURCE.match(text)):
            source, line = clean(named[1], limit=300), 0
            text = text[named.end() :]
        if self._cancel is not None:
            self._cancel.check()
        head = self._head(text, source, line)
        if head is None or (head.null_items and not head.spec):
            return
        if head.items:
            for item in _items(text, source):
                yield from self._object(self._head(item, source, 0), item, source)
        else:
            yield from self._object(head, text.strip("\n") + "\n", source)

    def _object(self, head: Head | None, text: str, source: str) -> Iterator[Manifest]:
        if head is None or not head.kind:  # without apiVersion it is one to Argo CD, until it is applied
            raise Invalid(f"{source}: an object without kind", operation="render")
        phases = hooks.phases(head.annotations)
        if phases is not None and not (self._helm and hooks.dropped_by_helm(head.annotations)):
            yield Manifest(
                api_version=head.api_version,
                kind=head.kind,
                name=head.name or head.generate_name,
                namespace=head.namespace,
                text=text,
                hook=phases,
                wave=hooks.wave(head.annotations),
            )

    def _head(self, text: str, source: str, line: int) -> Head | None:
        """None for an empty document. `line` is how many lines of the source stand above the text."""
        import yaml

        try:
            return self._scanned(yaml.parse(text, Loader=yaml.CBaseLoader), text, source)
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark or error.context_mark
            number = at.line + line + 1 if at else 0
            where = f"{source}, line {number} as rendered" if self._helm else f"{source}:{number}"
            raise Invalid(f"{where}: not YAML: {clean(error.problem, limit=200)}", operation="render") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise Invalid(f"{source}: not YAML: {clean(str(error).partition(chr(10))[0], limit=200)}", operation="render") from None

    def _scanned(self, events: Iterator[Any], text: str, source: str) -> Head | None:
        import yaml

        head, depth, documents = Head(), 0, 0
        keys: list[str | None] = [None, None, None]
        """The key last read in the root, in `metadata` and in its annotations; None: a key comes next."""
        for event in events:
            self._left -= 1
            if self._left < 0:
                raise Invalid(f"{source}: renders to more than {MOST_NODES:,} YAML nodes", operation="render")
            kind = type(event)
            if kind is yaml.DocumentStartEvent:
                documents += 1
            elif documents > 1:
                continue  # after "...": Go reads the first document and no further
            elif kind is yaml.ScalarEvent:
                if depth == 0:
                    if event.value in ("", "~", "null", "Null", "NULL") and not event.style:
                        return None
                    raise Invalid(f"{source}: a document that is no object", operation="render")
                if depth <= 3 and _within(keys, depth):
                    if event.anchor or (keys[depth - 1] is None and event.value == _MERGE):
                        return _constructed(text)
                    _scalar(head, keys, depth, event.value)
            elif kind is yaml.AliasEvent:
                if depth <= 3 and _within(keys, depth):
                    return _constructed(text)
            elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
                if depth == 0 and kind is yaml.SequenceStartEvent:
                    raise Invalid(f"{source}: a document that is no object", operation="render")
                if 0 < depth <= 3 and _within(keys, depth):
                    if keys[depth - 1] is None:
                        raise Invalid(f"{source}: a key that is no text", operation="render")
                    if depth == 1:
                        head.items = head.items or (keys[0] == "items" and kind is yaml.SequenceStartEvent)
                        head.spec = head.spec or keys[0] in ("spec", "status")
                depth += 1
                if depth <= 3:
                    keys[depth - 1] = None
            elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                depth -= 1
                if 0 < depth <= 3 and _within(keys, depth):
                    keys[depth - 1] = None
        return head if documents else None


def documents(text: str) -> Iterator[tuple[str, int]]:
    """The documents of a text, each with the number of lines above it; `---` lines are nobody's."""
    start = line = 0
    for mark in _SEPARATOR.finditer(text):
        yield text[start : mark.start()], line
        line += text.count("\n", start, mark.end())
        start = mark.end()
    yield text[start:], line


def repeated(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """A sentence about each object that is there twice: Argo CD warns, and applies the last one."""
    seen: set[tuple[str, str, str, str]] = set()
    twice: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in manifests:
        key = (manifest.group, manifest.kind, manifest.namespace, manifest.name)
        if key in seen and not manifest.name.endswith("-"):
            twice[key] = manifest
        seen.add(key)
    return tuple(
        f"{clean(one.kind, limit=100)} {clean(one.name, limit=260)} is rendered more than once; the last one counts"
        for one in twice.values()
    )


def _within(keys: list[str | None], depth: int) -> bool:
    """Whether the node that is `depth` collections deep is one that a head is made of: of the root, of `metadata` or of its annotations."""
    return depth == 1 or (keys[0] == "metadata" and (depth == 2 or keys[1] == "annotations"))


def _scalar(head: Head, keys: list[str | None], depth: int, value: str) -> None:
    key = keys[depth - 1]
    if key is None:
        keys[depth - 1] = value
        return
    keys[depth - 1] = None
    if depth == 3:
        head.annotations[key] = value
    elif depth == 2:
        if key in ("name", "namespace"):
            setattr(head, key, value)
        elif key == "generateName":
            head.generate_name = value
    elif key == "kind":
        head.kind = value
    elif key == "apiVersion":
        head.api_version = value
    elif key == "items" and value in ("", "~", "null"):
        head.null_items = True


def _constructed(text: str) -> Head:
    """A head by way of the whole object, for documents whose head is made of anchors, aliases and merges."""
    import yaml

    data = yaml.load(text, Loader=yaml.CSafeLoader)
    metadata = data.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    annotations = metadata.get("annotations")
    pairs = annotations.items() if isinstance(annotations, dict) else ()

    def texted(value: object) -> str:
        return value if isinstance(value, str) else ""

    return Head(
        api_version=texted(data.get("apiVersion")),
        kind=texted(data.get("kind")),
        name=texted(metadata.get("name")),
        namespace=texted(metadata.get("namespace")),
        generate_name=texted(metadata.get("generateName")),
        annotations={key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)},
        items=isinstance(data.get("items"), list),
        null_items="items" in data and data["items"] is None,
        spec="spec" in data or "status" in data,
    )


def _items(text: str, source: str) -> list[str]:
    """The texts of a list's objects, each scalar as it was written (comments between them are lost)."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        nodes: list[Any] = next((value.value for key, value in pairs if key.value == "items"), [])
        return [yaml.serialize(node, Dumper=yaml.CSafeDumper, allow_unicode=True, width=1 << 30) for node in nodes]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"{source}: not YAML: {clean(str(error).partition(chr(10))[0], limit=200)}", operation="render") from None
