"""Addresses, headers and proxies: what is taken, what is refused, and where a call goes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backends.argocd.endpoint import Endpoint, origin_of, parse_header, parse_url
from backends.argocd.projection import list_fields, parse_version, watch_fields
from backends.argocd.proxy import is_loopback, proxy_for
from backends.errors import BackendError, Invalid, Unauthorized, Unavailable
from backends.secret import Secret
from tests.argocd.wire import TOKEN, answering, client, serving


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://argocd.example.org", "https://argocd.example.org"),
        ("https://ArgoCD.Example.org:443/", "https://argocd.example.org"),
        ("http://argocd.example.org:80/x//y/", "http://argocd.example.org/x/y"),
        ("https://argocd.example.org:8443/tools/argo-cd/", "https://argocd.example.org:8443/tools/argo-cd"),
        ("argocd.example.org", "https://argocd.example.org"),
        ("argocd.example.org:8080/x", "https://argocd.example.org:8080/x"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("127.0.0.1:8080", "https://127.0.0.1:8080"),
    ],
)
def test_an_address_is_kept_in_one_writing(typed: str, kept: str) -> None:
    assert kept == Endpoint(url=typed).url


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "https://",
        "ftp://argocd.example.org",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://user:password@argocd.example.org",
        "https://token@argocd.example.org",
        "https://argocd.example.org?x=1",
        "https://argocd.example.org/#x",
        "https://argocd.example.org/../x",
        "https://argocd.example.org:port",
        "https://argocd.example.org:99999",
        "https://argo cd.example.org",
        "https://argocd.example.org\r\nX: y",
        "https://argocd.example.org\\@evil.example.org",
        "https://аrgocd.example.org",
        "https://-oProxyCommand=x",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as caught:
        Endpoint(url=typed)
    assert "password@" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_http_is_taken_where_no_scheme_was_named() -> None:
    assert "http://argocd.example.org:8080" == parse_url("argocd.example.org:8080", plaintext=True)
    assert "https://argocd.example.org" == parse_url("https://argocd.example.org", plaintext=True)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert ("https", "x", 443) == origin_of("https://X/a") == origin_of("https://x:443/b")
    assert origin_of("http://x") != origin_of("https://x")


def test_a_header_is_name_and_value() -> None:
    assert ("CF-Access-Client-Id", Secret("a: b")) == parse_header("CF-Access-Client-Id: a: b")


@pytest.mark.parametrize(
    "text", ["no colon", ": value", "a b: c", "X-Y: a\r\nAuthorization: z", "X-Y: ü", "Authorization: Bearer x", "Host: evil", "X\nY: z"]
)
def test_a_header_that_could_not_be_sent_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_header(text)
    value = text.partition(":")[2].strip()
    assert not value or value not in str(caught.value)


async def test_extra_headers_go_with_every_call() -> None:
    async with serving(answering({})) as wire, client(wire.url, headers=(parse_header("X-Team: a"),)) as argocd:
        await argocd.settings()
        await argocd.create_project({})
    assert ["a", "a"] == [request.headers["x-team"] for request in wire.requests]


@pytest.mark.parametrize(
    ("host", "here"), [("localhost", True), ("127.9.9.9", True), ("::1", True), ("a.localhost", True), ("10.0.0.1", False), ("x", False)]
)
def test_loopback_is_known(host: str, here: bool) -> None:
    assert here is is_loopback(host)


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.example.org", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://a.example.org", {"https_proxy": "p:3128", "HTTPS_PROXY": "http://q"}, "http://p:3128"),
        ("https://a.example.org", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://a.example.org", {"HTTP_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://a.example.org", {"ALL_PROXY": "socks5h://p:1080"}, "socks5h://p:1080"),
        ("https://a.example.org", {"HTTPS_PROXY": "http://p", "NO_PROXY": "example.org"}, None),
        ("https://a.example.org", {"HTTPS_PROXY": "http://p", "NO_PROXY": ".example.org"}, None),
        ("https://a.example.org", {"HTTPS_PROXY": "http://p", "no_proxy": "x, *.example.org"}, None),
        ("https://aexample.org", {"HTTPS_PROXY": "http://p", "NO_PROXY": "example.org"}, "http://p"),
        ("https://a.example.org", {"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}, None),
        ("https://a.example.org:8443", {"HTTPS_PROXY": "http://p", "NO_PROXY": "a.example.org:8443"}, None),
        ("https://a.example.org", {"HTTPS_PROXY": "http://p", "NO_PROXY": "a.example.org:8443"}, "http://p"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3", {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, "http://p"),
        ("https://[fd00::1]", {"HTTPS_PROXY": "http://p", "NO_PROXY": "fd00::/8"}, None),
        ("http://127.0.0.1:8080", {"HTTP_PROXY": "http://p"}, None),
        ("http://localhost:8080", {"ALL_PROXY": "http://p"}, None),
        ("https://a.example.org", {}, None),
        ("https://a.example.org", {"HTTPS_PROXY": ""}, None),
    ],
)
def test_the_environment_names_the_proxy(url: str, environ: dict[str, str], proxy: str | None) -> None:
    found = proxy_for(url, environ)
    assert proxy == (found.reveal() if found else None)


@pytest.mark.parametrize(
    "proxy", ["socks4://u:canary@p", "http://u:canary@", "http://u:canary@[::1", "http://u:canary@p:port", "http://u:canary@p q"]
)
def test_a_proxy_that_cannot_be_used_is_refused(proxy: str) -> None:
    with pytest.raises(Invalid, match="the proxy of the environment") as caught:
        proxy_for("https://a", {"HTTPS_PROXY": proxy})
    assert "canary" not in str(caught.value)


@contextlib.asynccontextmanager
async def http_proxy(*, refuse: bytes = b"") -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that forwards GET http://… and tunnels CONNECT; what it was asked for is kept."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.append(request.decode("latin-1"))
        if refuse:
            writer.write(refuse)
            writer.close()
            return
        method, target, _ = request.split(b"\r\n")[0].decode().split(" ")
        place = target if method == "CONNECT" else target.split("/")[2]
        host, _, port = place.rpartition(":")
        there, to = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            to.write(request)
        await asyncio.gather(_pipe(reader, to), _pipe(there, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_a_call_goes_by_the_proxy_that_is_named() -> None:
    async with (
        serving(answering({"Version": "v3.5.1"})) as wire,
        http_proxy() as (port, asked),
        client(wire.url, proxy=Secret(f"http://user:proxy-password@127.0.0.1:{port}")) as argocd,
    ):
        assert "v3.5.1" == (await argocd.version()).version
    assert asked[0].startswith(f"GET {wire.url}/api/version HTTP/1.1")
    assert "Proxy-Authorization: Basic" in asked[0]


async def test_a_proxy_that_wants_a_login_or_is_not_there_says_so() -> None:
    refuse = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with (
        http_proxy(refuse=refuse) as (port, _),
        client("https://argocd.invalid", proxy=Secret(f"http://u:proxy-password@127.0.0.1:{port}")) as argocd,
    ):
        with pytest.raises(Unauthorized, match="the proxy wants a login") as caught:
            await argocd.version()
    assert f"through the proxy 127.0.0.1:{port}" in str(caught.value)
    assert "proxy-password" not in str(caught.value)

    async with client("https://argocd.invalid", proxy=Secret("http://127.0.0.1:9")) as argocd:
        with pytest.raises(Unavailable, match=r"through the proxy 127.0.0.1:9"):
            await argocd.version()


async def test_a_proxy_that_cannot_reach_it_says_so() -> None:
    refuse = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    async with http_proxy(refuse=refuse) as (port, _), client("https://argocd.invalid", proxy=Secret(f"http://127.0.0.1:{port}")) as argocd:
        with pytest.raises(Unavailable, match=r"argocd.invalid:443 is not reached \(through the proxy 127.0.0.1:\d+\): 502 Bad Gateway"):
            await argocd.version()


async def test_a_socks_proxy_is_gone_by() -> None:
    asked: list[bytes] = []

    async def socks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2 + (await reader.readexactly(2))[1] - 2)
        writer.write(b"\x05\x00")
        head = await reader.readexactly(4)
        size = 4 if head[3] == 1 else (await reader.readexactly(1))[0]
        address = await reader.readexactly(size)
        port = int.from_bytes(await reader.readexactly(2), "big")
        asked.append(address)
        host = ".".join(map(str, address)) if head[3] == 1 else address.decode()
        there, to = await asyncio.open_connection(host, port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(_pipe(reader, to), _pipe(there, writer), return_exceptions=True)

    server = await asyncio.start_server(socks, "127.0.0.1", 0)
    proxy = Secret(f"socks5://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, serving(answering({"Version": "v3.5.1"})) as wire, client(wire.url, proxy=proxy) as argocd:
        assert "v3.5.1" == (await argocd.version()).version
        assert f"Bearer {TOKEN}" == wire.requests[0].headers["authorization"]
    assert 1 == len(asked)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.5.1+abcdef0", (3, 5)),
        ("v99.99.99+unknown", (99, 99)),
        ("v2.8.0-rc1", (2, 8)),
        ("3.6.0", (3, 6)),
        ("", None),
        ("latest", None),
        ("v3", None),
    ],
)
def test_a_version_is_read(text: str, version: tuple[int, int] | None) -> None:
    assert version == parse_version(text)


@pytest.mark.parametrize("version", [None, (2, 8), (3, 4), (3, 5), (99, 99)])
def test_a_list_never_asks_for_the_spec_and_its_parts_together(version: Any) -> None:
    fields = list_fields(version).split(",")
    parts = [field for field in fields if field.startswith("items.spec.")]

    assert ("items.spec" in fields) is not bool(parts)
    assert bool(parts) is (version is not None and version >= (3, 5))
    assert len(fields) == len(set(fields))
    assert all(field.startswith("items.") for field in fields)


@pytest.mark.parametrize("rows", [True, False])
def test_a_stream_always_says_which_application_it_speaks_of(rows: bool) -> None:
    fields = watch_fields(rows=rows).split(",")
    assert {"result.type", *(f"result.application.metadata.{part}" for part in ("name", "namespace", "uid", "resourceVersion"))} <= {
        *fields
    }
    assert not [field for field in fields if " " in field or not field.startswith(("result.type", "result.application."))]


def test_errors_of_an_endpoint_are_ours() -> None:
    assert issubclass(Invalid, BackendError)
