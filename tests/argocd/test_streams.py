"""Streams as a network and a stopping server break them; closing one closes its connection."""

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest

from backends.argocd.http import HttpArgoCD
from backends.argocd.types import WatchEvent
from backends.domain.ids import AppKey
from backends.errors import BackendError, Forbidden, NotFound, ProtocolError, TimedOut, Unauthorized, Unavailable
from tests.argocd.wire import Handler, Request, answering, client, head, raw, serving, stream_head

KEY = AppKey("argocd", "web")


def event(name: str, kind: str = "ADDED") -> bytes:
    return b"data: " + msgspec.json.encode({"result": {"type": kind, "application": {"metadata": {"name": name}}}}) + b" \n\n\n"


def names(events: list[WatchEvent | None]) -> list[str | None]:
    return [each.application.metadata.name if each else None for each in events]


async def watched(handler: Handler, **options: Any) -> list[WatchEvent | None]:
    async with serving(handler) as wire, client(wire.url) as argocd:
        return [each async for each in argocd.watch_applications(**options)]


async def broken(handler: Handler, **options: Any) -> tuple[list[str | None], BackendError]:
    """What came before a stream failed, and how it failed."""
    seen: list[WatchEvent | None] = []

    async def read(argocd: HttpArgoCD) -> None:
        async for each in argocd.watch_applications(**options):
            seen.append(each)

    async with serving(handler) as wire, client(wire.url) as argocd:
        with pytest.raises(BackendError) as caught:
            await read(argocd)
    return names(seen), caught.value


async def test_a_stream_is_asked_for_without_compression_and_by_its_exact_kind() -> None:
    async with serving(raw(stream_head())) as wire, client(wire.url) as argocd:
        assert [] == [each async for each in argocd.watch_applications(selector="tiphys.dev/workspace=acme")]
    request = wire.requests[0]

    assert ("text/event-stream", "identity") == (request.headers["accept"], request.headers["accept-encoding"])
    assert "tiphys.dev/workspace=acme" == dict(request.query)["selector"]
    fields = dict(request.query)["fields"].split(",")
    assert {"result.type", "result.application.metadata.namespace", "result.application.metadata.resourceVersion"} <= {*fields}
    assert "resourceVersion" not in dict(request.query)


async def test_an_end_is_an_end() -> None:
    assert ["a", None, "b"] == names(await watched(raw(stream_head() + event("a") + b":\n" + event("b"))))


async def test_half_a_line_at_the_end_was_cut() -> None:
    seen, error = await broken(raw(stream_head() + event("a") + event("b")[:40]))
    assert (["a"], Unavailable, True) == (seen, type(error), error.retryable)
    assert "cut in the middle of a message" in str(error)


async def test_a_whole_message_without_its_line_end_counts() -> None:
    assert ["a", "b"] == names(await watched(raw(stream_head() + event("a") + event("b").strip())))


async def test_characters_cut_in_half_between_packets_are_whole_again() -> None:
    data = event("größe-😀")
    pieces = [data[start : start + 1] for start in range(len(data))]
    assert ["größe-😀"] == names(await watched(raw(stream_head(), *pieces)))


async def test_a_line_of_a_megabyte_arrives() -> None:
    name = "x" * 1_000_000
    assert [name] == names(await watched(raw(stream_head() + event(name))))


@pytest.mark.parametrize(
    ("last", "error", "said"),
    [
        (b'{"error":{"grpc_code":14,"http_code":503,"message":"EOF","http_status":"Service Unavailable"}}', Unavailable, "EOF"),
        (b'data: {"error":{"grpc_code":16,"http_code":401,"message":"token expired"}} \n\n', Unauthorized, "token expired"),
        (b'data: {"error":{"http_code":404,"message":"gone"}} \n\n', NotFound, "gone"),
        (b'{"error":"permission denied","code":7,"message":"permission denied"}\n', Unavailable, "permission denied"),
        (b"data: {} \n\n", Unavailable, "without a reason"),
        (b"{}", Unavailable, "without a reason"),
        (b"data: not json \n\n", ProtocolError, "not whole JSON"),
        (b'data: {"result":{"application":{"metadata":{"name":5}}}}\n\n', ProtocolError, "name"),
    ],
)
async def test_the_servers_last_word_is_the_error(last: bytes, error: type[BackendError], said: str) -> None:
    seen, caught = await broken(raw(stream_head() + event("a") + last))
    assert (["a"], error) == (seen, type(caught))
    assert said in str(caught)
    assert "watch applications" == caught.operation


async def test_a_refusal_before_the_first_message_may_have_either_shape() -> None:
    unary = answering({"error": "permission denied", "code": 7, "message": "permission denied"}, 403)
    chunk = answering({"error": {"grpc_code": 7, "http_code": 403, "message": "permission denied: logs"}}, 403)

    assert Forbidden is type((await broken(unary))[1])
    assert Forbidden is type((await broken(chunk))[1])


async def test_a_stream_that_a_proxy_turned_into_json_lines_is_read() -> None:
    lines = b'{"result":{"type":"ADDED","application":{"metadata":{"name":"a"}}}}\n'
    assert ["a"] == names(await watched(raw(head(content_type="application/json", connection="close") + lines)))


