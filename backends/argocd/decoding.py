"""Bytes of an answer become typed values, whatever Go's encoder put where.

Strict and fast first (msgspec straight from the bytes); only what does not fit is read again patiently: explicit nulls stand for absent,
invalid UTF-8 and lone surrogates become the replacement character, times without a zone are UTC. Not for errors the server reports: those are `failures`.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from backends.argocd.types import Application
from backends.errors import ProtocolError
from backends.text import REPLACEMENT, clean

T = TypeVar("T")

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""An annotation that repeats the whole object, a kilobyte each: dropped."""
NOT_ARGOCD = "is that address an Argo CD, its path prefix included?"
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_ZONE = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?\Z")
_FREE_FORM = frozenset(("spec", "comparedTo"))
"""Below these a null is a value of somebody's (Helm values use it to unset a key)."""


def decode(data: bytes | msgspec.Raw, type_: type[T]) -> T:
    """One JSON text as a value of `type_`. Raises `ProtocolError` naming the field that does not fit, or that the text is cut off."""
    try:
        return decoder(type_).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _patiently(bytes(data), type_, error)


def application(data: bytes | msgspec.Raw, *, partial: bool = False) -> Application:
    """One Application, without the heavy annotation. Raises `ProtocolError`."""
    return lightened(decode(data, Application), partial=partial)


def lightened(one: Application, *, partial: bool = False) -> Application:
    """A fresh Application without what nobody reads, marked when it came by a row projection. Changes and returns the same object."""
    annotations = one.metadata.annotations
    if annotations and LAST_APPLIED in annotations:
        del annotations[LAST_APPLIED]
    if partial:
        msgspec.structs.force_setattr(one, "partial", True)
    return one


_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    """The decoder of a type, made once (some 50 µs each)."""
    found = _DECODERS.get(type_)
    if found is None:
        found = _DECODERS[type_] = msgspec.json.Decoder(type_)
    return found


def _patiently(data: bytes, type_: type[T], cause: Exception) -> T:
    import json

    try:
        loose = json.loads(data.decode("utf-8", "replace"), strict=False)
        return msgspec.convert(_mended(loose), type_)
    except ValueError as error:  # not JSON: json.JSONDecodeError; not the type: msgspec.ValidationError
        if isinstance(error, msgspec.ValidationError):
            raise ProtocolError(
                f"the answer does not have the shape of Argo CD's: {clean(str(error), limit=300)}", hint=NOT_ARGOCD
            ) from None
        raise ProtocolError(
            f"the answer is not whole JSON ({len(data):,} bytes: {clean(str(cause), limit=200)})",
            hint="it was cut off or changed on the way: try again, and ask who runs the proxy if it goes on",
            retryable=True,
        ) from None
    except RecursionError:
        raise ProtocolError("the answer is nested too deeply to be Argo CD's", hint=NOT_ARGOCD) from None


def _mended(value: Any, *, drop_nulls: bool = True) -> Any:
    if isinstance(value, str):
        if value.isascii():
            return f"{value}Z" if _NO_ZONE.match(value) else value
        return _SURROGATE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {
            _mended(key): _mended(each, drop_nulls=drop_nulls and key not in _FREE_FORM)
            for key, each in value.items()
            if each is not None or not drop_nulls
        }
    if isinstance(value, list):
        return [_mended(each, drop_nulls=drop_nulls) for each in value if each is not None or not drop_nulls]
    return value
