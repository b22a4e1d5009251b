"""From a document to a typed value: what does not fit is named with file, line, column and reason; unknown keys are warned about.

One function for every file. Which type a path has, and where the files lie, is `files`' and the layout's business.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

from backends.gitops.document import Document, Problem, refused
from backends.text import clean

T = TypeVar("T")
Path = tuple[str | int, ...]

_PLACE = re.compile(r" - at `(?:key in )?\$?(.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|(\[\.\.\.\])")


def decode(
    document: Document, kind: type[T], given: Mapping[str, Any] | None = None, *, open_ended: bool = False
) -> tuple[T, tuple[Problem, ...]]:
    """A document as a value of `kind`, and its warnings.

    Args:
        given: fields that the file does not hold (its name, from the path), by their names in the file.
        open_ended: the file is Kubernetes', not ours: keys that we do not know are none of our business.

    Raises `Invalid` with every place that does not fit.
    """
    data = {} if document.data is None else document.data
    info = _type_info(cast(Any, kind))
    if not isinstance(data, dict):
        raise refused(document.problem("a mapping of keys is expected here"))
    warnings = list(document.warnings)
    if not open_ended:
        hidden = frozenset(given or ())
        warnings += [
            document.problem(
                f"unknown key {clean(str(where[-1]), limit=60)!r}, kept as it is{_nearest(str(where[-1]), known)}",
                where,
                key=True,
                warning=True,
            )
            for where, known in _unknown(data, info, (), hidden)
        ]
    full = {**data, **given} if given else data
    try:
        return msgspec.convert(full, kind), tuple(warnings)
    except msgspec.ValidationError as error:
        raise refused(*_misfits(document, full, kind, error)) from None


def _misfits(document: Document, data: dict[str, Any], kind: type[Any], error: msgspec.ValidationError) -> list[Problem]:
    """Every top-level key that does not fit: each is tried alone, since msgspec stops at the first."""
    problems = []
    needed: frozenset[str] = _required(cast(Any, kind))
    base = {name: value for name, value in data.items() if name in needed}
    for name, value in data.items():
        try:
            msgspec.convert({**base, name: value}, kind)
        except msgspec.ValidationError as misfit:
            problem = _misfit(document, {name: value}, kind, misfit)
            if problem is not None and problem not in problems:
                problems.append(problem)
    return sorted(problems) or [document.problem(_sentence(error), _where(data, error))]


def _misfit(document: Document, data: dict[str, Any], kind: type[Any], error: msgspec.ValidationError) -> Problem | None:
    where = _where(data, error, kind)
    return document.problem(_sentence(error), where) if where and where[0] in data else None


def _where(data: Any, error: msgspec.ValidationError, kind: type[Any] | None = None) -> Path:
    """The path of an error. msgspec writes `[...]` for "some value of this mapping": each is tried until one gives the same error."""
    match = _PLACE.search(str(error))
    if not match:
        return ()
    steps = [name or (int(index) if index else None) for name, index, _any in _STEP.findall(match.group(1))]
    if None not in steps or kind is None:
        return tuple(step for step in steps if step is not None)
    return _concrete(data, steps, kind, str(error)) or tuple(steps[: steps.index(None)])  # type: ignore[arg-type]


def _concrete(data: Any, steps: list[str | int | None], kind: type[Any], message: str) -> Path:
    at = steps.index(None)
    before = steps[:at]
    holder = data
    for step in before:
        holder = holder[step]
    for name, value in holder.items() if isinstance(holder, dict) else ():
        alone = _replaced(data, before, {name: value})
        try:
            msgspec.convert(alone, kind)
        except msgspec.ValidationError as error:
            if str(error) == message:
                tried = [*before, name, *steps[at + 1 :]]
                return _concrete(alone, tried, kind, message) if None in tried else tuple(s for s in tried if s is not None)
    return ()


def _replaced(data: Any, steps: list[str | int | None], value: Any) -> Any:
    if not steps:
        return value
    head = steps[0]
    if isinstance(data, list) and isinstance(head, int):
        return [_replaced(item, steps[1:], value) if index == head else item for index, item in enumerate(data)]
    return {k: _replaced(v, steps[1:], value) if k == head else v for k, v in data.items()}


def _sentence(error: msgspec.ValidationError) -> str:
    text = _PLACE.sub("", str(error))
    for ours, plain in (
        ("`str`", "text"),
        ("`int`", "a whole number"),
        ("`bool`", "true or false"),
        ("`object`", "a mapping"),
        ("`array`", "a list"),
        ("`null`", "nothing"),
    ):
        text = text.replace(ours, plain)
    hint = ": quote it" if re.search(r"expected text.*, got (a whole number|true or false|`float`)", text, re.IGNORECASE) else ""
    return clean(f"{text[:1].lower()}{text[1:]}{hint}", limit=200)


def _unknown(data: Any, kind: inspect.Type, where: Path, hidden: frozenset[str]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Paths of keys that no field takes, with the names that would have been."""
    if isinstance(kind, inspect.UnionType):
        for option in kind.types:
            if not isinstance(option, inspect.NoneType):
                yield from _unknown(data, option, where, hidden)
    elif isinstance(kind, inspect.StructType) and isinstance(data, dict):
        fields = _fields(kind.cls)
        for name, value in data.items():
            if name not in fields or name in hidden:
                yield (*where, name), tuple(field for field in fields if field not in hidden)
            else:
                yield from _unknown(value, fields[name], (*where, name), frozenset())
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType) and isinstance(data, list):
        for index, value in enumerate(data):
            yield from _unknown(value, kind.item_type, (*where, index), frozenset())
    elif isinstance(kind, inspect.DictType) and isinstance(data, dict):
        for name, value in data.items():
            yield from _unknown(value, kind.value_type, (*where, name), frozenset())


@cache
def _type_info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


@cache
def _fields(kind: Any) -> dict[str, inspect.Type]:
    info = inspect.type_info(kind)
    return {field.encode_name: field.type for field in info.fields} if isinstance(info, inspect.StructType) else {}


@cache
def _required(kind: Any) -> frozenset[str]:
    info = inspect.type_info(kind)
    return frozenset(f.encode_name for f in info.fields if f.required) if isinstance(info, inspect.StructType) else frozenset()


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
