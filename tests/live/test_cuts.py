"""A watch cut in each way, over HTTP: the store says stale, and equals a fresh list soon after the server is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from backends.argocd.endpoint import Endpoint
from backends.argocd.http import HttpArgoCD, connect
from backends.argocd.types import Application
from backends.domain.ids import AppKey
from backends.domain.rollout import FeedState
from backends.live.feeds import ApplicationsFeed
from backends.live.pace import FeedTimes, ended
from backends.live.store import Store
from tests.live.samples import WORKSPACE, application, key
from tests.live.scripted import Scripted
from tests.live.test_feeds import out_of_sync

SELECTOR = f"tiphys.dev/workspace={WORKSPACE}"
FAST = FeedTimes(
    relist=2.0, quiet=0.03, slow=0.3, silence=0.4, unproven=0.1, settle=0.05, retry_first=0.02, retry=0.1, busy=0.1, unauthorized=0.1
)
"""The pauses of a feed, thirty times shorter."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the test's own time limit ends it."""
    while not condition():
        await asyncio.sleep(0.005)


@asynccontextmanager
async def watching(server: Scripted) -> AsyncIterator[tuple[Store, ApplicationsFeed, HttpArgoCD]]:
    store, argocd = Store(interval=0.01), connect(Endpoint(url=server.url))
    feed = ApplicationsFeed(argocd, store, selector=SELECTOR, times=FAST)
    running = asyncio.ensure_future(feed.run())
    try:
        await until(lambda: feed.status.state is FeedState.LIVE)
        yield store, feed, argocd
    finally:
        await ended(running)
        await argocd.close()


def some(count: int) -> tuple[Application, ...]:
    return tuple(application(f"app-{n:02}", version=n) for n in range(1, count + 1))


def faces(applications: list[Application]) -> dict[AppKey, tuple[str, str]]:
    return {one.key: (one.status.sync.status, one.status.health.status) for one in applications}


def meanwhile(server: Scripted) -> None:
    """Changes, a deletion and a creation that nobody hears of."""
    server.change(out_of_sync(server.truth[key("app-01")]))
    server.delete(key("app-02"))
    server.change(application("app-99"))
    for one in list(server.truth.values())[2:8]:
        server.change(msgspec.structs.replace(one, status=msgspec.structs.replace(one.status, reconciled_at=None)))


async def equals_a_fresh_list(server: Scripted, store: Store, argocd: HttpArgoCD) -> None:
    """Wait until the snapshot is what a list says now."""
    while True:
        listed = [one for one in await argocd.list_applications(selector=SELECTOR) if one.label("tiphys.dev/workspace") == WORKSPACE]
        if faces(listed) == faces([row.application for row in store.snapshot.rows.values()]):
            return
        await asyncio.sleep(0.01)


async def killed(server: Scripted) -> None:
    await server.kill()


async def ended_without_a_word(server: Scripted) -> None:
    server.answer = 503
    server.end()


async def cut_in_a_line(server: Scripted) -> None:
    server.answer = 503
    server.half_a_line()


async def silent(server: Scripted) -> None:
    server.keepalive = None
    server.answer = 503


async def losing_bytes(server: Scripted) -> None:
    server.losing = True
    server.change(out_of_sync(server.truth[key("app-03")]))
    server.answer = 503


async def refused_for_a_while(server: Scripted) -> None:
    server.answer = 401
    server.end()


async def too_busy(server: Scripted) -> None:
    server.answer = 429
    server.end()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("cut", [killed, ended_without_a_word, cut_in_a_line, silent, losing_bytes, refused_for_a_while, too_busy])
async def test_cut_in_any_way_it_says_so_and_comes_back_to_the_truth(cut: Callable[[Scripted], Awaitable[None]]) -> None:
    async with Scripted(*some(12)) as server, watching(server) as (store, feed, argocd):
        await cut(server)
        await until(lambda: store.snapshot.feed("applications").state in (FeedState.STALE, FeedState.FAILED))
        assert "" != store.snapshot.feed("applications").error
        assert 12 == len(store.snapshot.rows)
        meanwhile(server)
        server.answer, server.losing, server.keepalive = None, False, 0.1
        if cut is killed:
            await server.start()
        await until(lambda: feed.status.state is FeedState.LIVE)
        await equals_a_fresh_list(server, store, argocd)


@pytest.mark.timeout(20)
async def test_restarted_again_and_again_while_everything_changes() -> None:
    async with Scripted(*some(12)) as server, watching(server) as (store, feed, argocd):

        async def churn() -> None:
            for n in range(60):
                name = f"app-{n % 12 + 1:02}"
                if key(name) not in server.truth:
                    server.change(application(name, uid=f"again-{n}"))
                elif n % 5 == 4:
                    server.delete(key(name))
                else:
                    server.change(out_of_sync(server.truth[key(name)]))
                await asyncio.sleep(0.005)

        changing = asyncio.ensure_future(churn())
        for _ in range(4):
            await asyncio.sleep(0.05)
            await server.kill()
            await until(lambda: feed.status.state is FeedState.STALE)
            await server.start()
        await changing
        await until(lambda: feed.status.state is FeedState.LIVE)
        await equals_a_fresh_list(server, store, argocd)


@pytest.mark.timeout(20)
async def test_an_empty_selection_is_live_without_a_single_header_of_its_stream() -> None:
    async with Scripted(application("foreign", version=1, labels={})) as server, watching(server) as (store, _, _):
        assert {} == dict(store.snapshot.rows)
        server.change(application("first"))
        await until(lambda: key("first") in store.snapshot.rows)


@pytest.mark.timeout(20)
async def test_every_message_is_counted_and_a_change_arrives_whole() -> None:
    async with Scripted(*some(3)) as server, watching(server) as (store, feed, _):
        before = feed.status.events
        last = application("app-01")
        for n in range(200):
            last = server.change(msgspec.structs.replace(server.truth[key(f"app-{n % 3 + 1:02}")]))
        await until(lambda: feed.status.events == before + 200)
        await until(lambda: store.snapshot.application(last.key) == last)
