"""What a network, a proxy or a wrong address makes of a call: each its own error, and no token where it does not belong."""

import asyncio
import gzip
import socket
from typing import Any

import pytest

from backends.argocd.endpoint import Timeouts
from backends.argocd.failures import TooManyRequests
from backends.errors import BackendError, Forbidden, ProtocolError, TimedOut, Unauthorized, Unavailable
from backends.secret import Secret
from tests.argocd.wire import TOKEN, Handler, Request, answering, client, head, raw, serving

VERSION = b'{"Version":"v3.5.1"}'


async def failure(handler: Handler, timeouts: Timeouts | None = None, **options: Any) -> BackendError:
    """The error of one read."""
    more = {"timeouts": timeouts} if timeouts else {}
    async with serving(handler) as wire, client(wire.url, **more, **options) as argocd:
        with pytest.raises(BackendError) as caught:
            await argocd.version()
    return caught.value


def page(title: str, body: str = "") -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>"


async def test_gzip_is_unpacked() -> None:
    handler = answering(gzip.compress(VERSION), content_encoding="gzip")
    async with serving(handler) as wire, client(wire.url) as argocd:
        assert "v3.5.1" == (await argocd.version()).version


async def test_loopback_is_asked_for_plain_bytes() -> None:
    async with serving(answering(VERSION)) as wire, client(wire.url) as argocd:
        await argocd.version()
    assert "identity" == wire.requests[0].headers["accept-encoding"]


@pytest.mark.parametrize("body", [gzip.compress(VERSION, mtime=0)[:-6] + b"\0" * 6, b"not gzip at all", b"\x1f\x8b\x08" + b"\xff" * 20])
async def test_damaged_gzip_is_a_protocol_error(body: bytes) -> None:
    error = await failure(answering(body, content_encoding="gzip"))
    assert (ProtocolError, True) == (type(error), error.retryable)
    assert "gzip is damaged" in str(error)


async def test_truncated_gzip_is_not_whole() -> None:
    assert ProtocolError is type(await failure(answering(gzip.compress(VERSION * 1000)[:40], content_encoding="gzip")))


async def test_json_that_is_cut_off_is_a_protocol_error_that_may_be_tried_again() -> None:
    error = await failure(answering(b'{"Version":"v3.'))
    assert (ProtocolError, True) == (type(error), error.retryable)
    assert "not whole JSON" in str(error)


async def test_a_body_shorter_than_announced_was_cut_off() -> None:
    error = await failure(raw(head(content_type="application/json", content_length="500") + b'{"Vers'))
    assert (ProtocolError, True) == (type(error), error.retryable)
    assert "cut off" in str(error)


async def test_a_chunked_body_without_its_end_was_cut_off() -> None:
    error = await failure(raw(head(content_type="application/json", transfer_encoding="chunked") + b'5\r\n{"Ver\r\n'))
    assert ProtocolError is type(error)


@pytest.mark.parametrize(
    ("status", "title", "body", "error", "said"),
    [
        (200, "Welcome", "", ProtocolError, "a web page answered (HTTP 200, “Welcome”)"),
        (200, "Argo CD", "<div id=app>", ProtocolError, "Argo CD's own web interface"),
        (200, "Sign in to Example", "", Unauthorized, "a login page is before Argo CD"),
        (200, "Example", '<input type="password">', Unauthorized, "a login page is before Argo CD"),
        (401, "401 Authorization Required", "", Unauthorized, "a login page"),
        (403, "403 Forbidden", "", Forbidden, "something before Argo CD refuses"),
        (404, "404 Not Found", "", ProtocolError, "where Argo CD was expected"),
        (429, "Slow down", "", TooManyRequests, "too many requests"),
        (500, "Oops", "", Unavailable, "a proxy cannot reach Argo CD"),
        (502, "502 Bad Gateway", "", Unavailable, "a proxy cannot reach Argo CD"),
        (503, "503", "", Unavailable, "a proxy cannot reach Argo CD"),
        (504, "504 Gateway Time-out", "", TimedOut, "a proxy got no answer"),
    ],
)
async def test_a_page_of_a_proxy_says_whose_it_is(status: int, title: str, body: str, error: type[BackendError], said: str) -> None:
    caught = await failure(answering(page(title, body), status, "text/html; charset=utf-8"))
    assert error is type(caught)
    assert said in str(caught)


async def test_a_page_that_calls_itself_json_is_told_from_json() -> None:
    caught = await failure(answering(page("Proxy says no"), 502, "application/json"))
    assert Unavailable is type(caught)


