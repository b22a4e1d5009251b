"""Real proxies on loopback: tinyproxy for HTTP, microsocks for SOCKS; with and without a password."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.errors import BackendError
from backends.secret import Secret
from tests.argocd.test_wire import VERSION, answering
from tests.argocd.wire import client, serving

USER, PASSWORD = "ada", "canary-proxy-password"


def _needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program} (a Debian package)")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def running(argv: list[str], port: int) -> AsyncIterator[None]:
    """A proxy process that listens on `port`."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextlib.asynccontextmanager
async def tinyproxy(folder: Path) -> AsyncIterator[int]:
    port = _free_port()
    conf = folder / "tinyproxy.conf"
    conf.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\nBasicAuth {USER} {PASSWORD}\nLogLevel Critical\n")
    async with running([_needed("tinyproxy"), "-d", "-c", str(conf)], port):
        yield port


@contextlib.asynccontextmanager
async def microsocks(_folder: Path) -> AsyncIterator[int]:
    port = _free_port()
    async with running([_needed("microsocks"), "-i", "127.0.0.1", "-p", str(port), "-u", USER, "-P", PASSWORD], port):
        yield port


@pytest.mark.parametrize(("proxy", "scheme"), [(tinyproxy, "http"), (microsocks, "socks5")])
async def test_a_call_goes_by_the_proxy_with_its_password(proxy, scheme: str, tmp_path: Path) -> None:
    async with serving(answering(VERSION)) as wire, proxy(tmp_path) as port:
        by = Secret(f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{port}")
        async with client(wire.url, proxy=by) as argocd:
            assert (await argocd.version()).version
    assert 1 == len(wire.requests)
    assert PASSWORD not in str(wire.requests[0].headers)


@pytest.mark.parametrize(("proxy", "scheme"), [(tinyproxy, "http"), (microsocks, "socks5")])
async def test_a_proxy_that_refuses_us_is_named_without_its_password(proxy, scheme: str, tmp_path: Path) -> None:
    async with serving(answering(VERSION)) as wire, proxy(tmp_path) as port:
        by = Secret(f"{scheme}://{USER}:wrong-{PASSWORD}@127.0.0.1:{port}")
        async with client(wire.url, proxy=by) as argocd:
            with pytest.raises(BackendError) as caught:
                await argocd.version()
    assert [] == wire.requests
    assert "proxy" in f"{caught.value} {caught.value.hint}".lower()
    assert PASSWORD not in f"{caught.value!r} {caught.value} {caught.value.hint}"
