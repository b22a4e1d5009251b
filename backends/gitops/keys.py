"""A key path into values, as people type it: `a.b`, `\\.` for a dot inside a key, `[n]` for the n-th item of a list."""

from __future__ import annotations

import re

from backends.errors import Invalid
from backends.text import clean, is_one_line

KeyPath = tuple[str | int, ...]

_STEP = re.compile(r"((?:\\.|[^\\.\[\]])+)|\[(\d{1,6})\]")


def parse_key(text: str) -> KeyPath:
    """The steps of a key: text for a mapping, a whole number for a list. Raises `Invalid`."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match[2] is not None and not steps):
            raise _wrong(text)
        steps.append(int(match[2]) if match[2] is not None else re.sub(r"\\(.)", r"\1", match[1]))
        at = match.end()
        if at < len(text) and text[at] == "." and at + 1 < len(text) and text[at + 1] != "[":
            at += 1
        elif at < len(text) and text[at] != "[":
            raise _wrong(text)
    if not steps or not is_one_line(text):
        raise _wrong(text)
    return tuple(steps)


def key_text(steps: KeyPath) -> str:
    """A key path as it is typed: the inverse of `parse_key`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + re.sub(r"([\\.\[\]])", r"\\\1", step)
    return text


def _wrong(text: str) -> Invalid:
    return Invalid(f"not a key: {clean(text, limit=120)!r}", hint=r"dotted keys; \. for a dot inside one, [n] for an item of a list")