async def test_the_title_of_a_page_is_cleaned() -> None:
    caught = await failure(answering(page("\x1b]52;c;x\x07 evil\u202e title"), 200, "text/html"))
    assert not [c for c in str(caught) if ord(c) < 32 or c == "\u202e"]
    assert "evil" in str(caught)


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, "Client sent an HTTP request to an HTTPS server.\n", ProtocolError, "speaks TLS and was asked without"),
        (400, "The plain HTTP request was sent to HTTPS port", ProtocolError, "speaks TLS and was asked without"),
        (407, "auth", Unauthorized, "the proxy wants a login"),
        (418, "I am a teapot", ProtocolError, "HTTP 418"),
        (502, "bad gateway", Unavailable, "HTTP 502"),
        (503, "", Unavailable, "HTTP 503"),
        (599, "strange", Unavailable, "HTTP 599"),
    ],
)
async def test_plain_refusals_are_told_by_their_status(status: int, body: str, error: type[BackendError], said: str) -> None:
    caught = await failure(answering(body, status, "text/plain"))
    assert error is type(caught)
    assert said in str(caught)


GRPC: list[tuple[int, int, str, type[BackendError]]] = [
    (408, 1, "canceled", Unavailable),
    (504, 4, "application refresh deadline exceeded", TimedOut),
    (409, 6, "already exists", BackendError),
    (409, 10, "the object has been modified", BackendError),
    (429, 8, "slow", TooManyRequests),
    (500, 13, "panic", BackendError),
    (501, 12, "unimplemented", ProtocolError),
    (503, 14, "connection refused", Unavailable),
]


@pytest.mark.parametrize(("status", "code", "text", "error"), GRPC)
async def test_the_grpc_code_decides(status: int, code: int, text: str, error: type[BackendError]) -> None:
    caught = await failure(answering({"error": text, "code": code, "message": text}, status))
    assert isinstance(caught, error)
    assert text in str(caught)
    assert (error in (TimedOut, Unavailable, TooManyRequests)) is caught.retryable


async def test_a_retry_after_is_kept_in_seconds() -> None:
    caught = await failure(answering({"error": "slow", "code": 8, "message": "slow"}, 429, retry_after="7"))
    assert isinstance(caught, TooManyRequests)
    assert (7.0, "again in 7 s") == (caught.retry_after, caught.hint)


async def test_an_answer_over_the_servers_own_limit_is_not_tried_again() -> None:
    text = "grpc: received message larger than max (300 vs. 200)"
    caught = await failure(answering({"error": text, "code": 8, "message": text}, 429))
    assert (Unavailable, False) == (type(caught), caught.retryable)
    assert "ARGOCD_GRPC_MAX_SIZE_MB" in caught.hint


async def test_a_refused_token_says_where_it_came_from() -> None:
    caught = await failure(answering({"error": "invalid session", "code": 16, "message": "invalid session"}, 401))
    assert "get the version: the token of the test is not accepted (invalid session)" == str(caught)


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}") as argocd:
            with pytest.raises(Unavailable, match=f"nobody listens at 127.0.0.1:{port}"):
                await argocd.version()


async def test_a_name_that_nobody_knows_is_unavailable() -> None:
    async with client("http://argocd.invalid") as argocd:
        with pytest.raises(Unavailable, match=r"the name of argocd.invalid:80 is not known"):
            await argocd.version()


async def test_no_answer_is_timed_out() -> None:
    async def silent(_request: Request, _writer: Any) -> None:
        await asyncio.Event().wait()

    caught = await failure(silent, Timeouts(first_byte=0.05))
    assert TimedOut is type(caught)
    assert "no answer within 0.05 s" in str(caught)


async def test_an_answer_that_stops_is_timed_out() -> None:
    async def stops(_request: Request, writer: Any) -> None:
        writer.write(head(content_type="application/json", content_length="100") + b'{"Ver')
        await asyncio.Event().wait()

    caught = await failure(stops, Timeouts(read=0.05))
    assert TimedOut is type(caught)
    assert "nothing came for 0.05 s (after 5 bytes)" in str(caught)


async def test_a_drip_that_never_stops_is_timed_out_too() -> None:
    async def drips(_request: Request, writer: Any) -> None:
        writer.write(head(content_type="application/json", transfer_encoding="chunked"))
        while True:
            writer.write(b"1\r\n \r\n")
            await asyncio.sleep(0.005)

    caught = await failure(drips, Timeouts(read=5, total=0.1))
    assert TimedOut is type(caught)
    assert "not whole within 0.1 s" in str(caught)


async def test_a_refusal_that_never_ends_is_told_all_the_same() -> None:
    async def endless(_request: Request, writer: Any) -> None:
        writer.write(head(503, "-", content_type="text/plain", transfer_encoding="chunked"))
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    assert Unavailable is type(await failure(endless))


