"""A list of Applications read while it arrives, so that neither the body nor its text is ever held whole.

At 5,000 Applications the body is 5 to 10 MB and would be held twice; this holds a batch. Items are found by the text between them; where
that guess does not hold, the rest is kept and decoded at the end, so a strange server costs memory, never correctness.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from backends.argocd.decoding import application, decode, decoder, lightened
from backends.argocd.types import Application

BATCH = 128 * 1024
"""Bytes gathered before they are decoded: large enough that Python's own steps cost nothing, small enough to stay in the cache."""

_START = re.compile(rb'"items"\s*:\s*\[\s*')
_FIRST_KEY = re.compile(rb'\{\s*("[A-Za-z]+")\s*:')
_LOOK_FOR_START = 64 * 1024


class _Items(msgspec.Struct):
    items: list[msgspec.Raw] | None = None


class ApplicationListing:
    """Takes the chunks of one list answer, gives its Applications in batches.

    Args:
        partial: whether a row projection was asked for (marks each Application).
    """

    def __init__(self, *, partial: bool) -> None:
        self._partial = partial
        self._buffer = bytearray()
        self._borders: tuple[bytes, ...] = ()
        self._in_items = False
        self._guessing = True

    def feed(self, chunk: bytes) -> list[Application]:
        """The Applications that are complete now (none until a batch is)."""
        self._buffer += chunk
        if not self._guessing or len(self._buffer) < BATCH:
            return []
        if not self._in_items and not self._start():
            return []
        return self._complete()

    def finish(self) -> list[Application]:
        """The remaining Applications. Raises `ProtocolError` when the answer ends too early or is no list of Applications."""
        head = b'{"items":[' if self._in_items else b""
        rest = decode(head + bytes(self._buffer), _Items).items
        self._buffer.clear()
        return [application(raw, partial=self._partial) for raw in rest or ()]

    def _start(self) -> bool:
        start = _START.search(self._buffer, 0, _LOOK_FOR_START)
        first = _FIRST_KEY.match(self._buffer, start.end()) if start else None
        if start is None or first is None:
            self._guessing = False
            return False
        self._borders = (b"},{" + first[1], b"}, {" + first[1])
        del self._buffer[: start.end()]
        self._in_items = True
        return True

    def _complete(self) -> list[Application]:
        at = max(self._buffer.rfind(border) for border in self._borders)
        if at < 0:
            return []
        batch = b"[" + bytes(self._buffer[: at + 1]) + b"]"
        try:
            found = [lightened(one, partial=self._partial) for one in decoder(list[Application]).decode(batch)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = self._one_by_one(batch)
        if found:
            del self._buffer[: self._buffer.index(b"{", at + 1)]
        return found

    def _one_by_one(self, batch: bytes) -> list[Application]:
        try:
            raws = decoder(list[msgspec.Raw]).decode(batch)
        except msgspec.DecodeError:  # the border was inside an item
            self._guessing = False
            return []
        return [application(raw, partial=self._partial) for raw in raws]


def applications(data: bytes, *, partial: bool) -> Iterator[Application]:
    """The Applications of a list answer that is there whole. Raises `ProtocolError`."""
    listing = ApplicationListing(partial=partial)
    yield from listing.feed(data)
    yield from listing.finish()
