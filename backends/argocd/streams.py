"""Argo CD's streams as async iterators: Applications, a resource tree, logs. One iterator is one connection.

Leaving one (break, cancel, `aclose`) closes its connection. An end without an error is an end: the server stops, a proxy has a limit.
Reconnecting and judging silence are `live.feeds`' work.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from backends.argocd.calls import Caller, app_path, app_query
from backends.argocd.connection import Call
from backends.argocd.decoding import decode, lightened
from backends.argocd.failures import from_stream
from backends.argocd.messages import Messages
from backends.argocd.projection import watch_fields
from backends.argocd.types import LogLine, ResourceTree, WatchEvent
from backends.domain.ids import AppKey
from backends.errors import BackendError, Unavailable

T = TypeVar("T")


class _Watched(msgspec.Struct):
    result: WatchEvent | None = None
    error: Any = None


class _Tree(msgspec.Struct):
    result: ResourceTree | None = None
    error: Any = None


class _Line(msgspec.Struct):
    result: LogLine | None = None
    error: Any = None


Message = _Watched | _Tree | _Line
M = TypeVar("M", _Watched, _Tree, _Line)


class Streams(Caller):
    """The streaming part of `http.HttpArgoCD`; what each stream means is told in `protocol`."""

    async def watch_applications(
        self,
        *,
        selector: str = "",
        name: str = "",
        projected: bool = True,
        rows: bool = False,
        read: float | None = None,
    ) -> AsyncGenerator[WatchEvent | None, None]:
        fields = watch_fields(rows=rows) if projected else ""
        query = tuple(pair for pair in (("selector", selector), ("name", name), ("fields", fields)) if pair[1])
        call = Call(operation="watch applications", target=name, path="/api/v1/stream/applications", query=query, stream=True, read=read)
        async with aclosing(self._messages(call, _Watched)) as messages:
            async for message in messages:
                if message is not None and message.result is not None:
                    lightened(message.result.application, partial=projected and rows)
                yield None if message is None else message.result

    async def watch_tree(self, key: AppKey, *, project: str = "", read: float | None = None) -> AsyncGenerator[ResourceTree | None, None]:
        call = Call(
            operation="watch the tree of",
            target=str(key),
            path=f"/api/v1/stream{app_path(key, 'resource-tree').removeprefix('/api/v1')}",
            query=app_query(key, project),
            stream=True,
            read=read,
        )
        async with aclosing(self._messages(call, _Tree)) as messages:
            async for message in messages:
                yield None if message is None else message.result

    async def logs(
        self,
        key: AppKey,
        *,
        project: str = "",
        pod: str = "",
        namespace: str = "",
        container: str = "",
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
    ) -> AsyncGenerator[LogLine, None]:
        """Ends when the container does. Raises `Unavailable` when lines that were followed end before the container."""
        options = (
            ("podName", pod),
            ("namespace", namespace),
            ("container", container),
            ("follow", "true" if follow else ""),
            ("previous", "true" if previous else ""),
            ("tailLines", "" if tail is None else str(tail)),
        )
        call = Call(
            operation="read the logs of", target=str(key), path=app_path(key, "logs"), query=app_query(key, project, *options), stream=True
        )
        if not follow:
            call = msgspec.structs.replace(call, read=self.connection.endpoint.timeouts.first_byte)
        seen = False
        async with aclosing(self._messages(call, _Line)) as messages:
            async for message in messages:
                if message is None or message.result is None:
                    continue
                if message.result.last and not message.result.content:
                    return
                seen = True
                yield message.result
        if follow and seen:
            raise Unavailable(
                "the log stream ended before the container did", operation=call.operation, target=call.target, hint="follow again"
            )

    async def _messages(self, call: Call, type_: type[M]) -> AsyncGenerator[M | None, None]:
        """Messages of a stream, each with a result; None for a keep-alive. Raises the error that the server sends as its last word."""
        parser = Messages()
        try:
            async with self.connection.open(call) as chunks:
                async for chunk in chunks:
                    for text in parser.feed(chunk):
                        yield None if text is None else self._with_result(text, type_)
                rest = parser.finish()
            if rest:
                yield self._last(rest, type_)
        except BackendError as error:
            error.operation, error.target = error.operation or call.operation, error.target or call.target
            raise

    def _with_result(self, text: bytes, type_: type[M]) -> M:
        message = decode(text, type_)
        if message.result is None:
            raise from_stream(message.error, self.connection.asked())
        return message

    def _last(self, text: bytes, type_: type[M]) -> M:
        """What stood without a line end when the connection closed: an error, a whole message, or half of one."""
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except msgspec.DecodeError:
            raise Unavailable("the stream was cut in the middle of a message") from None
        return self._with_result(text, type_)
