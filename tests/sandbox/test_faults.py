"""Breaking things on purpose: every switch, and what a client meets."""

import asyncio
import time

import httpx
import pytest

from backends.sandbox.objects import Key
from tests.sandbox.served import Served


async def test_a_fault_meets_as_many_requests_as_it_says_and_is_gone(served: Served) -> None:
    await served.fault(kind="status", status=429, times=2, body="slow down")
    answers = [await served.list() for _ in range(3)]
    assert [429, 429, 200] == [answer.status_code for answer in answers]
    assert "slow down" == answers[0].text


async def test_a_fault_meets_only_the_paths_that_it_names(served: Served) -> None:
    await served.fault(kind="status", status=500, path="/clusters$", times=0)
    assert [200, 500, 500] == [
        (await served.client.get(path)).status_code for path in ("/api/v1/applications", "/api/v1/clusters", "/api/v1/clusters")
    ]
    assert {"error": "injected", "code": 2, "message": "injected"} == (await served.client.get("/api/v1/clusters")).json()
    await served.client.delete("/sandbox/faults")
    assert 200 == (await served.client.get("/api/v1/clusters")).status_code


async def test_a_token_can_be_refused_once(served: Served) -> None:
    await served.fault(
        kind="status", status=401, body='{"error":"invalid session: expired","code":16,"message":"invalid session: expired"}'
    )
    assert [401, 200] == [(await served.list()).status_code for _ in range(2)]


async def test_a_proxy_answers_with_a_page_or_sends_elsewhere(served: Served) -> None:
    await served.fault(kind="html", status=502)
    page = await served.list()
    assert (502, "text/html") == (page.status_code, page.headers["content-type"])
    await served.fault(kind="redirect", body="https://login.example.org/")
    moved = await served.list()
    assert (302, "https://login.example.org/") == (moved.status_code, moved.headers["location"])


async def test_a_dropped_connection_has_no_answer(served: Served) -> None:
    await served.fault(kind="drop")
    with pytest.raises(httpx.RemoteProtocolError):
        await served.list()
    assert 200 == (await served.list()).status_code


async def test_a_stalled_answer_comes_late(served: Served) -> None:
    await served.fault(kind="stall", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        await served.client.get("/api/v1/applications", timeout=0.2)
    await served.fault(kind="stall", seconds=0.2)
    began = time.monotonic()
    assert 200 == (await served.list()).status_code
    assert 0.2 <= time.monotonic() - began


async def test_an_answer_breaks_off_in_the_middle(served: Served) -> None:
    await served.fault(kind="truncate", bytes=100)
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        await served.list()


async def test_an_answer_comes_drop_by_drop(served: Served) -> None:
    await served.fault(kind="drip", bytes=100)
    async with served.client.stream("GET", "/api/version", headers={"Accept-Encoding": "identity"}) as answer:
        sizes = [len(piece) async for piece in answer.aiter_raw()]
    assert [100, int(answer.headers["content-length"]) - 100] == sizes


async def test_a_stream_is_cut_in_the_middle_of_a_line(served: Served) -> None:
    await served.fault(kind="cut", path="/stream/", bytes=500)
    got = b""
    with pytest.raises(httpx.RemoteProtocolError):
        async with served.client.stream("GET", "/api/v1/stream/applications", headers={"Accept-Encoding": "identity"}) as answer:
            async for piece in answer.aiter_raw():
                got += piece
    assert 500 == len(got)
    assert b"\n" not in got


async def test_a_stream_that_has_not_begun_can_be_ended(served: Served) -> None:
    waiting = asyncio.create_task(served.client.get("/api/v1/stream/applications", params={"projects": "other"}))
    async with asyncio.timeout(5):
        while not await served.streams("end"):
            await asyncio.sleep(0.01)
    assert "" == (await waiting).text


async def test_open_streams_are_ended_cut_and_silenced(served: Served) -> None:
    async with served.stream() as ended:
        await ended.names(5)
        assert 1 == await served.streams("end")
        with pytest.raises(StopAsyncIteration):
            await ended.line()
    async with served.stream() as silent:
        await silent.names(5)
        await served.streams("silence")
        served.sandbox.synthetic.change(3)
        assert await silent.silent()
    while (await served.client.get("/sandbox/stats")).json()["streams"]:
        await asyncio.sleep(0.01)
    async with served.stream() as cut:
        await cut.names(5)
        assert 1 == await served.streams("cut", after=30)
        served.sandbox.synthetic.change(1)
        with pytest.raises(httpx.RemoteProtocolError):
            await cut.line()


async def test_objects_are_edited_and_deleted_past_argo_cd(served: Served) -> None:
    home = served.sandbox.fleet.home
    home.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "env", "namespace": "dev"}, "data": {"A": "1"}})
    names = {"group": "", "kind": "ConfigMap", "namespace": "dev", "name": "env"}
    await served.client.post("/sandbox/edit", json={**names, "patch": {"data": {"A": None, "B": "2"}}})
    edited = home.get(Key("", "ConfigMap", "dev", "env"))
    assert edited is not None
    assert {"B": "2"} == edited["data"]
    await served.client.post("/sandbox/edit", json={**names, "patch": None})
    async with asyncio.timeout(5):
        while home.get(Key("", "ConfigMap", "dev", "env")) is not None:
            await asyncio.sleep(0.01)
    assert 404 == (await served.client.post("/sandbox/edit", json={**names, "patch": {}})).status_code


@pytest.mark.parametrize(("account", "status"), [("admin", 200), ("viewer", 403), ("", 401)])
async def test_only_the_administrator_may_break_things(served: Served, account: str, status: int) -> None:
    token = served.sandbox.access.issue(account) if account else "nobody"
    headers = {"Authorization": f"Bearer {token}"}
    assert status == (await served.client.post("/sandbox/faults", json={"kind": "drop", "path": "/none"}, headers=headers)).status_code


@pytest.mark.parametrize("body", [b"{", b'{"kind": "odd"}', b"[1]"])
async def test_a_switch_that_makes_no_sense_is_refused(served: Served, body: bytes) -> None:
    assert 400 == (await served.client.post("/sandbox/faults", content=body)).status_code
    assert 404 == (await served.client.get("/sandbox/odd")).status_code
