"""Sandboxes for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.virtual import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests of a `rig` run on a clock that jumps; those that talk over sockets or to processes on the machine's."""
    return {"loop": VirtualLoop if "rig" in getattr(item, "fixturenames", ()) else asyncio.new_event_loop}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A settled sandbox on a clock that jumps."""
    made = Rig(tmp_path / "fleet", timer=asyncio.get_running_loop().time)
    await made.boot()
    yield made
    await made.close()
