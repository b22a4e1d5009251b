"""One YAML file, read the way helm and Argo CD will read it, or refused with the line that says why.

Helm ignores what a careful reader refuses: text after `{}`, all but one of several documents, all but the last of duplicate keys. A change
there would be committed and do nothing, so they are errors here. Not for what a file means: that is `schema`.
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from backends.errors import Invalid
from backends.gitops.scalars import difference, go
from backends.text import clean

Node = Any
"""A node of PyYAML's tree; its stubs know neither `id` nor `style`."""

SIZE_LIMIT = 1 << 20
"""Bytes of one file. A Helm values file of that size would not fit into a release's Secret either."""
NODE_LIMIT = 50_000
"""Nodes of one file after its aliases were followed: ten lines of aliases can mean a billion."""
DEPTH_LIMIT = 100
MERGE = "tag:yaml.org,2002:merge"

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_PROPERTY = re.compile(r"(?:^|[\s\[{,:])([&*])[^\s,\[\]{}]", re.MULTILINE)


class Owner(enum.Enum):
    """Who writes a file: machine-owned ones hold no anchors, tabs or tags."""

    MACHINE = "machine"
    PEOPLE = "people"


class Problem(msgspec.Struct, frozen=True, order=True):
    """What is wrong with a file, and where: line and column count from 1, 0 where the whole file is meant."""

    path: str
    line: int
    column: int
    reason: str
    warning: bool = False
    """Worth saying, blocks nothing."""

    def __str__(self) -> str:
        return f"{clean(self.path)}{f':{self.line}:{self.column}' if self.line else ''}: {self.reason}"


