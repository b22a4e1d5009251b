"""Argo CD's globs for the files of a plain folder (`include`, `exclude`), as `gobwas/glob` matches them without separators.

`*` and `**` cross `/` (seen on a real server), `?` is any one character, `[a-c]` and `[!a-c]` are classes, `{a,b}` is either. Not for Git's
or the shell's globs.
"""

from __future__ import annotations

import re
from functools import lru_cache

from backends.errors import Invalid
from backends.text import clean


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for whole paths. Raises `Invalid` for one that is not closed.

    (Argo CD logs a pattern that it cannot compile and matches nothing; here that is said.)
    """
    out: list[str] = []
    position = depth = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            if not out or out[-1] != ".*":
                out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "\\" and position < len(pattern):
            out.append(re.escape(pattern[position]))
            position += 1
        elif char == "[":
            end = pattern.find("]", position)
            body = pattern[position : max(end, position)]
            if not body.lstrip("!^"):
                raise _unreadable(pattern)
            negated, body = ("^", body[1:]) if body[0] in "!^" else ("", body)
            out.append(f"[{negated}{_class(body)}]")
            position = end + 1
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(char))
    if depth:
        raise _unreadable(pattern)
    try:
        return re.compile("".join(out) + r"\Z", re.DOTALL)
    except re.error:
        raise _unreadable(pattern) from None


def matches(pattern: str, path: str) -> bool:
    """Whether a path fits a pattern. Raises `Invalid` for a pattern that cannot be read."""
    return bool(compiled(pattern).match(path))


def _class(body: str) -> str:
    if len(body) == 3 and body[1] == "-":
        return f"{re.escape(body[0])}-{re.escape(body[2])}"
    return "".join(map(re.escape, body))


def _unreadable(pattern: str) -> Invalid:
    return Invalid(f"not a glob that Argo CD reads: {clean(pattern, limit=200)!r}")
