"""The feed of Applications: when it is live, when it is stale, and that it always comes back to the server's truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from backends.argocd.failures import TooManyRequests
from backends.argocd.types import Application
from backends.domain.ids import AppKey
from backends.domain.rollout import FeedState
from backends.errors import BackendError, Forbidden, ProtocolError, Unauthorized, Unavailable
from backends.live.feeds import ApplicationsFeed
from backends.live.store import Store
from tests.live import virtual
from tests.live.fake import FakeArgoCD
from tests.live.samples import WORKSPACE, application, key

SELECTOR = f"tiphys.dev/workspace={WORKSPACE}"
Scenario = Callable[[FakeArgoCD, Store, ApplicationsFeed], Awaitable[None]]


def play(argocd: FakeArgoCD, scenario: Scenario, selector: str = SELECTOR) -> tuple[Store, ApplicationsFeed]:
    """Run a feed in virtual time while the scenario acts; the feed is cancelled at its end."""

    async def both() -> tuple[Store, ApplicationsFeed]:
        store = Store()
        feed = ApplicationsFeed(argocd, store, selector=selector, now=virtual.now, chance=lambda: 0.5)
        running = asyncio.ensure_future(feed.run())
        try:
            await scenario(argocd, store, feed)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert [] == argocd.streams
        assert 1 == len(asyncio.all_tasks())
        store.publish()
        return store, feed

    return virtual.run(both())


def truth(argocd: FakeArgoCD) -> dict[AppKey, Application]:
    return {k: v for k, v in argocd.truth.items() if (v.metadata.labels or {}).get("tiphys.dev/workspace") == WORKSPACE}


def seen(store: Store) -> dict[AppKey, Application]:
    return {k: row.application for k, row in store.publish().rows.items()}


def out_of_sync(app: Application) -> Application:
    return msgspec.structs.replace(
        app, status=msgspec.structs.replace(app.status, sync=msgspec.structs.replace(app.status.sync, status="OutOfSync"))
    )


async def until(condition: Callable[[], bool], seconds: float = 600) -> float:
    """Wait in virtual time; says how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < seconds, "it never happened"
        await asyncio.sleep(0.01)
    return loop.time() - began


async def live(feed: ApplicationsFeed) -> float:
    return await until(lambda: feed.status.state is FeedState.LIVE)


def test_it_is_live_once_a_list_begun_after_the_burst_has_come() -> None:
    argocd = FakeArgoCD(application("api", version=1), application("web", version=2), application("foreign", version=3, labels={}))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        assert FeedState.CONNECTING is feed.status.state
        assert await live(feed) < 1
        assert truth(argocd) == seen(store)

    _, feed = play(argocd, scenario)
    assert ["watch", "list", "list"] == sorted(argocd.calls, reverse=True)
    assert 2 == feed.status.events


def test_first_rows_come_from_the_list_while_the_burst_is_on_its_way() -> None:
    argocd = FakeArgoCD(*(application(f"app-{n}", version=n) for n in range(1, 9)))
    argocd.burst_seconds = 2.0

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await until(lambda: len(store) == 8, seconds=1)
        assert FeedState.CONNECTING is feed.status.state
        assert all(row.partial for row in store.publish().rows.values())
        await live(feed)
        assert not any(row.partial for row in store.publish().rows.values())

    play(argocd, scenario)


def test_a_list_that_is_faster_than_the_burst_makes_nobody_wait() -> None:
    argocd = FakeArgoCD(*(application(f"app-{n}", version=n) for n in range(1, 9)))
    argocd.burst_seconds = 0.03

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        assert await live(feed) < 1
        assert truth(argocd) == seen(store)

    play(argocd, scenario)


def test_a_change_reaches_the_snapshot_within_a_tenth_of_a_second() -> None:
    argocd = FakeArgoCD(application("web", version=1))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await live(feed)
        await asyncio.sleep(1)
        changed = argocd.change(out_of_sync(argocd.truth[key("web")]))
        await asyncio.sleep(0.1)
        assert changed == store.snapshot.application(key("web"))

    play(argocd, scenario)


def test_what_happened_between_burst_and_subscription_is_found_by_the_list_and_asked_for() -> None:
    argocd = FakeArgoCD(*(application(f"app-{n}", version=n) for n in range(1, 6)))
    argocd.burst_seconds = 0.1

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await asyncio.sleep(0.25)  # two are sent, the others come from the server's copy of a moment ago
        argocd.change(out_of_sync(argocd.truth[key("app-1")]))
        argocd.change(out_of_sync(argocd.truth[key("app-5")]))
        argocd.delete(key("app-4"))
        await live(feed)
        await asyncio.sleep(2)
        assert truth(argocd) == seen(store)

    play(argocd, scenario)
    assert ["get app-1", "get app-5"] == sorted(call for call in argocd.calls if call.startswith("get"))


def test_many_lost_changes_are_asked_for_by_one_unprojected_list() -> None:
    argocd = FakeArgoCD(*(application(f"app-{n:03}", version=n) for n in range(1, 101)))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await live(feed)
        argocd.lossy = True
        for one in list(argocd.truth.values()):
            argocd.change(out_of_sync(one))
        argocd.lossy = False
        await asyncio.sleep(200)
        assert truth(argocd) == seen(store)

    play(argocd, scenario)
    assert "list full" in argocd.calls
    assert [] == [call for call in argocd.calls if call.startswith("get")]


