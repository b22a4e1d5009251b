"""The one place that decides how a scalar is written, so that YAML 1.1, YAML 1.2 and Go read the same.

Machine-owned files double-quote every string and leave keys bare; files of people keep the style that is there. PyYAML's own emitter is
not used: it writes `tag: 12345e2` bare, and helm reads a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backends.errors import Invalid
from backends.gitops.scalars import Kind, go, is_text_everywhere, pyyaml
from backends.text import clean

_SIMPLE = re.compile(r"[ !#-\[\]-~]*\Z")
_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")
_PLAIN = re.compile(r"[\w./][\w./@+-]*(?:[ :]?[\w./@+-]+)*\Z")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(text: str) -> str:
    """A double-quoted scalar. Everything that does not print is escaped, in escapes that every reader knows.

    Raises `Invalid` for half of a surrogate pair, which UTF-8 cannot hold.
    """
    if _SIMPLE.match(text):
        return f'"{text}"'
    return f'"{"".join(c if c.isprintable() and c not in _ESCAPES else _escaped(c) for c in text)}"'


def key(text: str) -> str:
    """A mapping key: bare where every reader takes it for text, else double-quoted."""
    return text if _BARE_KEY.match(text) and is_text_everywhere(text) else quoted(text)


def scalar(value: object) -> str:
    """A machine-owned scalar: text double-quoted; numbers, booleans and null in the one form that every reader types alike."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{e}{exponent}"
    raise Invalid(f"not a value for YAML: {clean(repr(value), limit=80)}")


def flow(value: Any) -> str:
    """A value on one line: `{kind: "production", clusters: ["eu-1"]}`."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key(str(k))}: {flow(v)}' for k, v in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"[{', '.join(flow(v) for v in value)}]"
    return scalar(value)


def in_style(value: object, style: str | None, *, in_flow: bool = False) -> str:
    """A scalar in the quoting that stood there before: `"`, `'`, or None for plain; double quotes where that style cannot hold it."""
    if not isinstance(value, str):
        return scalar(value)
    if style == "'" and value.isprintable():
        return "'{}'".format(value.replace("'", "''"))
    if style is None and is_plain(value, in_flow=in_flow):
        return value
    return quoted(value)


def is_plain(text: str, *, in_flow: bool = False) -> bool:
    """Whether a text may stand without quotes among people's values: nothing special in it, and text for PyYAML and Go alike."""
    if not _PLAIN.match(text) or (in_flow and ":" in text):
        return False
    return pyyaml(text).kind is Kind.STRING and go(text).kind is Kind.STRING


def _escaped(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    number = ord(c)
    if 0xD800 <= number <= 0xDFFF:
        raise Invalid("half of a surrogate pair cannot be written as UTF-8")
    if number <= 0xFF:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