async def test_a_reset_before_the_answer_is_unavailable_and_a_read_is_tried_twice() -> None:
    async with serving(raw()) as wire, client(wire.url) as argocd:
        with pytest.raises(Unavailable, match="closed the connection without an answer"):
            await argocd.version()
    assert 2 == len(wire.requests)


async def test_a_write_is_not_sent_twice() -> None:
    async with serving(raw()) as wire, client(wire.url) as argocd:
        with pytest.raises(Unavailable):
            await argocd.create_project({"metadata": {"name": "p"}})
    assert 1 == len(wire.requests)


async def test_something_else_than_http_is_a_protocol_error() -> None:
    caught = await failure(raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"))
    assert ProtocolError is type(caught)
    assert "does not speak HTTP" in str(caught)


async def test_an_answer_of_strange_kind_is_a_protocol_error() -> None:
    caught = await failure(answering(b"\x00\x01\x02", content_type="application/octet-stream"))
    assert ProtocolError is type(caught)
    assert "not JSON but application/octet-stream" in str(caught)


@pytest.mark.parametrize(
    ("location", "error", "said"),
    [
        ("/login?return_url=x", Unauthorized, "a login page is before Argo CD"),
        ("https://sso.example.org/oauth2/authorize?client_id=secret-state", Unauthorized, "https://sso.example.org/oauth2/authorize"),
        ("/argo-cd/api/version", ProtocolError, "/argo-cd/api/version"),
        ("https://other.example.org/api/version", ProtocolError, "https://other.example.org/api/version"),
        ("ftp://x/", ProtocolError, "ftp://x/"),
        ("https://127.0.0.1/api/version", ProtocolError, "redirected (HTTP 302) to https://127.0.0.1/api/version"),  # another port
    ],
)
async def test_a_redirect_is_told_and_not_followed(location: str, error: type[BackendError], said: str) -> None:
    async def handler(_request: Request, writer: Any) -> None:
        writer.write(head(302, "Found", location=location, content_length="0"))

    async with serving(handler) as wire, client(wire.url) as argocd:
        with pytest.raises(error) as caught:
            await argocd.version()

    assert said in str(caught.value)
    assert "secret-state" not in str(caught.value)
    assert 1 == len(wire.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_gets_no_token_and_no_header(status: int) -> None:
    async with serving(answering(VERSION)) as other:

        async def handler(_request: Request, writer: Any) -> None:
            writer.write(head(status, "-", location=f"{other.url}/api/version", content_length="0"))

        async with serving(handler) as wire, client(wire.url, headers=(("X-Api-Key", Secret("canary-header")),)) as argocd:
            with pytest.raises(ProtocolError, match=f"redirected .* to {other.url}"):
                await argocd.version()

    assert "canary-header" == wire.requests[0].headers["x-api-key"]
    assert [] == other.requests


async def test_a_sync_is_not_sent_along_a_redirect() -> None:
    async def handler(request: Request, writer: Any) -> None:
        location = f"https://{request.headers['host']}{request.target}"
        writer.write(head(307, "-", location=location, content_length="0"))

    async with serving(handler) as wire, client(wire.url) as argocd:
        with pytest.raises(ProtocolError, match="redirected") as caught:
            await argocd.create_project({})
    assert caught.value.hint.startswith("https:// in the address")
    assert 1 == len(wire.requests)


async def test_a_path_prefix_stands_before_every_call() -> None:
    async with serving(answering(VERSION)) as wire, client(f"{wire.url}/tools/argo-cd/") as argocd:
        await argocd.version()
        assert f"{wire.url}/tools/argo-cd" == argocd.url
    assert "/tools/argo-cd/api/version" == wire.requests[0].path


async def test_names_with_slashes_and_colons_stay_one_part_of_the_path() -> None:
    from backends.domain.ids import AppKey

    async with serving(answering({})) as wire, client(wire.url) as argocd:
        await argocd.revision_metadata(AppKey("a/b", "x/../y:z"), "refs/heads/ü %2F+", project="p&q=1")
    assert "/api/v1/applications/x%2F..%2Fy%3Az/revisions/refs%2Fheads%2F%C3%BC%20%252F%2B/metadata" == wire.requests[0].path
    assert [("appNamespace", "a/b"), ("project", "p&q=1")] == wire.requests[0].query


async def test_the_server_gets_no_cookie_back() -> None:
    async with serving(answering(VERSION, set_cookie="argocd.token=abc; path=/")) as wire, client(wire.url) as argocd:
        await argocd.version()
        await argocd.version()
    assert "cookie" not in wire.requests[1].headers
    assert f"Bearer {TOKEN}" == wire.requests[1].headers["authorization"]
