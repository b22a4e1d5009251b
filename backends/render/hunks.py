"""The difference of two texts as hunks of lines, within a bound on what it may cost.

Not for what the lines mean; they are compared as they are.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

import msgspec

CONTEXT = 3
"""Unchanged lines shown around a change."""
_MOST_PAIRS = 1_000_000
"""Pairs of equal lines, beyond which a change is shown as all removed and all added: difflib walks through all of them, again and again."""


class LineKind(enum.StrEnum):
    SAME = " "
    REMOVED = "-"
    ADDED = "+"


class Line(msgspec.Struct, frozen=True):
    """One line of a hunk; `text` is other people's (`backends.text.clean` before it is shown)."""

    kind: LineKind
    text: str


class Hunk(msgspec.Struct, frozen=True):
    """Neighbouring changes with `CONTEXT` lines around them; the starts count from 1, 0 on a side that has no line."""

    before: int
    after: int
    lines: tuple[Line, ...]


def hunks(old: Sequence[str], new: Sequence[str], *, context: int = CONTEXT) -> tuple[Hunk, ...]:
    """The changes from some lines to others, grouped as `diff -u` groups them; () where they are equal."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    if head == len(old) == len(new):
        return ()
    # difflib sees what lies between, and enough around it to make hunks of.
    start = max(0, head - context)
    middle_old, middle_new = old[start : len(old) - max(0, tail - context)], new[start : len(new) - max(0, tail - context)]
    if not _affordable(middle_old, middle_new):
        return (_whole(middle_old, middle_new, start, head - start, min(tail, context)),)
    import difflib

    matcher = difflib.SequenceMatcher(None, middle_old, middle_new)
    return tuple(_hunk(group, middle_old, middle_new, start) for group in matcher.get_grouped_opcodes(context))


def _hunk(group: Sequence[tuple[str, int, int, int, int]], old: Sequence[str], new: Sequence[str], start: int) -> Hunk:
    out: list[Line] = []
    for tag, a, b, c, d in group:
        if tag == "equal":
            out += [Line(LineKind.SAME, text) for text in old[a:b]]
        else:
            out += [Line(LineKind.REMOVED, text) for text in old[a:b]]
            out += [Line(LineKind.ADDED, text) for text in new[c:d]]
    (_, first, _, third, _), (_, _, last, _, fourth) = group[0], group[-1]
    return Hunk(start + first + 1 if last > first else 0, start + third + 1 if fourth > third else 0, tuple(out))


def _whole(old: Sequence[str], new: Sequence[str], start: int, head: int, tail: int) -> Hunk:
    out = [Line(LineKind.SAME, text) for text in old[:head]]
    out += [Line(LineKind.REMOVED, text) for text in old[head : len(old) - tail]]
    out += [Line(LineKind.ADDED, text) for text in new[head : len(new) - tail]]
    out += [Line(LineKind.SAME, text) for text in old[len(old) - tail :]]
    return Hunk(start + 1, start + 1, tuple(out))


def _affordable(old: Sequence[str], new: Sequence[str]) -> bool:
    popular = len(new) // 100 + 1 if len(new) >= 200 else len(new)  # what difflib calls popular does not begin a match
    counts, others = Counter(old), Counter(new)
    return sum(n * counts[text] for text, n in others.items() if n <= popular) <= _MOST_PAIRS
