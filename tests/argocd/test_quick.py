"""The quick list: the same rows as the whole client's, or a word that it takes the whole client."""

import asyncio
import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.argocd import quick
from backends.argocd.auth import FixedToken, Login
from backends.argocd.endpoint import Endpoint, Timeouts
from backends.argocd.quick import NotPlain
from backends.argocd.types import Application
from backends.secret import Secret
from tests.argocd.wire import TOKEN, Handler, Request, answering, client, head, raw, serving

LIST = msgspec.json.encode({"items": [{"metadata": {"name": f"app-{n}", "labels": {"x": "y" * 500}}} for n in range(700)]})


def listing(body: bytes = LIST, **headers: str) -> Handler:
    """A server with a version and one list."""

    async def handler(request: Request, writer: Any) -> None:
        if request.path.endswith("/api/version"):
            await answering({"Version": "v3.5.0"})(request, writer)
        else:
            await answering(body, **headers)(request, writer)

    return handler


async def quickly(endpoint: Endpoint, **options: Any) -> list[Application]:
    return await asyncio.to_thread(lambda: [app for batch in quick.list_applications(endpoint, **options) for app in batch])


def endpoint_of(url: str, **options: Any) -> Endpoint:
    source = FixedToken(Secret(TOKEN))
    return Endpoint(url=url, timeouts=Timeouts(connect=5, first_byte=5), **{"token": source, **options})


async def test_the_rows_are_those_of_the_whole_client_and_so_is_the_request() -> None:
    async with serving(listing()) as wire:
        rows = await quickly(
            endpoint_of(f"{wire.url}/argo", headers=(("X-Team", Secret("a")),)), selector="a=b", projects=["p", "q"], name="n"
        )
        async with client(f"{wire.url}/argo", headers=(("X-Team", Secret("a")),)) as argocd:
            whole = await argocd.list_applications(selector="a=b", projects=["p", "q"], name="n")

    assert list(whole) == rows
    assert 700 == len(rows)
    ours, theirs = wire.requests[:2], wire.requests[2:]
    assert [request.target for request in theirs] == [request.target for request in ours]
    for name in ("authorization", "x-team", "accept", "accept-encoding", "user-agent", "host"):
        assert [request.headers[name] for request in theirs] == [request.headers[name] for request in ours]


async def test_gzip_is_unpacked() -> None:
    async with serving(listing(gzip.compress(LIST), content_encoding="gzip")) as wire:
        assert 700 == len(await quickly(endpoint_of(wire.url)))


async def test_a_chunked_list_is_read() -> None:
    body = (
        b"".join(f"{len(LIST[n : n + 1000]):x}\r\n".encode() + LIST[n : n + 1000] + b"\r\n" for n in range(0, len(LIST), 1000))
        + b"0\r\n\r\n"
    )

    async def handler(request: Request, writer: Any) -> None:
        if request.path == "/api/version":
            await answering({"Version": "v3.5.0"})(request, writer)
        else:
            writer.write(head(content_type="application/json", transfer_encoding="chunked") + body)

    async with serving(handler) as wire:
        assert 700 == len(await quickly(endpoint_of(wire.url)))


HANDLERS: dict[str, Handler] = {
    "refused token": answering({"error": "x", "code": 16}, 401),
    "a page": answering("<html>", 200, "text/html"),
    "a redirect": raw(head(302, "Found", location="http://127.0.0.1:9/", content_length="0")),
    "no http": raw(b"SSH-2.0-x\r\n\r\n"),
    "no answer": raw(),
    "cut off": listing(LIST[:-5]),
    "cut off in the middle": listing(LIST[:150_000]),
    "cut off gzip": listing(gzip.compress(LIST)[:-20], content_encoding="gzip"),
    "damaged gzip": listing(b"\x1f\x8b\x08nonsense", content_encoding="gzip"),
    "strange packing": listing(LIST, content_encoding="br"),
    "no list": listing(b'{"items":[5]}'),
}


@pytest.mark.parametrize("case", HANDLERS)
async def test_whatever_is_not_plain_is_left_to_the_whole_client(case: str) -> None:
    async with serving(HANDLERS[case]) as wire:
        with pytest.raises(NotPlain):
            await quickly(endpoint_of(wire.url))


async def test_nothing_is_sent_where_a_login_or_a_proxy_is_needed() -> None:
    async with serving(listing()) as wire:
        for options in ({"token": Login("u", Secret("p"))}, {"proxy": Secret("http://127.0.0.1:9")}):
            with pytest.raises(NotPlain):
                await quickly(endpoint_of(wire.url, **options))
    assert [] == wire.requests


async def test_nobody_listening_and_silence_are_left_too(tmp_path: Path) -> None:
    async def silent(_request: Request, _writer: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(NotPlain):
        await quickly(endpoint_of("http://127.0.0.1:9"))
    async with serving(silent) as wire:
        with pytest.raises(NotPlain):
            await quickly(Endpoint(url=wire.url, timeouts=Timeouts(first_byte=0.05)))


def test_it_loads_neither_httpx_nor_asyncio() -> None:
    code = "import sys; import backends.argocd.quick; print([m for m in ('httpx', 'asyncio', 'http.client', 'ssl') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert "[]" == out.stdout.strip()


def test_the_client_loads_httpx_only_when_it_calls_and_never_its_command_line() -> None:
    code = """
import asyncio, sys
from backends.argocd.endpoint import Endpoint
from backends.argocd.http import connect
from backends.errors import BackendError
argocd = connect(Endpoint(url="http://127.0.0.1:9"))
print("httpx" in sys.modules)
async def call():
    try:
        await argocd.version()
    except BackendError:
        pass
asyncio.run(call())
print("httpx" in sys.modules, "click" in sys.modules, "rich" in sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ["False", "True False False"] == out.stdout.splitlines()
