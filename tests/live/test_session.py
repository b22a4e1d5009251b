"""Everything live of one Argo CD: the workspace's own Applications whole, everybody else's as rows, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from backends.argocd.types import ResourceTree
from backends.domain.rollout import FeedState
from backends.errors import Unavailable
from backends.live.session import Live
from tests.live import virtual
from tests.live.fake import FakeArgoCD
from tests.live.samples import WORKSPACE, application, key, later


def play(argocd: FakeArgoCD, scenario: Callable[[Live], Awaitable[None]], *, workspace: str = WORKSPACE) -> None:
    async def run() -> None:
        async with Live(argocd, workspace=workspace, now=virtual.now) as live:  # type: ignore[arg-type]
            await scenario(live)
        assert [] == argocd.streams
        assert 1 == len(asyncio.all_tasks())

    virtual.run(run())


def fleet() -> FakeArgoCD:
    return FakeArgoCD(application("web", version=1, reconciled=later(1)), application("foreign", version=2, labels={}, reconciled=later(1)))


def test_the_workspaces_own_are_whole_and_others_are_rows() -> None:
    async def scenario(live: Live) -> None:
        assert FeedState.LIVE is (await live.ready()).state
        await asyncio.sleep(1)
        live.store.manage({key("web")})
        shot = live.store.publish()
        assert {key("web"): False, key("foreign"): True} == {one: row.partial for one, row in shot.rows.items()}
        assert ["foreign"] == [row.application.metadata.name for row in shot.unmanaged]
        assert {"applications": FeedState.LIVE, "others": FeedState.LIVE} == {feed.name: feed.state for feed in shot.feeds}

    play(fleet(), scenario)


def test_an_application_that_joins_the_workspace_is_told_once() -> None:
    argocd = fleet()

    async def scenario(live: Live) -> None:
        await live.ready()
        await asyncio.sleep(1)
        argocd.change(application("foreign", reconciled=later(2)))
        await asyncio.sleep(1)
        row = live.store.row(key("foreign"))
        assert row is not None
        assert not row.partial
        await asyncio.sleep(400)  # lists of both feeds go by, and neither takes it away
        assert 2 == len(live.store)

    play(argocd, scenario)


def test_without_a_workspace_there_are_rows_of_everything() -> None:
    async def scenario(live: Live) -> None:
        await live.ready()
        assert 2 == len(live.store)
        assert 1 == len(live.feeds)

    play(fleet(), scenario, workspace="")


def test_an_argo_cd_that_does_not_answer_is_said_soon() -> None:
    argocd = fleet()
    argocd.refusing = Unavailable("nobody listens")

    async def scenario(live: Live) -> None:
        status = await live.ready()
        assert (FeedState.CONNECTING, "nobody listens") == (status.state, status.error)

    play(argocd, scenario)


def test_looking_at_one_keeps_its_tree_and_events_fresh() -> None:
    argocd = fleet()
    argocd.trees[key("web")] = ResourceTree()

    async def scenario(live: Live) -> None:
        await live.ready()
        end = live.follow(key("web"))
        await asyncio.sleep(11)
        assert live.store.tree(key("web")) is not None
        end()
        await asyncio.sleep(1)
        assert live.store.tree(key("web")) is None
        before = len(argocd.calls)
        await asyncio.sleep(60)
        assert before == len(argocd.calls)

    play(argocd, scenario)
    assert 3 == argocd.calls.count("events web")