async def test_a_reset_in_the_middle_is_unavailable() -> None:
    async def reset(_request: Request, writer: Any) -> None:
        writer.write(stream_head() + event("a"))
        await writer.drain()
        writer.transport.abort()

    async with serving(reset) as wire, client(wire.url) as argocd:
        seen: list[Any] = []
        with contextlib.suppress(Unavailable):  # an abort may reach us as a reset or as an end
            async for each in argocd.watch_applications():
                seen.append(each)
    assert len(seen) <= 1


async def test_a_chunked_stream_that_ends_without_its_last_chunk_is_an_error() -> None:
    data = event("a")
    chunk = f"{len(data):x}\r\n".encode() + data + b"\r\n"
    seen, error = await broken(raw(head(content_type="text/event-stream", transfer_encoding="chunked") + chunk))
    assert (["a"], True) == (seen, error.retryable)


async def test_a_stream_may_be_silent_before_its_head_for_longer_than_any_answer() -> None:
    ready = asyncio.Event()

    async def slow(_request: Request, writer: Any) -> None:
        await ready.wait()
        writer.write(stream_head() + event("a"))
        await writer.drain()
        writer.close()

    from backends.argocd.endpoint import Timeouts

    async with serving(slow) as wire, client(wire.url, timeouts=Timeouts(first_byte=0.01, read=0.01, total=0.01)) as argocd:
        stream = argocd.watch_applications()
        first = asyncio.ensure_future(anext(stream))
        done, _ = await asyncio.wait({first}, timeout=0.1)
        assert not done
        ready.set()
        assert "a" == names([await first])[0]
        await stream.aclose()


async def test_silence_beyond_the_given_limit_is_timed_out() -> None:
    async def quiet(_request: Request, writer: Any) -> None:
        writer.write(stream_head() + b":\n")
        await writer.drain()
        await asyncio.Event().wait()

    seen, error = await broken(quiet, read=0.05)
    assert ([None], TimedOut) == (seen, type(error))


async def endless(_request: Request, writer: Any) -> None:
    writer.write(stream_head() + event("a"))
    await writer.drain()
    await asyncio.Event().wait()


async def test_closing_a_stream_closes_its_connection() -> None:
    async with serving(endless) as wire, client(wire.url) as argocd:
        stream = argocd.watch_applications()
        await anext(stream)
        assert not wire.closed.is_set()
        await stream.aclose()
        await asyncio.wait_for(wire.closed.wait(), 5)


async def test_cancelling_who_reads_closes_the_connection() -> None:
    async with serving(endless) as wire, client(wire.url) as argocd:
        started = asyncio.Event()

        async def read() -> None:
            async for _ in argocd.watch_applications():
                started.set()

        task = asyncio.ensure_future(read())
        await asyncio.wait_for(started.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(wire.closed.wait(), 5)


async def test_rows_are_asked_for_narrowly_and_marked_partial() -> None:
    handler = raw(stream_head() + event("a"))
    async with serving(handler) as wire, client(wire.url) as argocd:
        rows = [each async for each in argocd.watch_applications(rows=True)]
    async with serving(handler) as second, client(second.url) as argocd:
        whole = [each async for each in argocd.watch_applications()]

    assert (True, False) == (rows[0].application.partial, whole[0].application.partial)
    assert "history" not in dict(wire.requests[0].query)["fields"]
    assert "history" in dict(second.requests[0].query)["fields"]


async def test_a_tree_is_watched_by_its_own_path() -> None:
    handler = raw(stream_head() + b'data: {"result":{"nodes":[{"kind":"Pod"}]}} \n\n\n')
    async with serving(handler) as wire, client(wire.url) as argocd:
        trees = [tree async for tree in argocd.watch_tree(KEY, project="dev")]
    assert ["Pod"] == [node.kind for node in trees[0].nodes]
    assert "/api/v1/stream/applications/web/resource-tree" == wire.requests[0].path
    assert [("appNamespace", "argocd"), ("project", "dev")] == wire.requests[0].query


def line(content: str, *, last: bool = False) -> bytes:
    return b"data: " + msgspec.json.encode({"result": {"content": content, "podName": "p", "timeStampStr": "t", "last": last}}) + b" \n\n\n"


async def test_logs_end_with_the_container() -> None:
    handler = raw(stream_head() + line("one") + b":\n" + line("") + line("two") + line("", last=True) + line("never"))
    async with serving(handler) as wire, client(wire.url) as argocd:
        assert ["one", "", "two"] == [each.content async for each in argocd.logs(KEY, follow=True)]
        options = dict(wire.requests[0].query)
    assert "true" == options["follow"]
    assert "previous" not in options


async def test_followed_logs_that_end_before_the_container_say_so() -> None:
    async with serving(raw(stream_head() + line("one"))) as wire, client(wire.url) as argocd:
        with pytest.raises(Unavailable, match="ended before the container did"):
            _ = [each async for each in argocd.logs(KEY, follow=True)]
        assert ["one"] == [each.content async for each in argocd.logs(KEY, previous=True, tail=3, container="c")]
    assert {"previous": "true", "tailLines": "3", "container": "c"}.items() <= dict(wire.requests[1].query).items()


async def test_no_pods_are_no_lines() -> None:
    async with serving(raw(stream_head())) as wire, client(wire.url) as argocd:
        assert [] == [each async for each in argocd.logs(KEY, follow=True)]
