"""Edits of a YAML text by splice: one key is set or removed, and every other byte stays, comments, order, quoting and line ends included.

Round-trip libraries do not keep bytes (one changed integer in 45 lines: six hunks). Each function takes and gives text; `values` reads the
result again and compares it with what was wanted, so a splice that a strange layout leads astray is refused, never written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from backends.errors import Invalid
from backends.gitops.keys import KeyPath, key_text
from backends.gitops.marks import Shape, Span, column, extent, line_end, line_start, spans
from backends.gitops.quoting import flow, in_style, key
from backends.text import clean


def set_value(text: str, steps: KeyPath, value: Any, *, order: Sequence[str] = ()) -> str:
    """The text with the value at `steps` set; missing keys are added after the last one of their mapping.

    Args:
        value: a scalar, or a list or mapping, which is written on one line.
        order: top-level keys in the order of the file's format; a new one goes to its place among them.

    Raises `Invalid` where the way leads through something else than mappings and lists, or would replace a mapping by a value.
    """
    root = spans(text)
    if root is None or (root.is_null and root.start == root.end):
        return _appended(text, _block(steps, value, 0, 2))
    node, in_flow, above = root, root.flow, None
    for depth, step in enumerate(steps):
        position = node.child(step)
        if position is None:
            if node.is_empty:
                return _filled(text, node, above, steps[depth:], value, in_flow=in_flow)
            return _inserted(text, node, steps, depth, value, order=order if depth == 0 else ())
        above = node.keys[position] if node.shape is Shape.MAPPING else None
        in_flow = in_flow or node.flow
        node = node.items[position]
    return _replaced(text, node, above, steps, value, in_flow=in_flow)


def remove(text: str, steps: KeyPath) -> str:
    """The text without the key or item at `steps`; unchanged when it is not there. What is left empty becomes `{}` or `[]`."""
    node = spans(text)
    above = None
    for depth, step in enumerate(steps):
        position = node.child(step) if node is not None else None
        if node is None or position is None:
            return text
        if depth == len(steps) - 1:
            return _without(text, node, position, above)
        above = node.keys[position] if node.shape is Shape.MAPPING else None
        node = node.items[position]
    return text


def newline(text: str) -> str:
    """How this text ends its lines."""
    return "\r\n" if "\r\n" in text else "\n"


def _replaced(text: str, node: Span, above: Span | None, steps: KeyPath, value: Any, *, in_flow: bool) -> str:
    compound = isinstance(value, list | dict)
    if node.tagged:
        raise Invalid(f"{_named(steps)} has an explicit tag: edit it by hand")
    if node.shape in (Shape.MAPPING, Shape.SEQUENCE) and not node.is_empty and not compound:
        hint = "name one of its keys, or remove it first (KEY-)"
        raise Invalid(f"{_named(steps)} is {node.shape.value}, not a single value", hint=hint)
    if node.shape in (Shape.MAPPING, Shape.SEQUENCE) and not node.flow:
        return _flattened(text, node, above, steps, value)
    if node.shape is not Shape.SCALAR:
        return text[: node.start] + flow(value) + text[node.end :]
    prefix = re.match(r"(?:&\S+\s+)?", text[node.start : node.end]) if node.anchored else None
    start = node.start + (prefix.end() if prefix else 0)
    if node.start == node.end:  # `key:` with nothing after it
        written = flow(value)
        return f"{text[:start]} {written}{text[start:]}"
    style = None if node.is_null else node.style
    if style in ("|", ">"):
        end = extent(text, node)
        literal = _literal(text, node, value) if style == "|" else None
        return text[:start] + (literal if literal is not None else flow(value)) + text[end:]
    plain_null = node.is_null and isinstance(value, str)
    written = flow(value) if compound or plain_null else in_style(value, style, in_flow=in_flow)
    return text[:start] + written + text[node.end :]


def _literal(text: str, node: Span, value: Any) -> str | None:
    """Several lines in the literal block that stood there before; None when a literal block cannot hold them as they are."""
    if not isinstance(value, str) or "\n" not in value.rstrip("\n") or any(not line.isprintable() for line in value.split("\n")):
        return None
    lines = value.rstrip("\n").split("\n")
    body = re.search(r"\n([ ]+)\S", text[node.start : node.end])
    if body is None or lines[0][:1] in (" ", "") or value.endswith("\n\n"):
        return None
    return newline(text).join(["|" if value.endswith("\n") else "|-", *(f"{body[1]}{line}" if line else "" for line in lines)])


def _flattened(text: str, node: Span, above: Span | None, steps: KeyPath, value: Any) -> str:
    """A block list or mapping replaced by one line after its key; a comment behind the key stays."""
    if above is None:
        raise Invalid(f"{_named(steps)} cannot be replaced as a whole: edit it by hand")
    colon = text.index(":", above.end) + 1
    comment = text[colon : line_end(text, colon)].rstrip()
    if not re.match(r"\s*(#|\Z)", comment):
        raise Invalid(f"{_named(steps)} cannot be replaced as a whole: edit it by hand")
    return f"{text[:colon]} {flow(value)}{comment}{text[extent(text, node) :]}"


def _filled(text: str, node: Span, above: Span | None, steps: KeyPath, value: Any, *, in_flow: bool) -> str:
    """`{}`, `[]` or nothing gets its first entry: a block, where the text around it is in block style."""
    spot = text[node.start : node.end]
    if (in_flow and (above is not None or node.is_null)) or "#" in spot or node.anchored or node.tagged:
        return text[: node.start] + _one_line(steps, value) + text[node.end :]
    if node.start == node.end and text[node.start - 1 : node.start] == "-":
        return f"{text[: node.start]} {_one_line(steps, value)}{text[node.end :]}"
    own_column = column(text, above.start) if above is not None else 0
    start = line_start(text, node.start)
    if above is None and text[start : node.start].strip(" -"):
        return text[: node.start] + _one_line(steps, value) + text[node.end :]
    nl = newline(text)
    if above is None and not text[start : node.start].startswith("---"):
        lines = _block(steps, value, column(text, node.start), 2)
        return text[: node.start] + nl.join(lines).lstrip(" ") + text[node.end :]
    before = text[: node.start].rstrip(" ")
    lines = _block(steps, value, own_column + _step(text) if above is not None else 0, _step(text))
    rest = text[node.end :]
    cut = line_end(rest, 0)
    return before + rest[:cut] + nl + nl.join(lines) + rest[cut:]


def _inserted(text: str, node: Span, steps: KeyPath, depth: int, value: Any, *, order: Sequence[str]) -> str:
    """A key that is not there yet, or one more item of a list."""
    step, rest = steps[depth], steps[depth + 1 :]
    here = _named(steps[:depth]) if depth else "the file"
    if node.shape is Shape.ALIAS:
        raise Invalid(f"{here} is an alias of another key: edit that one, or write the values out")
    if node.shape is Shape.SCALAR or (node.shape is Shape.MAPPING) != isinstance(step, str):
        wanted = "a list: its items are named [0], [1] …" if node.shape is Shape.SEQUENCE else node.shape.value
        raise Invalid(f"{here} is {wanted}, so it has no {key_text((step,)) if isinstance(step, str) else f'item {step}'}")
    if isinstance(step, int) and step != len(node.items):
        raise Invalid(f"{here} has {len(node.items)} items: the next one is [{len(node.items)}]")
    nl, last = newline(text), node.items[-1]
    if node.flow:
        at = extent(text, last)
        entry = _one_line((step, *rest), value)[1:-1]
        return f"{text[:at]}, {entry}{text[at:]}"
    indent = column(text, node.keys[0].start if node.keys else node.start)
    lines = _block((0 if isinstance(step, int) else step, *rest), value, indent, _step(text))
    later = (
        [n for n, k in enumerate(node.keys) if k.value in order and order.index(k.value) > order.index(str(step))] if step in order else []
    )
    if later:
        at = line_start(text, node.keys[later[0]].start)
        return text[:at] + nl.join(lines) + nl + text[at:]
    at = line_end(text, extent(text, last))
    return text[:at] + nl + nl.join(lines) + text[at:]


def _without(text: str, node: Span, position: int, above: Span | None) -> str:
    keyed = node.shape is Shape.MAPPING
    first = node.keys[position] if keyed else node.items[position]
    end = extent(text, node.items[position])
    if len(node.items) == 1:
        return _emptied(text, node, first, end, above)
    if node.flow:
        return _without_flow(text, node, position, first, end)
    start = first.start if keyed else _dash(text, node, position)
    line = line_start(text, start)
    if text[line:start].strip(" "):  # the first entry of a mapping or list that begins behind a dash
        following = node.keys[position + 1].start if keyed else _dash(text, node, position + 1)
        return text[:start] + text[following:]
    cut = line_end(text, end)
    if cut < len(text):
        return text[:line] + text[cut + (2 if text[cut] == "\r" else 1) :]
    return text[: line_end(text, line_start(text, line - 1))] if line else ""


def _without_flow(text: str, node: Span, position: int, first: Span, end: int) -> str:
    following = (node.keys or node.items)[position + 1].start if position + 1 < len(node.items) else None
    if following is not None and "#" not in text[end:following]:
        return text[: first.start] + text[following:]
    before = extent(text, node.items[position - 1]) if position else None
    if before is not None and "#" not in text[before : first.start]:
        return text[:before] + text[end:]
    comma = re.match(r"\s*,?", text[end:])
    return text[: first.start] + text[end + (comma.end() if comma else 0) :]


def _emptied(text: str, node: Span, first: Span, end: int, above: Span | None) -> str:
    """The last entry goes: `{}` or `[]` stays, since a key without a value would be null, which deletes a chart's default."""
    empty = "{}" if node.shape is Shape.MAPPING else "[]"
    if node.flow:
        return text[: node.start] + empty + text[node.end :]
    start = first.start if node.shape is Shape.MAPPING else node.start
    line = line_start(text, start)
    colon = text.index(":", above.end) + 1 if above is not None else 0
    if above is None or text[line:start].strip(" ") or text[colon:line].count("\n") != 1:
        return text[:start] + empty + text[end:]
    cut = line_end(text, end)
    after = text[cut + (2 if text[cut] == "\r" else 1) :] if cut < len(text) else ""
    between = text[colon:line]
    if cut == len(text):
        between = between.rstrip("\r\n")
    return f"{text[:colon]} {empty}{between}{after}"


