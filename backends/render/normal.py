"""One object as lines in a form that depends on its content alone, with the data of Secrets masked: what diffs compare and show.

Keys are sorted, collections are blocks, a text of several lines is a literal block; quotes stay where they may change a type in any reading
of YAML. The lines are for people and comparisons, nobody parses them again. Their text is still other people's: it is cleaned where it is
shown. Not for telling objects apart (`manifests`).
"""

from __future__ import annotations

import json
import re
from typing import Any

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MASK = "•••"
MOST_LINES = 200_000
MOST_DEPTH = 100

_SURELY_TEXT = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./@+=-]|:(?![ \n]|\Z)| (?![ #\n]|\Z))*\Z")
_NOT_SURE = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
_HIDDEN_FIELDS = ("data", "stringData")
_TEXT, _BINARY = "tag:yaml.org,2002:str", "tag:yaml.org,2002:binary"
_MOST_MERGES, _MOST_NESTED = 1_000, 20


class TooLarge(ValueError):
    """The object has more lines or is deeper than anybody reads: aliases can make a short text endless."""


class Masks:
    """Which mask stands for which value: the same value of a key has the same mask, another one another, and none tells a length.

    One of these is shared by the two sides of a comparison, so that a changed value shows as changed.
    """

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, str]] = {}

    def mask(self, key: str, value: str) -> str:
        """`•••` for the first value of a key, `••• (2)` for the second."""
        of_key = self._seen.setdefault(key, {})
        return of_key.setdefault(value, f"{MASK} ({len(of_key) + 1})" if of_key else MASK)


def lines(text: str, masks: Masks) -> list[str]:
    """The normal form of one YAML or JSON document; [] for an empty one.

    Raises `TooLarge`, and `ValueError` for text that cannot be read (and may hold a Secret).
    """
    root = _composed(text)
    writer = _Writer(masks)
    if root is not None:
        writer.node(root, "", "", 0)
    return writer.lines


def _composed(text: str) -> Any:
    import yaml

    try:
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        if not text.lstrip().startswith("{"):
            raise ValueError(str(error)) from None
    # JSON escapes in ways that YAML does not know.
    try:
        return yaml.compose(json.dumps(json.loads(text, parse_int=str), ensure_ascii=False), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None


class _Writer:
    def __init__(self, masks: Masks) -> None:
        self.lines: list[str] = []
        self._masks = masks
        self._merges = _MOST_MERGES

    def node(self, node: Any, head: str, indent: str, depth: int) -> None:
        """Write a node after `head` ("key:", "-" or "")."""
        if depth > MOST_DEPTH:
            raise TooLarge(f"more than {MOST_DEPTH} levels")
        if node.id == "scalar":
            self._scalar(node, head, indent)
        elif not node.value:
            self._line(f"{head} {'{}' if node.id == 'mapping' else '[]'}".strip(), indent)
        elif node.id == "mapping":
            self._mapping(node, head, indent, depth)
        else:
            if head:
                self._line(head, indent)
            for item in node.value:
                self.node(item, "-", indent + "  " if head == "-" else indent, depth + 1)

    def _mapping(self, node: Any, head: str, indent: str, depth: int) -> None:
        if head.endswith(":"):
            self._line(head, indent)
        below, first = indent + "  " if head else indent, len(self.lines)
        pairs = self._pairs(node)
        # Any group's Secret: a wrong guess hides too much, never too little.
        secret = any(key == "kind" and (value.value == "Secret" or value.tag != _TEXT) for key, value in pairs)
        for key, value in pairs:
            if secret and key in _HIDDEN_FIELDS:
                self._masked(value, f"{key}:", below)
            elif secret and key == "metadata" and value.id == "mapping":
                self._metadata(value, below, depth)
            else:
                self.node(value, f"{key}:", below, depth + 1)
        if head == "-":
            self.lines[first] = f"{indent}- {self.lines[first][len(below) :]}"

    def _metadata(self, node: Any, indent: str, depth: int) -> None:
        """The metadata of a Secret: what kubectl applied last repeats its data."""
        self._line("metadata:", indent)
        for key, value in self._pairs(node):
            if key == "annotations" and value.id == "mapping" and value.value:
                self._line("annotations:", indent + "  ")
                for name, content in self._pairs(value):
                    if name == LAST_APPLIED:
                        self._line(f"{name}: {self._mask(name, content)}", indent + "    ")
                    else:
                        self.node(content, f"{name}:", indent + "    ", depth + 3)
            else:
                self.node(value, f"{key}:", indent + "  ", depth + 2)

    def _masked(self, node: Any, head: str, indent: str) -> None:
        if node.id == "mapping" and node.value:
            self._line(head, indent)
            for key, value in self._pairs(node):
                self._line(f"{key}: {self._mask(key, value)}", indent + "  ")
        else:
            self._line(f"{head} {self._mask(head, node) if node.value else '{}'}", indent)

    def _pairs(self, node: Any, depth: int = 0) -> list[tuple[str, Any]]:
        """The keys of a mapping as they are shown, sorted, with what `<<` brings in; one that is there twice stays twice."""
        own: list[tuple[str, Any]] = []
        brought: dict[str, Any] = {}
        for key, value in node.value:
            if key.value == "<<" and value.id != "scalar":
                for other in [value] if value.id == "mapping" else value.value:
                    self._merges -= 1
                    if self._merges < 0 or depth > _MOST_NESTED:
                        raise TooLarge(f"more than {_MOST_MERGES} merges, or {_MOST_NESTED} within each other")
                    if other.id == "mapping":
                        brought = dict(self._pairs(other, depth + 1)) | brought
            elif key.tag == _BINARY:
                raise ValueError("a key in base64")  # which Go decodes: it may say `kind`
            else:
                own.append((_single(key.value, plain=not key.style) if key.id == "scalar" else "?", value))
        taken = {key for key, _ in own}
        return sorted([*own, *((key, value) for key, value in brought.items() if key not in taken)], key=lambda pair: pair[0])

    def _mask(self, key: str, node: Any) -> str:
        import yaml

        if node.id == "scalar":
            return self._masks.mask(key, node.value) if node.value else '""'
        try:
            return self._masks.mask(key, yaml.serialize(node, Dumper=yaml.CSafeDumper))
        except (yaml.YAMLError, RecursionError):
            return MASK

    def _scalar(self, node: Any, head: str, indent: str) -> None:
        value: str = node.value
        if "\n" in value.rstrip("\n") and not value.startswith((" ", "\n")):
            keep = "-" if not value.endswith("\n") else "+" if value.endswith("\n\n") else ""
            self._line(f"{head} |{keep}".strip(), indent)
            below = indent + "  "
            for line in value.removesuffix("\n").split("\n"):
                self._line(line, below if line else "")
        else:
            self._line(f"{head} {_single(value, plain=not node.style)}".strip(), indent)

    def _line(self, text: str, indent: str) -> None:
        self.lines.append(indent + text)
        if len(self.lines) > MOST_LINES:
            raise TooLarge(f"more than {MOST_LINES:,} lines")


def _single(value: str, *, plain: bool) -> str:
    """A scalar on one line: bare where it was bare, or where it is text in every version of YAML; else as a JSON string."""
    sure = bool(_SURELY_TEXT.match(value)) and value.lower() not in _NOT_SURE
    return value if sure or (plain and "\n" not in value) else json.dumps(value, ensure_ascii=False)