def test_a_deletion_that_no_message_tells_is_found_by_the_next_list() -> None:
    argocd = FakeArgoCD(application("api", version=1), application("web", version=2))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await live(feed)
        argocd.delete(key("web"), told=False)
        assert 150 < await until(lambda: len(store) == 1) < 200

    play(argocd, scenario)


def test_an_application_that_leaves_the_selector_is_found_by_the_next_list() -> None:
    argocd = FakeArgoCD(application("api", version=1), application("web", version=2))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await live(feed)
        argocd.change(application("web", labels={"tiphys.dev/workspace": "another"}))
        await asyncio.sleep(200)
        assert truth(argocd) == seen(store)

    play(argocd, scenario)


CUTS: dict[str, BackendError | None] = {
    "EOF without a word": None,
    "connection reset": Unavailable("the connection broke"),
    "half a JSON line": ProtocolError("the answer was cut off on its way", retryable=True),
}


@pytest.mark.parametrize("cut", CUTS)
def test_cut_off_it_says_stale_and_is_back_within_five_seconds_of_the_server(cut: str) -> None:
    argocd = FakeArgoCD(*(application(f"app-{n}", version=n) for n in range(1, 6)))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await live(feed)
        argocd.refusing = Unavailable("nobody listens")
        argocd.cut(CUTS[cut])
        assert await until(lambda: feed.status.state is FeedState.STALE) < 0.1
        argocd.change(out_of_sync(argocd.truth[key("app-1")]))
        argocd.delete(key("app-2"))
        argocd.change(application("app-new"))
        await asyncio.sleep(60)
        assert FeedState.STALE is feed.status.state
        assert "nobody listens" == feed.status.error
        assert 5 == len(store)
        argocd.refusing = None
        assert await live(feed) < 5
        assert truth(argocd) == seen(store)

    play(argocd, scenario)


def test_silence_is_noticed_after_35_seconds_and_keepalives_are_not_silence() -> None:
    argocd = FakeArgoCD(application("web", version=1))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await live(feed)
        await asyncio.sleep(300)
        assert (1, FeedState.LIVE) == (argocd.opened, feed.status.state)

        argocd.keepalive = None
        stale_after = await until(lambda: feed.status.state is FeedState.STALE)
        argocd.keepalive = 15.0
        assert 20 <= stale_after <= 55
        assert "nothing heard for 35 s" == feed.status.error
        assert await live(feed) < 5

    play(argocd, scenario)


def test_an_empty_workspace_is_live_by_its_list_and_notices_its_first_application() -> None:
    argocd = FakeArgoCD(application("foreign", version=1, labels={}))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        assert await live(feed) < 1
        await asyncio.sleep(120)
        assert (FeedState.LIVE, 1) == (feed.status.state, argocd.opened)
        argocd.change(application("web"))
        assert await until(lambda: len(store) == 1) < 0.1
        await asyncio.sleep(2)
        assert FeedState.LIVE is feed.status.state

    play(argocd, scenario)


def test_a_proxy_that_holds_the_stream_back_is_named() -> None:
    argocd = FakeArgoCD(application("web", version=1))
    argocd.burst_seconds = 10_000

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await until(lambda: len(store) == 1, seconds=1)
        await until(lambda: feed.status.error == "the stream said nothing for 35 s")
        assert FeedState.CONNECTING is feed.status.state

    play(argocd, scenario)


def test_too_many_requests_are_answered_by_patience() -> None:
    argocd = FakeArgoCD(application("web", version=1))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        argocd.refusing = TooManyRequests("too many requests", retry_after=20.0)
        await asyncio.sleep(600)
        assert len([c for c in argocd.calls if c == "watch"]) <= 32
        argocd.refusing = None
        assert await live(feed) <= 61

    play(argocd, scenario)


def test_a_refused_token_is_not_tried_again_in_a_loop() -> None:
    argocd = FakeArgoCD(application("web", version=1))
    argocd.refusing = Unauthorized("the token is not accepted")

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await asyncio.sleep(300)
        assert (FeedState.FAILED, "the token is not accepted") == (feed.status.state, feed.status.error)
        assert 3 == len([c for c in argocd.calls if c == "watch"])
        argocd.refusing = None
        assert await live(feed) <= 121

    play(argocd, scenario)


def test_forbidden_is_the_end_of_it() -> None:
    argocd = FakeArgoCD(application("web", version=1))
    argocd.refusing = Forbidden("permission denied")

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        await asyncio.sleep(600)
        assert (FeedState.FAILED, "permission denied") == (feed.status.state, feed.status.error)

    play(argocd, scenario)
    assert 1 == argocd.calls.count("watch")


def test_a_list_that_fails_is_told_and_tried_again_while_the_stream_goes_on() -> None:
    argocd = FakeArgoCD(application("web", version=1))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        argocd.list_refusing = Unavailable("Argo CD cannot answer now")
        await asyncio.sleep(10)
        assert (FeedState.CONNECTING, "the list failed: Argo CD cannot answer now") == (feed.status.state, feed.status.error)
        assert 1 == argocd.opened
        argocd.list_refusing = None
        assert await live(feed) < 5
        assert "" == feed.status.error

    play(argocd, scenario)
