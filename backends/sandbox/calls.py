"""One request to the sandbox's API and its answer, independent of the web server: parameters, who asks, errors in Argo CD's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from backends.sandbox.access import Claims

if TYPE_CHECKING:
    from backends.sandbox.sandbox import Sandbox

JSON = "application/json"
EVENTS = "text/event-stream"
_HTTP = {1: 408, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500, 14: 503, 16: 401}
_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_GRPC = {"Grpc-Metadata-Content-Type": "application/grpc"}


class ApiError(Exception):
    """A refusal: a gRPC code and its text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


DENIED = (7, "permission denied")
"""What everybody is told of an Application that is missing or not theirs to see."""


class Answer(NamedTuple):
    """A whole answer."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: Mapping[str, str] = _GRPC


class Wire(Protocol):
    """An answer that is written bit by bit; `begin` sends the headers."""

    async def begin(self, kind: str, headers: Mapping[str, str]) -> None: ...

    async def write(self, data: bytes) -> None: ...

    @property
    def begun(self) -> bool: ...


class Query:
    """Query parameters; repeated ones in order."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def get(self, name: str, default: str = "") -> str:
        return next((value for key, value in self._pairs if key == name), default)

    def all(self, *names: str) -> list[str]:
        return [value for key, value in self._pairs if key in names and value]

    def flag(self, name: str) -> bool:
        return self.get(name).lower() in ("true", "1", "t")

    def number(self, name: str) -> int | None:
        text = self.get(name)
        return int(text) if text.lstrip("-").isdigit() else None


class Call(NamedTuple):
    """One request."""

    sandbox: Sandbox
    claims: Claims | None
    path: Mapping[str, str]
    query: Query
    body: bytes
    accept: str
    wire: Wire

    @property
    def who(self) -> Claims:
        """Raises 401 where nobody is known."""
        if self.claims is None:
            raise ApiError(16, "no session information")
        return self.claims

    def json(self) -> Any:
        """The body; `{}` when there is none. Raises 400 with the decoder's words."""
        if not self.body.strip():
            return {}
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            raise ApiError(3, _syntax_error(self.body)) from None

    def object(self) -> dict[str, Any]:
        value = self.json()
        return value if isinstance(value, dict) else {}


def answer(value: Any) -> Answer:
    return Answer(msgspec.json.encode(value))


def error_answer(error: ApiError, *, stream: bool = False) -> Answer:
    """A refusal, unary or as a stream's first and last message."""
    status = _HTTP.get(error.code, 500)
    if stream:
        inner = {"grpc_code": error.code, "http_code": status, "message": error.message, "http_status": _REASONS.get(status, "")}
        return Answer(msgspec.json.encode({"error": inner}), status, headers={})
    return Answer(msgspec.json.encode({"error": error.message, "code": error.code, "message": error.message}), status, headers={})


def plain(status: int, text: str) -> Answer:
    return Answer(text.encode() + b"\n", status, "text/plain; charset=utf-8", {})


def _syntax_error(body: bytes) -> str:
    """What Go's decoder says of a broken object."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("{") and len(text) > 1 and text[1:].lstrip()[:1] not in ('"', "}"):
        return f"invalid character {text[1:].lstrip()[:1]!r} looking for beginning of object key string"
    if text.startswith(("{", "[")):
        return "unexpected EOF"
    return f"invalid character {text[:1]!r} looking for beginning of value"
