"""Sandboxes for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import httpx
import pytest

from backends.sandbox.sandbox import Options, Sandbox
from backends.sandbox.server import Server
from tests.sandbox.place import Place
from tests.sandbox.rig import Rig
from tests.sandbox.served import Served
from tests.sandbox.virtual import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests of a `rig`, a `bare` one or a `place` run on a clock that jumps; those that talk over sockets or to processes on the machine's."""
    jumps = {"rig", "bare", "place"} & set(getattr(item, "fixturenames", ()))
    return {"loop": VirtualLoop if jumps else asyncio.new_event_loop}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A settled sandbox on a clock that jumps."""
    made = Rig(tmp_path / "fleet", timer=asyncio.get_running_loop().time)
    await made.boot()
    yield made
    await made.close()


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Rig]:
    """A sandbox with an empty repository and no Applications, on a clock that jumps."""
    made = Rig(tmp_path / "fleet", timer=asyncio.get_running_loop().time)
    made.sandbox.start()
    yield made
    await made.close()


@pytest.fixture
async def place() -> Place:
    """A cluster with its controllers, and no Argo CD, on a clock that jumps."""
    return Place(asyncio.get_running_loop().time)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Five synthetic Applications behind a server on a port, with the switches that break things; ten times as fast as life."""
    sandbox = Sandbox(Options(folder=tmp_path / "fleet", speed=10.0, synthetic=5, faults=True))
    sandbox.start()
    server = Server(sandbox)
    headers = {"Authorization": f"Bearer {sandbox.access.issue('admin')}"}
    async with httpx.AsyncClient(base_url=await server.start(), headers=headers, timeout=10.0) as client:
        yield Served(sandbox, server, client)
    await server.close()
    await sandbox.close()
