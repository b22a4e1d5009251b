"""Argo CD's glob patterns, in which `*` crosses `/`, and lists of them with `!` for "not"."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=2_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    out, index = "", 0
    depth = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "*":
            while pattern[index : index + 2] == "**":
                index += 1
            out += ".*"
        elif char == "?":
            out += "."
        elif char == "[" and "]" in pattern[index:]:
            end = pattern.index("]", index)
            out += "[" + pattern[index + 1 : end].replace("!", "^", 1).replace("\\", r"\\") + "]"
            index = end
        elif char == "{":
            out, depth = out + "(?:", depth + 1
        elif char == "}" and depth:
            out, depth = out + ")", depth - 1
        elif char == "," and depth:
            out += "|"
        else:
            out += re.escape(char)
        index += 1
    return re.compile(out + ")" * depth, re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """Whether a whole text fits a pattern; `!pattern` fits what the pattern does not."""
    if pattern.startswith("!"):
        return not matches(pattern[1:], text)
    return bool(_compiled(pattern).fullmatch(text))


def shell_matches(pattern: str, text: str) -> bool:
    """Go's `filepath.Match`, in which `*` and `?` end at a `/`."""
    out = "".join({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)) for char in pattern)
    return bool(re.fullmatch(out, text, re.DOTALL))
