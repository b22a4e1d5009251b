"""Recorded streams of a real Argo CD, sent again as they came: every message is a typed value, every keep-alive is told."""

import json
from typing import Any

import pytest

from backends.argocd.types import ResourceTree, WatchEvent
from tests.argocd.wire import Request, client, serving, stream_head
from tests.contract.test_recordings_reading import WEB
from tests.shared import stream

STREAMS = [
    "crash-loop-then-rollback",
    "create-then-delete-directory",
    "delete-all-of-an-environment",
    "deploy-good",
    "file-outside-generate-paths",
    "hook-fails",
    "manifest-error",
    "paused-automation",
    "server-restart",
    "spec-change-child-refreshed-first",
    "sync-window-deny",
    "terminate-running",
    "unrelated-commit",
]


def sent_again(lines: list[dict[str, Any]]) -> bytes:
    """The bytes of a stream as Argo CD writes them."""
    parts = [b":\n" if "line" in line else b"data: " + json.dumps(line["data"]).encode() + b" \n\n\n" for line in lines]
    return b"".join(parts)


def recorded(name: str, wanted: str) -> list[dict[str, Any]]:
    """The messages and keep-alives of one stream of a recording."""
    return [line for line in stream(name) if line.get("stream") == wanted and ("data" in line or line.get("line") == ":")]


async def received(lines: list[dict[str, Any]], *, tree: bool = False) -> list[Any]:
    async def handler(_request: Request, writer: Any) -> None:
        writer.write(stream_head() + sent_again(lines))
        await writer.drain()
        writer.close()

    async with serving(handler) as wire, client(wire.url) as argocd:
        messages: Any = argocd.watch_tree(WEB) if tree else argocd.watch_applications(projected=False)
        return [message async for message in messages]


@pytest.mark.parametrize("name", STREAMS)
async def test_every_message_of_an_application_stream_is_a_typed_event(name: str) -> None:
    lines = recorded(name, "apps")
    events = await received(lines)

    assert lines
    assert [None if "line" in line else line["data"]["result"]["type"] for line in lines] == [event and event.type for event in events]
    sent = [line["data"]["result"]["application"]["metadata"]["resourceVersion"] for line in lines if "data" in line]
    assert sent == [event.application.metadata.resource_version for event in events if isinstance(event, WatchEvent)]


async def test_a_projected_stream_gives_what_it_was_asked_for() -> None:
    lines = recorded("deploy-good", "apps-projected")
    events = await received(lines)
    sent = [line["data"]["result"]["application"] for line in lines if "data" in line]

    assert [(app["metadata"]["name"], app["status"]["sync"]["status"]) for app in sent] == [
        (event.application.metadata.name, event.application.status.sync.status) for event in events if event
    ]


async def test_a_tree_stream_sends_whole_trees() -> None:
    lines = recorded("deploy-good", "tree")
    trees = await received(lines, tree=True)
    sizes = [len(line["data"]["result"]["nodes"]) for line in lines if "data" in line]

    assert sizes
    assert sizes == [len(tree.nodes) for tree in trees if isinstance(tree, ResourceTree)]
