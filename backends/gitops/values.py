"""Edits of the values that people own: keys set and removed in place, then read again and compared with what was wanted."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from backends.errors import Conflict, Invalid
from backends.gitops.document import Document, Problem, read, refused
from backends.gitops.keys import KeyPath, parse_key
from backends.gitops.scalars import Kind, agreed
from backends.gitops.splices import remove, set_value
from backends.text import clean, is_one_line

Scalar = str | int | float | bool | None


class Was(msgspec.Struct, frozen=True):
    """What a key held when the plan was shown; another value there is a conflict."""

    value: Any = None
    absent: bool = False


class Edit(msgspec.Struct, frozen=True):
    """One key set to a value, or removed."""

    key: str
    value: Scalar = None
    remove: bool = False
    was: Was | None = None


def parse_edit(text: str) -> Edit:
    """`KEY=VALUE` or `KEY-`, as typed. VALUE is a YAML scalar: a number, boolean or null only where every reader agrees, else text.

    Quotes make anything text (`tag='"1.10"'`). Raises `Invalid`.
    """
    name, equals, value = _split(text)
    if not equals:
        if not text.endswith("-"):
            raise Invalid(f"neither KEY=VALUE nor KEY-: {clean(text, limit=120)!r}")
        parse_key(text[:-1])
        return Edit(text[:-1], remove=True)
    parse_key(name)
    return Edit(name, _scalar(value))


def edited(path: str, data: bytes, edits: Sequence[Edit]) -> bytes:
    """The file after the edits, in their order; the same bytes when it says all of that already.

    Raises `Invalid` (the file, a key, or a layout that cannot be edited in place) and `Conflict` (a key no longer holds what it did).
    """
    changes: list[tuple[KeyPath, Any, bool]] = []
    document = read(path, data)
    for edit in edits:
        steps = parse_key(edit.key)
        _check_was(path, document, edit, steps)
        changes.append((steps, edit.value, edit.remove))
    return spliced(path, data, changes)


def spliced(path: str, data: bytes, changes: Sequence[tuple[KeyPath, Any, bool]], *, order: Sequence[str] = ()) -> bytes:
    """The file with (key, value, remove?) applied; values may be lists and mappings, written on one line. Raises `Invalid`."""
    document = read(path, data)
    wanted = document.data if document.data is not None else {}
    text = document.text
    if not isinstance(wanted, dict):
        raise refused(document.problem("a mapping of keys is expected here"))
    for steps, value, removes in changes:
        found = _get(wanted, steps)
        if (found is _ABSENT) if removes else same(found, value):
            continue
        wanted = _without(wanted, steps) if removes else _with(wanted, steps, value)
        text = remove(text, steps) if removes else set_value(text, steps, value, order=order)
        _verify(path, text, wanted, steps)
    return text.encode()


def lookup(document: Document, steps: KeyPath) -> Was:
    """What a key holds now."""
    found = _get(document.data, steps)
    return Was(absent=True) if found is _ABSENT else Was(found)


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal and of one type: `1`, `1.0` and `true` are three things to a template."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


_ABSENT = object()


def _verify(path: str, text: str, wanted: Any, steps: KeyPath) -> None:
    """Read the result: it must say what was wanted and nothing else."""
    where = clean(".".join(map(str, steps)), limit=120)
    try:
        document = read(path, text.encode())
    except Invalid:
        raise refused(Problem(path, 0, 0, f"{where} cannot be edited in place here: edit the file by hand")) from None
    found = document.data if document.data is not None else {}
    if not same(found, wanted):
        reason = "the edit would change other keys too (an anchor or `<<`)" if "&" in text else "the layout there cannot be edited in place"
        raise refused(Problem(path, 0, 0, f"{where}: {reason}; edit the file by hand"))


def _check_was(path: str, document: Document, edit: Edit, steps: KeyPath) -> None:
    if edit.was is None:
        return
    now = lookup(document, steps)
    after = Was(absent=True) if edit.remove else Was(edit.value)
    if not _alike(now, edit.was) and not _alike(now, after):
        theirs = "removed it" if now.absent else f"set it to {clean(repr(now.value), limit=80)}"
        mine = "remove it" if edit.remove else f"set it to {clean(repr(edit.value), limit=80)}"
        raise Conflict(f"{clean(edit.key, limit=120)} in {path} was changed meanwhile: they {theirs}, you wanted to {mine}")


def _alike(one: Was, other: Was) -> bool:
    return one.absent == other.absent and same(one.value, other.value)


def _get(data: Any, steps: KeyPath) -> Any:
    for step in steps:
        fits = isinstance(data, list) and step < len(data) if isinstance(step, int) else isinstance(data, dict) and step in data
        if not fits:
            return _ABSENT
        data = data[step]
    return data


def _with(data: Any, steps: KeyPath, value: Any) -> Any:
    """A copy with one value set, containers made where nothing or null was."""
    if not steps:
        return copy.deepcopy(value)
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        items = list(data or [])
        items[step : step + 1] = [_with(items[step] if step < len(items) else None, rest, value)]
        return items
    keys = dict(data) if isinstance(data, dict) else {}
    keys[step] = _with(keys.get(step), rest, value)
    return keys


def _without(data: Any, steps: KeyPath) -> Any:
    step, rest = steps[0], steps[1:]
    changed = data.copy()
    if rest:
        changed[step] = _without(data[step], rest)
    else:
        del changed[step]
    return changed


def _split(text: str) -> tuple[str, bool, str]:
    """KEY and VALUE at the first `=` that no backslash escapes."""
    escaped = False
    for index, c in enumerate(text):
        if c == "=" and not escaped:
            return text[:index], True, text[index + 1 :]
        escaped = c == "\\" and not escaped
    return text, False, ""


def _scalar(text: str) -> Scalar:
    if not is_one_line(text):
        raise Invalid("a value is one line without control characters", hint="edit the file by hand for more")
    if text == "":
        return ""
    if text[0] in "'\"[{&*!|>%@`" or text.startswith("- "):
        data = read("VALUE", f"value: {text}\n".encode()).data["value"]
        if isinstance(data, list | dict) or text[0] not in "'\"":
            raise Invalid(f"not a single value: {clean(text, limit=80)!r}", hint="quote it to make it text")
        return str(data)
    typed = agreed(text)
    return text if typed.kind is Kind.STRING else typed.value
