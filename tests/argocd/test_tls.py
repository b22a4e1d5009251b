"""TLS: what is trusted, what is not, and what is said of it."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.argocd.endpoint import Endpoint, parse_url, tls_context
from backends.errors import BackendError, Invalid, ProtocolError, Unauthorized, Unavailable
from backends.secret import Secret
from tests.argocd.wire import Request, answering, client, head, raw, serving

VERSION = b'{"Version":"v3.5.1"}'


def made(folder: Path, name: str, subject: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    try:
        subprocess.run(
            [*command, "-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("needs the openssl program")
    return certificate, key


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made(tmp_path_factory.mktemp("tls"), "loopback", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made(tmp_path_factory.mktemp("tls"), "elsewhere", "DNS:argocd.example.org")


def server_context(pair: tuple[Path, Path], *, client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


async def test_a_certificate_of_a_named_authority_is_trusted(certificate: tuple[Path, Path]) -> None:
    async with (
        serving(answering(VERSION), tls=server_context(certificate)) as wire,
        client(wire.url, ca=certificate[0].read_text()) as argocd,
    ):
        assert "v3.5.1" == (await argocd.version()).version


async def test_an_unknown_certificate_is_not_trusted_and_gets_no_token(certificate: tuple[Path, Path]) -> None:
    async with serving(answering(VERSION), tls=server_context(certificate)) as wire, client(wire.url) as argocd:
        with pytest.raises(Unavailable) as caught:
            await argocd.version()
    assert "is not trusted: self-signed certificate" in str(caught.value)
    assert "--ca-file" in caught.value.hint
    assert "--insecure" in caught.value.hint
    assert not caught.value.retryable
    assert [] == wire.requests


async def test_a_certificate_of_another_host_is_not_trusted(elsewhere: tuple[Path, Path]) -> None:
    async with (
        serving(answering(VERSION), tls=server_context(elsewhere)) as wire,
        client(wire.url, ca=elsewhere[0].read_text()) as argocd,
    ):
        with pytest.raises(Unavailable, match=r"not trusted: IP address mismatch"):
            await argocd.version()


async def test_insecure_trusts_any_certificate(elsewhere: tuple[Path, Path]) -> None:
    async with serving(answering(VERSION), tls=server_context(elsewhere)) as wire, client(wire.url, insecure=True) as argocd:
        assert "v3.5.1" == (await argocd.version()).version


async def test_a_client_certificate_is_shown(certificate: tuple[Path, Path]) -> None:
    tls = server_context(certificate, client_ca=certificate[0])
    pair = Secret(certificate[0].read_text() + certificate[1].read_text())
    async with serving(answering(VERSION), tls=tls) as wire:
        async with client(wire.url, ca=certificate[0].read_text(), client_certificate=pair) as argocd:
            assert "v3.5.1" == (await argocd.version()).version
        async with client(wire.url, ca=certificate[0].read_text()) as argocd:
            with pytest.raises(BackendError) as caught:
                await argocd.version()
    assert isinstance(caught.value, Unauthorized | Unavailable)


async def test_tls_to_a_server_without_names_plaintext() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as argocd:
        with pytest.raises(ProtocolError, match="does not speak TLS") as caught:
            await argocd.version()
    assert "--plaintext" in caught.value.hint


async def test_plain_http_to_a_tls_server_says_so(certificate: tuple[Path, Path]) -> None:
    async with serving(answering(VERSION), tls=server_context(certificate)) as wire, client(wire.url.replace("https:", "http:")) as argocd:
        with pytest.raises(BackendError) as caught:
            await argocd.version()
    assert isinstance(caught.value, ProtocolError | Unavailable)
    assert caught.value.hint or "closed the connection" in str(caught.value)


async def test_a_tls_alert_in_place_of_http_names_the_scheme() -> None:
    async with serving(raw(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n")) as wire, client(wire.url) as argocd:
        with pytest.raises(ProtocolError, match="speaks TLS and was asked without"):
            await argocd.version()


@contextlib.asynccontextmanager
async def one_port(secure: int, plain: int) -> AsyncIterator[int]:
    """A port that takes TLS and plain HTTP, as Argo CD's own does."""

    async def sort(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        there, to = await asyncio.open_connection("127.0.0.1", secure if first == b"\x16" else plain)
        to.write(first)
        await asyncio.gather(pipe(reader, to), pipe(there, writer), return_exceptions=True)

    server = await asyncio.start_server(sort, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_a_redirect_to_tls_at_the_same_place_is_followed_for_reads_and_kept(certificate: tuple[Path, Path]) -> None:
    async def to_tls(request: Request, writer: asyncio.StreamWriter) -> None:
        location = f"https://{request.headers['host']}{request.target}"
        writer.write(head(307, "Temporary Redirect", location=location, content_length="0"))

    async with (
        serving(answering(VERSION), tls=server_context(certificate)) as secure,
        serving(to_tls) as plain,
        one_port(secure.port, plain.port) as port,
        client(f"http://127.0.0.1:{port}/argo", ca=certificate[0].read_text()) as argocd,
    ):
        assert "v3.5.1" == (await argocd.version()).version
        await argocd.create_project({})
        assert f"https://127.0.0.1:{port}/argo" == argocd.url

    assert ["/argo/api/version"] == [request.path for request in plain.requests]
    assert ["/argo/api/version", "/argo/api/v1/projects"] == [request.path for request in secure.requests]


def test_certificates_that_are_none_are_named() -> None:
    with pytest.raises(Invalid, match="CA file"):
        tls_context(Endpoint(url="https://x", ca="no certificate"))
    with pytest.raises(Invalid, match="client certificate"):
        tls_context(Endpoint(url="https://x", client_certificate=Secret("nothing")))


def test_a_url_without_a_scheme_is_https() -> None:
    assert "https://x:8443" == parse_url("x:8443")
    assert "http://x" == parse_url("x", plaintext=True)
