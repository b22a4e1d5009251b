"""The state of a sandbox in its folder: written a moment after a change, and before an answer to whoever changed something.

A sandbox that is killed and started again on the same folder goes on where it was; resource versions keep growing. What can be read
again from Git is not kept, but for the rendered manifests: stale ones must stay stale.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from backends.engine import in_thread
from backends.paths import write_private
from backends.sandbox.objects import key_of
from backends.sandbox.world import RESTART_GAP

if TYPE_CHECKING:
    from backends.sandbox.sandbox import Sandbox

FILE = "state.json"
_PAUSE = 0.3
_FORMAT = 1


class Saver:
    """Keeps the state of a sandbox on disk; one without a folder to come back to keeps none."""

    def __init__(self, sandbox: Sandbox, folder: Path | None) -> None:
        self._sandbox = sandbox
        self._file = folder / FILE if folder is not None else None
        self._dirty = asyncio.Event()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._file is not None:
            for cluster in self._sandbox.fleet.clusters:
                cluster.watch(lambda _: self._dirty.set())
            self._dirty.set()
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def now(self) -> None:
        """Write the state and wait until it is on disk."""
        if self._file is not None:
            async with self._lock:
                self._dirty.clear()
                data = msgspec.json.encode(snapshot(self._sandbox))
                await in_thread(write_private, self._file, data)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await self.now()

    async def _keep(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(_PAUSE)
            await self.now()


def snapshot(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": sandbox.world.version,
        "drawn": sandbox.world.drawn,
        "secret": sandbox.access.secret,
        "password": sandbox.access.password,
        "accounts": sandbox.access.accounts,
        "clusters": [
            {
                "name": one.name,
                "server": one.server,
                "objects": list(one.objects.values()),
                "applied": list(one.applied.values()),
                "events": one.events.saved(),
            }
            for one in sandbox.fleet.clusters
        ],
        "manifests": sandbox.repository.manifests,
    }


def saved_in(folder: Path) -> dict[str, Any] | None:
    """The state of a folder; None when there is none, or none that can be read."""
    try:
        state = msgspec.json.decode((folder / FILE).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return state if isinstance(state, dict) and state.get("format") == _FORMAT else None


def restore(sandbox: Sandbox, state: dict[str, Any]) -> None:
    """Put a saved state into a sandbox that was just made."""
    sandbox.world.version = int(state["version"]) + RESTART_GAP
    sandbox.world.drawn = int(state["drawn"]) + RESTART_GAP
    sandbox.access.accounts |= state["accounts"]
    sandbox.repository.manifests = {key: tuple(objects) for key, objects in state["manifests"].items()}
    for saved in state["clusters"]:
        cluster = sandbox.fleet.add(saved["name"], saved["server"])
        cluster.objects = {key_of(one): one for one in saved["objects"]}
        cluster.applied = {key_of(one): one for one in saved["applied"]}
        cluster.events.load(saved["events"])