class Document:
    """One document of a file: `data` in plain values (keys are text, numbers as Go reads them), and the place of everything in it."""

    def __init__(self, path: str, text: str, root: Node | None, data: Any, warnings: tuple[Problem, ...]) -> None:
        self.path = path
        self.text = text
        self.root = root
        self.data = data
        self.warnings = warnings

    def locate(self, where: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value (or its key) at a path of keys and indexes; of the nearest thing above it if absent."""
        node, at = self.root, None
        for number, part in enumerate(where):
            found = None
            if isinstance(part, int) and node is not None and node.id == "sequence" and part < len(node.value):
                found = (node.value[part], node.value[part])
            elif node is not None and node.id == "mapping":
                found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            at = found[0] if key and number == len(where) - 1 else found[1]
            node = found[1]
        mark = at.start_mark if at is not None else None
        return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)

    def problem(self, reason: str, where: Sequence[str | int] = (), *, key: bool = False, warning: bool = False) -> Problem:
        """A problem of this file at a place in it."""
        return Problem(self.path, *self.locate(where, key=key), reason, warning)


def read(path: str, data: bytes, *, owner: Owner = Owner.PEOPLE) -> Document:
    """The one document of a file; a file without one (empty, comments only) has `data` None.

    Raises `Invalid` with a `Problem` for whatever is refused (`problems_of` gives them back).
    """
    found = read_all(path, data, owner=owner)
    if len(found) > 1:
        line = _line_of_second(found[1])
        raise refused(Problem(path, line, 1, "several documents in one file: only one of them would be read"))
    return found[0]


@lru_cache(maxsize=32)  # planning and writing one edit read the same bytes five times; nobody changes what a Document holds
def read_all(path: str, data: bytes, *, owner: Owner = Owner.PEOPLE) -> tuple[Document, ...]:
    """Every document of a file, at least one. Raises `Invalid`."""
    import yaml

    text = decode(path, data)
    try:
        roots = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise refused(_syntax(path, text, error)) from None
    if owner is Owner.MACHINE:
        _refuse_properties(path, text)
    documents = []
    trees: list[Node | None] = [*roots] or [None]
    for root in trees:
        reader = _Reader(path, text, owner)
        value = reader.value(root, 0) if root is not None else None
        if reader.errors:
            raise refused(*reader.errors)
        documents.append(Document(path, text, root, value, tuple(reader.warnings)))
    if "\t" in text:
        _refuse_tabs(path, text, roots, owner)
    return tuple(documents)


def decode(path: str, data: bytes) -> str:
    """The text of a file. Raises `Invalid` for a byte order mark, invalid UTF-8, control characters and more than `SIZE_LIMIT` bytes."""
    if len(data) > SIZE_LIMIT:
        raise refused(Problem(path, 0, 0, f"the file is larger than {SIZE_LIMIT >> 20} MiB"))
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise refused(Problem(path, 1, 1, "a byte order mark at the beginning: save the file as plain UTF-8"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        raise refused(Problem(path, before.count(b"\n") + 1, column, f"not UTF-8: byte 0x{data[error.start]:02x}")) from None
    control = _CONTROL.search(text)
    if control:
        raise refused(Problem(path, *_position(text, control.start()), f"control character U+{ord(control.group()):04X}"))
    return text


def refused(*problems: Problem) -> Invalid:
    """The error of a file that does not fit; its message is the first problem, `problems_of` gives all of them."""
    error = Invalid(str(problems[0]), problems=[str(problem) for problem in problems])
    error.__dict__["found"] = problems
    return error


def problems_of(error: Invalid, path: str = "") -> tuple[Problem, ...]:
    """The problems that an `Invalid` of this module or of `schema` carries; any other one as a problem of the whole file."""
    found: tuple[Problem, ...] = error.__dict__.get("found", ())
    return found or (Problem(path, 0, 0, error.message),)


class _Reader:
    """Turns nodes into plain values; collects errors and warnings on the way."""

    def __init__(self, path: str, text: str, owner: Owner) -> None:
        self.path, self.text, self.owner = path, text, owner
        self.tags = "!" in text
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.nodes = 0

    def value(self, node: Node, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > NODE_LIMIT or depth > DEPTH_LIMIT:
            what = f"more than {NODE_LIMIT:,} values" if self.nodes > NODE_LIMIT else f"nested deeper than {DEPTH_LIMIT}"
            raise refused(self._at(node, f"{what} (aliases that repeat each other?)"))
        if node.id == "scalar":
            return self.scalar(node)
        if self.tags and self._explicit_tag(node):
            self._tagged(node)
        if node.id == "sequence":
            return [self.value(item, depth + 1) for item in node.value]
        result: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key, item in node.value:
            if key.id != "scalar":
                self.errors.append(self._at(key, "a key that is not a simple word"))
            elif key.tag == MERGE:
                merged += self._merges(item, depth)
            else:
                name = self._key(key)
                if name in result:
                    self.errors.append(self._at(key, f"duplicate key {clean(name, limit=80)!r}: only the last one would be read"))
                result[name] = self.value(item, depth + 1)
        for below in merged:
            result = {**below, **result}
        return result

    def scalar(self, node: Node) -> Any:
        text: str = node.value
        if self.tags and (tag := self._explicit_tag(node)):
            if tag not in ("!!str", "!") or self.owner is Owner.MACHINE:
                self._tagged(node)
            return go(text).value if tag in ("!!int", "!!float", "!!bool", "!!null") else text
        if node.style not in (None, ""):
            return text
        if unlike := difference(text):
            self.warnings.append(self._at(node, unlike, warning=True))
        return go(text).value

    def _key(self, node: Node) -> str:
        text: str = node.value
        if node.style in (None, ""):
            value = go(text).value
            if not isinstance(value, str) and str(value) != text:
                self.warnings.append(
                    self._at(node, f"the key {clean(text, limit=80)} is not text for every reader: quote it", warning=True)
                )
        return text

    def _merges(self, node: Node, depth: int) -> list[dict[str, Any]]:
        items = node.value if node.id == "sequence" else [node]
        values = [self.value(item, depth + 1) for item in items]
        if not all(isinstance(value, dict) for value in values):
            self.errors.append(self._at(node, "`<<` merges mappings only"))
            return []
        return values

    def _explicit_tag(self, node: Node) -> str:
        match = re.compile(r"(?:&\S+\s+)?(!\S*)").match(self.text, node.start_mark.index)
        return match.group(1) if match else ""

    def _tagged(self, node: Node) -> None:
        problem = self._at(node, "an explicit tag: readers differ on those", warning=self.owner is Owner.PEOPLE)
        (self.errors if self.owner is Owner.MACHINE else self.warnings).append(problem)

    def _at(self, node: Node, reason: str, *, warning: bool = False) -> Problem:
        return Problem(self.path, node.start_mark.line + 1, node.start_mark.column + 1, reason, warning)


def _refuse_properties(path: str, text: str) -> None:
    """Anchors and aliases in a machine-owned file; the second, exact look is only paid for where the first one finds a sign of them."""
    import yaml

    if not _PROPERTY.search(text):
        return
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if getattr(event, "anchor", None):
            what = "an alias" if isinstance(event, yaml.AliasEvent) else "an anchor"
            mark: Any = event.start_mark
            raise refused(Problem(path, mark.line + 1, mark.column + 1, f"{what} in a machine-owned file"))


def _refuse_tabs(path: str, text: str, roots: Sequence[Node | None], owner: Owner) -> None:
    """Tabs outside of people's scalars and comments."""
    spans = sorted((node.start_mark.index, node.end_mark.index) for root in roots if root is not None for node in _scalars(root, set()))
    starts = [start for start, _ in spans]

    def inside(index: int) -> bool:
        at = bisect_right(starts, index) - 1
        return at >= 0 and index < spans[at][1]

    for match in re.finditer("\t", text):
        index = match.start()
        line = text.rfind("\n", 0, index) + 1
        commented = any(not inside(i) and (i == line or text[i - 1] in " \t") for i in range(line, index) if text[i] == "#")
        if owner is Owner.MACHINE or not (inside(index) or commented):
            raise refused(Problem(path, *_position(text, index), "a tab: YAML indents and separates with spaces"))


def _scalars(node: Node, seen: set[int]) -> Iterator[Node]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.id == "scalar":
        yield node
    for child in node.value if node.id != "scalar" else ():
        for part in child if isinstance(child, tuple) else (child,):
            yield from _scalars(part, seen)


def _syntax(path: str, text: str, error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = str(getattr(error, "problem", "") or getattr(error, "reason", "") or error)
    if reason == "did not find expected <document start>":
        reason = "text after the end of the document: helm ignores it, and what it says does nothing"
    elif "cannot start any token" in reason and mark is not None and text[mark.index : mark.index + 1] == "\t":
        reason = "a tab: YAML indents and separates with spaces"
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    return Problem(path, line, column, clean(reason, limit=200))


def _line_of_second(document: Document) -> int:
    root = document.root
    if root is None:
        return 1
    before = document.text[: root.start_mark.index]
    at = max(before.rfind("\n---"), 0 if before.startswith("---") else -1)
    return before[: at + 1].count("\n") + 1 if at >= 0 else int(root.start_mark.line) + 1


def _position(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
