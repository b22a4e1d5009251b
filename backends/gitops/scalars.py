"""How the readers of YAML type one plain scalar: PyYAML (1.1), the core schema of YAML 1.2, and Go (helm, Argo CD).

They differ, and a value that one tool shows is then not the one that is deployed: `tag: 12345e2` is text for PyYAML and 1234500 for helm.
What Go does was read off Helm 4.2 (`values_from_yaml`), and a test holds this module against it. Not for quoting: that is `quoting`.
"""

from __future__ import annotations

import enum
import math
import re
from typing import Any, NamedTuple

from backends.text import clean

EXACT = 2**53
"""Helm passes numbers through JSON floats: a larger whole number is rounded."""

_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_LONGEST = 400
"""Characters of a number; the largest float has 309 digits."""
_WORDS = frozenset(word.lower() for word in (*_TRUE, *_FALSE, *_NULL)) | {"nan", "inf", "infinity"}
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_GO_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_PLAIN_WORD = re.compile(r"[A-Za-z_/][^\x00-\x1f]*\Z")
_AGREED_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][-+][0-9]+)?)?\Z|0x[0-9a-fA-F]+\Z")


class Kind(enum.StrEnum):
    """What a reader takes a scalar for."""

    NULL = "null"
    BOOL = "a boolean"
    NUMBER = "a number"
    TIME = "a time"
    STRING = "text"


class Typed(NamedTuple):
    """A scalar as a reader sees it; a time keeps its text."""

    kind: Kind
    value: bool | int | float | str | None

    def same(self, other: Typed) -> bool:
        """Whether two readers mean the same value; NaN equals NaN, 1.0 equals 1."""
        if self.kind != other.kind:
            return False
        if isinstance(self.value, float) and isinstance(other.value, float) and math.isnan(self.value):
            return math.isnan(other.value)
        return self.value == other.value


def go(text: str) -> Typed:
    """A plain scalar as Go reads it into JSON (sigs.k8s.io/yaml): 1.1's booleans, 1.2's octals and exponents, times as text."""
    first = text[:1]
    if first in "+-.0123456789" and first:
        return _go_number(text)
    if text in _NULL:
        return Typed(Kind.NULL, None)
    if text in _TRUE or text in _FALSE:
        return Typed(Kind.BOOL, text in _TRUE)
    return Typed(Kind.STRING, text)


def pyyaml(text: str) -> Typed:
    """A plain scalar as PyYAML's safe loader reads it."""
    import yaml

    resolver: Any = yaml.resolver.Resolver()
    tag = resolver.resolve(yaml.ScalarNode, text, (True, False)).rpartition(":")[2]
    if tag in ("int", "float") and len(text) > _LONGEST:
        return Typed(Kind.NUMBER, -math.inf if text[0] == "-" else math.inf)  # Python refuses to read more digits than 4,300
    if tag in ("int", "float"):
        node = yaml.ScalarNode(f"tag:yaml.org,2002:{tag}", text)
        constructor = yaml.constructor.SafeConstructor()
        number: int | float = constructor.construct_yaml_int(node) if tag == "int" else constructor.construct_yaml_float(node)
        return Typed(Kind.NUMBER, number)
    if tag == "bool":
        return Typed(Kind.BOOL, text in _TRUE)
    if tag == "null":
        return Typed(Kind.NULL, None)
    return Typed(Kind.TIME if tag == "timestamp" else Kind.STRING, text)


def agreed(text: str) -> Typed:
    """A scalar that somebody typed, as a value that every reader sees alike: what they read differently is text, to be quoted."""
    if text in ("true", "false"):
        return Typed(Kind.BOOL, text == "true")
    if text in ("null", "~"):
        return Typed(Kind.NULL, None)
    if _AGREED_NUMBER.match(text):
        number = _go_number(text)
        if isinstance(number.value, int | float) and abs(number.value) <= EXACT:
            return number
    return Typed(Kind.STRING, text)


def is_text_everywhere(text: str) -> bool:
    """Whether every reader takes this plain scalar for text: begins with a letter, `_` or `/`, and is no word such as `on` or `null`."""
    return bool(_PLAIN_WORD.match(text)) and text.lower() not in _WORDS


def difference(text: str) -> str:
    """How PyYAML and Go differ on a plain scalar, as a sentence; "" when they agree."""
    if is_text_everywhere(text):
        return ""
    ours, theirs = pyyaml(text), go(text)
    text = clean(text, limit=80)
    if ours.same(theirs):
        big = isinstance(theirs.value, int) and not isinstance(theirs.value, bool) and abs(theirs.value) > EXACT
        return f"{text} is too large a number for helm, which rounds it: quote it" if big else ""
    if ours.kind == theirs.kind:
        return f"{text} is {ours.value} for YAML 1.1 and {theirs.value} for helm and Argo CD: quote it"
    return f"{text} is {ours.kind} for YAML 1.1 and {theirs.kind} for helm and Argo CD: quote it"


def _go_number(text: str) -> Typed:
    plain = text if text[0] == "." else text.replace("_", "")
    if len(plain) <= _LONGEST and _GO_INT.match(plain):
        digits = plain.lstrip("+-")
        octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
        number = int(digits, 8) if octal else int(digits, 0)
        number = -number if plain[0] == "-" else number
        if -(2**63) <= number < 2**64:
            return Typed(Kind.NUMBER, number)
    if _NOT_A_NUMBER.match(plain):
        return Typed(Kind.NUMBER, float(plain.replace(".", "").lower()))
    if _FLOAT.match(plain):
        value = float(plain)
        if not math.isinf(value):
            return Typed(Kind.NUMBER, int(value) if value.is_integer() and abs(value) <= EXACT else value)
    return Typed(Kind.STRING, text)
