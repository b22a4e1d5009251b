"""The messages of an open stream, out of bytes as they come: server-sent events, and JSON lines where a proxy changed the Accept header.

Argo CD sends `data: {json} ` and two or three line ends for a message, `:` lines to keep the connection alive, and an error as a last
line without an end. A small parser of ours because a keep-alive is news here (the feed is alive) and must not wait for a next event.
Not for what a message means: `streams`.
"""

from __future__ import annotations

from collections.abc import Iterator

from backends.errors import ProtocolError

LONGEST = 64 * 1024 * 1024
"""Bytes of one message. A tree of a large application is a few megabytes; endless lines are not Argo CD's."""


class Messages:
    """Cuts chunks of any size into messages: `bytes` of one JSON text, or None for a keep-alive."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """What is complete now. Raises `ProtocolError` when a message is longer than `LONGEST`."""
        self._line += chunk
        start = 0
        found: list[bytes | None] = []
        while True:
            end, width = self._line_end(max(start, self._searched))
            if end < 0:
                break
            line = bytes(self._line[start:end])
            start = self._searched = end + width
            found += self._take(line)
        del self._line[:start]
        self._searched = len(self._line) - (1 if self._line.endswith(b"\r") else 0)
        if len(self._line) + self._size > LONGEST:
            raise ProtocolError(
                f"a message of the stream is longer than {LONGEST // 2**20} MB", hint="ask who runs the proxy before Argo CD"
            )
        return found

    def finish(self) -> bytes:
        """What stands unfinished when the connection ends: an error's last line, half a message, or nothing."""
        rest = bytes(self._line).strip()
        payload = rest.removeprefix(b"data:").strip() if rest.startswith(b"data:") else rest
        return b"" if payload.startswith(b":") else b"\n".join([*self._data, payload]).strip()

    def _line_end(self, start: int) -> tuple[int, int]:
        """Where the next line ends and how wide its end is; -1 while that is not known (a CR at the very end may be half of CRLF)."""
        lf = self._line.find(b"\n", start)
        cr = self._line.find(b"\r", start, lf if lf >= 0 else len(self._line))
        if cr < 0:
            return lf, 1
        if cr + 1 == len(self._line):
            return -1, 0
        return cr, 2 if self._line[cr + 1] == 0x0A else 1

    def _take(self, line: bytes) -> Iterator[bytes | None]:
        if not line.strip():
            if self._data:
                message = b"\n".join(self._data)
                self._data.clear()
                self._size = 0
                yield message
        elif line.startswith(b":"):
            yield None
        elif line.startswith(b"{"):  # a line of JSON by itself: no server-sent event begins so
            yield line
        elif line.startswith(b"data:"):
            self._data.append(line[5:].strip())
            self._size += len(line)
