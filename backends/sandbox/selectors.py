"""Kubernetes label selectors."""

from __future__ import annotations

import re
from collections.abc import Callable

Selector = Callable[[dict[str, str]], bool]
_SET = re.compile(r"(!?)\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^)]*)\)\s*\Z")
_ONE = re.compile(r"([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*\Z")
_KEY = re.compile(r"(!?)\s*([^\s!=,()]+)\s*\Z")


class SelectorError(ValueError):
    """A selector that Kubernetes would not parse, in its words."""


def parse(text: str) -> Selector:
    """A selector as a test of labels. Raises `SelectorError`."""
    tests = [_requirement(part.strip()) for part in _parts(text)]
    return lambda labels: all(test(labels) for test in tests)


def _parts(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    if not text.strip():
        return []
    out, depth, current = [], 0, ""
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and not depth:
            out.append(current)
            current = ""
        else:
            current += char
    if depth:
        raise SelectorError("unable to parse requirement: found '', expected: ',', ')' or identifier")
    return [*out, current]


def _requirement(text: str) -> Selector:
    if match := _SET.match(text):
        _, key, operator, inside = match.groups()
        values = {value.strip() for value in inside.split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _ONE.match(text):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _KEY.match(text):
        absent, key = match.groups()
        return lambda labels: (key not in labels) if absent else key in labels
    raise SelectorError(f"unable to parse requirement: <nil>: Invalid value: {text!r}: name part must be non-empty")
