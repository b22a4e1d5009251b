"""A sandbox behind its server, and a client of it: what goes over the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from backends.sandbox.sandbox import Sandbox
from backends.sandbox.server import Server

STREAM = "/api/v1/stream/applications"
SSE = {"Accept": "text/event-stream"}


class Stream:
    """An open stream, read line by line."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def line(self, *, seconds: float = 5.0) -> str:
        """The next line that is not empty."""
        async with asyncio.timeout(seconds):
            while not (line := await anext(self._lines)).strip():
                pass
        return line

    async def event(self) -> dict[str, Any]:
        """The next message, whichever of the two formats it has."""
        value: dict[str, Any] = json.loads((await self.line()).removeprefix("data: "))
        return value

    async def names(self, count: int) -> list[str]:
        """The Applications of the next messages."""
        return [str((await self.event())["result"]["application"]["metadata"]["name"]) for _ in range(count)]

    async def silent(self, *, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        try:
            await self.line(seconds=seconds)
        except TimeoutError:
            return True
        return False


class Served(NamedTuple):
    sandbox: Sandbox
    server: Server
    client: httpx.AsyncClient

    @asynccontextmanager
    async def stream(self, path: str = STREAM, headers: dict[str, str] | None = None, **query: str) -> AsyncIterator[Stream]:
        async with self.client.stream("GET", path, headers=headers, params=query) as response:
            yield Stream(response)

    async def fault(self, **fault: Any) -> None:
        answer = await self.client.post("/sandbox/faults", json=fault)
        assert 200 == answer.status_code

    async def streams(self, do: str, **more: Any) -> int:
        answer = await self.client.post("/sandbox/streams", json={"do": do} | more)
        return int(answer.json()["streams"])

    async def list(self) -> httpx.Response:
        return await self.client.get("/api/v1/applications")
