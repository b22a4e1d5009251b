"""Kubernetes label selectors, as far as feeds use them: which Applications does a feed answer for?

A list is the truth about deletions only for what its selector would have shown, so the store asks the same question of the rows it holds.
Not a full parser: the grammar of `labels.Parse` without `>` and `<`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from backends.errors import Invalid
from backends.text import clean

Labels = Mapping[str, str]
Matches = Callable[[Labels], bool]

_REQUIREMENT = re.compile(
    r"""\s*(?:
        (?P<absent>!)\s*(?P<none>[\w./-]+)
      | (?P<key>[\w./-]+)\s*(?:
            (?P<sign>==|=|!=)\s*(?P<value>[\w.-]*)
          | \s(?P<set>in|notin)\s*\((?P<values>[\w.,\s-]*)\)
        )?
    )\s*(?:,|\Z)""",
    re.VERBOSE,
)


@lru_cache(maxsize=256)
def parse(selector: str) -> Matches:
    """A predicate on labels; "" selects everything. Raises `Invalid`."""
    requirements: list[Matches] = []
    position = 0
    while position < len(selector.rstrip()):
        found = _REQUIREMENT.match(selector, position)
        if found is None:
            raise Invalid(f"not a label selector: {clean(selector, limit=200)!r}", hint="key=value, key!=value, key in (a,b), key, !key")
        requirements.append(_requirement(found))
        position = found.end()
    return lambda labels: all(matches(labels) for matches in requirements)


def one_of(key: str, values: set[str]) -> str:
    """The selector text for `key` being one of some values."""
    return f"{key}={next(iter(values))}" if len(values) == 1 else f"{key} in ({','.join(sorted(values))})"


def _requirement(found: re.Match[str]) -> Matches:
    if found["absent"]:
        absent = found["none"]
        return lambda labels: absent not in labels
    key = found["key"]
    if found["sign"]:
        wanted = {found["value"]}
    elif found["set"]:
        wanted = {value.strip() for value in found["values"].split(",")}
    else:
        return lambda labels: key in labels
    if found["sign"] == "!=" or found["set"] == "notin":
        return lambda labels: labels.get(key) not in wanted
    return lambda labels: labels.get(key) in wanted