def _dash(text: str, node: Span, position: int) -> int:
    """Where the dash of a block list's item stands."""
    if position == 0:
        return node.start
    indent = column(text, node.start)
    found = re.compile(rf"(?m)^ {{{indent}}}(?=-\s)").search(text, extent(text, node.items[position - 1]))
    if found is None:
        raise Invalid("a list whose layout cannot be edited in place: edit it by hand")
    return found.end()


def _appended(text: str, lines: list[str]) -> str:
    """Entries at the end of a text that has none yet: empty, comments only, `---`."""
    nl = newline(text)
    end = re.search(r"(?m)^\.\.\.\s*\Z", text)
    body, tail = (text[: end.start()], text[end.start() :]) if end else (text, "")
    if body and not body.endswith("\n"):
        body += nl
    return body + nl.join(lines) + nl + tail


def _block(steps: KeyPath, value: Any, indent: int, step: int) -> list[str]:
    """A value under its remaining keys as lines of a block."""
    lines, prefix = [], " " * indent
    for number, name in enumerate(steps):
        last = number == len(steps) - 1
        if isinstance(name, int):
            if name:
                raise Invalid(f"a new list begins with [0], not [{name}]")
            prefix += "- "
        else:
            prefix += f"{key(name)}:"
        if last:
            lines.append(f"{prefix}{'' if isinstance(name, int) else ' '}{flow(value)}")
        elif not isinstance(name, int):
            lines.append(prefix)
            indent += step
            prefix = " " * indent
        else:
            indent += 2
    return lines


def _one_line(steps: KeyPath, value: Any) -> str:
    for name in reversed(steps):  # an index was checked against the list that is there; only its entry is wanted here
        value = [value] if isinstance(name, int) else {name: value}
    return flow(value)


def _step(text: str) -> int:
    """How far this file indents: what its first nested line does."""
    found = re.search(r"(?m)^[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*( +)[^\s#-]", text)
    return len(found[1]) if found else 2


def _named(steps: KeyPath) -> str:
    return clean(key_text(steps), limit=120)
