"""Streams as they come over the wire: their beginning, both formats, what is left out, and what ends them."""

import json

import httpx
import pytest

from backends.sandbox.applications import Shown
from tests.sandbox.served import SSE, STREAM, Served

NAMES = [f"load-{number:05d}" for number in range(5)]
FIELDS = "result.type,result.application.metadata.name,result.application.metadata.resourceVersion,result.application.status.sync.status"


async def test_a_stream_begins_with_what_there_is_and_goes_on_with_changes(served: Served) -> None:
    async with served.stream() as stream:
        first = [await stream.event() for _ in NAMES]
        assert [("ADDED", name) for name in NAMES] == [(e["result"]["type"], e["result"]["application"]["metadata"]["name"]) for e in first]

        served.sandbox.synthetic.change(1)
        changed = (await stream.event())["result"]
        assert ("MODIFIED", NAMES[0]) == (changed["type"], changed["application"]["metadata"]["name"])
        assert int(first[0]["result"]["application"]["metadata"]["resourceVersion"]) < int(
            changed["application"]["metadata"]["resourceVersion"]
        )
        assert await stream.silent()


async def test_nothing_is_replayed_to_who_comes_later(served: Served) -> None:
    served.sandbox.synthetic.change(7)
    async with served.stream() as stream:
        events = [await stream.event() for _ in NAMES]
        assert {"ADDED"} == {event["result"]["type"] for event in events}
        assert await stream.silent()


@pytest.mark.parametrize(("headers", "kind"), [(SSE, "text/event-stream"), ({}, "application/json")])
async def test_it_is_lines_of_json_unless_server_sent_events_are_asked_for(served: Served, headers: dict[str, str], kind: str) -> None:
    async with served.stream(headers=headers, fields=FIELDS) as stream:
        assert kind == stream.response.headers["content-type"]
        line = await stream.line()
        assert bool(headers) == line.startswith("data: ")
        application = json.loads(line.removeprefix("data: "))["result"]["application"]
        assert {
            "metadata": {"name": NAMES[0], "resourceVersion": application["metadata"]["resourceVersion"]},
            "status": {"sync": {"status": "Synced"}},
        } == application


async def test_silence_is_broken_by_keep_alives_only_in_event_streams(served: Served) -> None:
    async with served.stream(headers=SSE) as events, served.stream() as lines:
        await events.names(5)
        await lines.names(5)
        assert ":" == await events.line(seconds=5)  # 15 s, ten times as fast
        assert await lines.silent()


async def test_with_a_resource_version_not_even_headers_come_before_the_first_change(served: Served) -> None:
    served.sandbox.world.clock.later(2.0, lambda: served.sandbox.synthetic.change(1))
    version = str(served.sandbox.world.version)
    async with served.stream(resourceVersion=version) as stream:  # back with the headers
        assert 1 == served.sandbox.synthetic.changes
        assert ["load-00000"] == await stream.names(1)


async def test_a_projection_that_did_not_change_is_not_sent_again(served: Served) -> None:
    async with served.stream(fields="result.application.metadata.name,result.application.spec.project") as stream:
        await stream.names(5)
        served.sandbox.synthetic.change(20)
        await served.client.get("/sandbox/stats")
        async with served.stream() as whole:
            await whole.names(5)
        assert await stream.silent()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"selector": "environment=dev"}, [NAMES[0], NAMES[3]]),
        ({"selector": "environment in (staging, prod),team!=search"}, [NAMES[2], NAMES[4]]),
        ({"name": NAMES[1]}, [NAMES[1]]),
        ({"projects": "default"}, NAMES),
        ({"project": "default"}, NAMES),
    ],
)
async def test_a_stream_can_be_narrowed(served: Served, query: dict[str, str], names: list[str]) -> None:
    async with served.stream(**query) as stream:
        assert names == await stream.names(len(names))
        assert await stream.silent()


async def test_a_project_without_applications_is_silent(served: Served) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await served.client.get(STREAM, params={"projects": "other"}, timeout=0.3)


@pytest.mark.parametrize(
    ("path", "query", "error"),
    [
        (STREAM, {"selector": "a in ("}, {"grpc_code": 2, "http_code": 500, "http_status": "Internal Server Error"}),
        (f"{STREAM}/none/resource-tree", {}, {"grpc_code": 7, "http_code": 403, "http_status": "Forbidden"}),
    ],
)
async def test_a_refusal_has_the_shape_of_streams(served: Served, path: str, query: dict[str, str], error: dict[str, object]) -> None:
    answer = await served.client.get(path, params=query)
    assert error["http_code"] == answer.status_code
    assert error.items() <= answer.json()["error"].items()


async def test_nobody_is_refused_in_both_formats(served: Served) -> None:
    for headers in ({}, SSE):
        answer = await served.client.get(STREAM, headers={**headers, "Authorization": ""})
        assert 401 == answer.status_code
        assert 16 == json.loads(answer.text.removeprefix("data: "))["error"]["grpc_code"]
        assert bool(headers) == answer.text.startswith("data: ")


async def test_the_restricted_account_streams_only_what_it_may_see(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.sandbox.access.issue('restricted')}"}
    with pytest.raises(httpx.ReadTimeout):
        await served.client.get(STREAM, headers=headers, timeout=0.3)


async def test_a_slow_reader_loses_what_does_not_fit(served: Served) -> None:
    options = served.sandbox.options
    told: list[Shown] = []
    stop = served.sandbox.applications.listen(lambda _, shown: told.append(shown))
    async with served.stream() as stream:
        await stream.names(5)
        served.sandbox.synthetic.change(options.watch_buffer + 500)
        got = 0
        while not await stream.silent(seconds=0.5):
            got += 1
    stop()
    assert options.watch_buffer + 500 == len(told)
    assert options.watch_buffer == got
