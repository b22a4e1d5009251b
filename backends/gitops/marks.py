"""A YAML text as a tree of spans: where each key, value and item begins and ends, so that an edit can touch exactly that.

Built from PyYAML's events (C loader), since those know aliases and anchors by their own marks. Marks count characters, also after
non-ASCII text. Not for meaning: `document` types the values.
"""

from __future__ import annotations

import enum
import re
from typing import Any


class Shape(enum.Enum):
    SCALAR = "a value"
    MAPPING = "a mapping"
    SEQUENCE = "a list"
    ALIAS = "an alias"


class Span:
    """One node: `start` and `end` are indexes into the text, `end` exclusive; `keys` and `items` run in parallel in a mapping."""

    __slots__ = ("anchored", "end", "flow", "items", "keys", "shape", "start", "style", "tagged", "value")

    def __init__(self, shape: Shape, start: int, end: int) -> None:
        self.shape, self.start, self.end = shape, start, end
        self.flow = False
        self.style: str | None = None
        self.value = ""
        self.anchored = self.tagged = False
        self.keys: list[Span] = []
        self.items: list[Span] = []

    @property
    def is_null(self) -> bool:
        """Nothing, `~` or `null` without quotes."""
        return self.shape is Shape.SCALAR and self.style is None and self.value in ("", "~", "null", "Null", "NULL") and not self.tagged

    @property
    def is_empty(self) -> bool:
        """`{}`, `[]` or null: what a new key may replace."""
        return self.is_null or (self.shape in (Shape.MAPPING, Shape.SEQUENCE) and not self.items)

    def child(self, step: str | int) -> int | None:
        """The position of a key or an index among its items."""
        if isinstance(step, int):
            return step if self.shape is Shape.SEQUENCE and step < len(self.items) else None
        return next((n for n, k in enumerate(self.keys) if k.value == step), None) if self.shape is Shape.MAPPING else None


def spans(text: str) -> Span | None:
    """The tree of a text's one document; None when it holds none. The text was read before (`document.read`), so it parses."""
    import yaml

    root: Span | None = None
    open_ones: list[Span] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            closed = open_ones.pop()
            if closed.flow:
                closed.end = _index(event.end_mark)
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        span = _span(event)
        if not open_ones:
            root = span
        elif open_ones[-1].shape is Shape.MAPPING and len(open_ones[-1].keys) == len(open_ones[-1].items):
            open_ones[-1].keys.append(span)
        else:
            open_ones[-1].items.append(span)
        if span.shape in (Shape.MAPPING, Shape.SEQUENCE):
            open_ones.append(span)
    return root


def _span(event: Any) -> Span:
    import yaml

    if isinstance(event, yaml.AliasEvent):
        return Span(Shape.ALIAS, _index(event.start_mark), _index(event.end_mark))
    shape = Shape.SCALAR
    if isinstance(event, yaml.CollectionStartEvent):
        shape = Shape.MAPPING if isinstance(event, yaml.MappingStartEvent) else Shape.SEQUENCE
    span = Span(shape, _index(event.start_mark), _index(event.end_mark))
    span.anchored, span.tagged = event.anchor is not None, event.tag not in (None, "")
    if shape is Shape.SCALAR:
        span.value, span.style = event.value, event.style or None
    else:
        span.flow = bool(event.flow_style)
    return span


def _index(mark: Any) -> int:
    return int(mark.index)


def extent(text: str, span: Span) -> int:
    """Where a node's own text ends: of a block its last item's, of a block scalar the end of its last line that is not blank."""
    if span.shape in (Shape.MAPPING, Shape.SEQUENCE) and not span.flow and span.items:
        return extent(text, span.items[-1])
    if span.shape is Shape.SCALAR and span.style in ("|", ">"):
        if re.match(r"[|>](\d?\+|\+\d?)", text[span.start :]):
            return line_end(text, span.end - 1) if text[: span.end].endswith("\n") else span.end
        return line_end(text, span.start + len(text[span.start : span.end].rstrip()))
    return span.end


def line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def line_end(text: str, index: int) -> int:
    """The index of the line break (CR of a CRLF included) that ends the line, or of the end of the text."""
    at = text.find("\n", index)
    if at < 0:
        return len(text)
    return at - 1 if at and text[at - 1] == "\r" else at


def column(text: str, index: int) -> int:
    return index - line_start(text, index)
