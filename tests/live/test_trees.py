"""Resource trees: a stream for what is followed, a look now and then for what stays Progressing, nothing for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from backends.argocd.types import Node, ResourceTree
from backends.live.pace import ended
from backends.live.store import Store
from backends.live.trees import TreeFeed
from tests.live import virtual
from tests.live.fake import FakeArgoCD
from tests.live.samples import added, application, key, modified

WEB = key("web")


def tree(*names: str) -> ResourceTree:
    return ResourceTree(nodes=tuple(Node(kind="Pod", name=name, uid=name) for name in names))


def play(argocd: FakeArgoCD, scenario: Callable[[Store, TreeFeed], Awaitable[None]], *, managed: tuple[str, ...] = ("web",)) -> None:
    async def both() -> None:
        store = Store()
        store.manage({key(name) for name in managed})
        feed = TreeFeed(argocd, store, now=virtual.now, chance=lambda: 0.5)  # type: ignore[arg-type]
        running = asyncio.ensure_future(feed.run())
        await asyncio.sleep(0)
        await scenario(store, feed)
        await ended(running)
        assert 1 == len(asyncio.all_tasks())

    virtual.run(both())


def test_what_stays_progressing_is_read_after_ten_seconds_and_then_every_fifteen() -> None:
    argocd = FakeArgoCD()
    argocd.trees[WEB] = tree("one")

    async def scenario(store: Store, feed: TreeFeed) -> None:
        store.apply_event(added(application("web", health="Progressing")))
        await asyncio.sleep(9)
        assert [] == argocd.calls
        await asyncio.sleep(2)
        view = store.tree(WEB)
        assert view is not None
        assert tree("one") == view.tree
        await asyncio.sleep(45)
        assert 4 == len(argocd.calls)
        store.apply_event(modified(application("web", version=2, health="Healthy")))
        await asyncio.sleep(60)
        assert 4 == len(argocd.calls)
        assert store.tree(WEB) is None

    play(argocd, scenario)


def test_a_short_rollout_costs_nothing() -> None:
    argocd = FakeArgoCD()

    async def scenario(store: Store, feed: TreeFeed) -> None:
        for version in range(1, 21, 2):
            store.apply_event(modified(application("web", version=version, health="Progressing")))
            await asyncio.sleep(8)
            store.apply_event(modified(application("web", version=version + 1, health="Healthy")))
            await asyncio.sleep(8)

    play(argocd, scenario)
    assert [] == argocd.calls


def test_four_at_once_and_only_deployments_of_the_workspace() -> None:
    argocd = FakeArgoCD()
    argocd.list_seconds = 1.0
    names = tuple(f"app-{n}" for n in range(10))
    running, most = 0, 0
    read = argocd.resource_tree

    async def counted(*args: object, **more: object) -> ResourceTree:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await read(*args, **more)  # type: ignore[arg-type]
        finally:
            running -= 1

    argocd.resource_tree = counted  # type: ignore[method-assign]

    async def scenario(store: Store, feed: TreeFeed) -> None:
        for n, name in enumerate((*names, "foreign")):
            store.apply_event(added(application(name, version=n + 1, health="Progressing")))
        await asyncio.sleep(15)

    play(argocd, scenario, managed=names)
    assert 4 == most
    assert {f"tree {name}" for name in names} == set(argocd.calls)


def test_what_is_followed_has_a_stream_and_ends_with_its_last_follower() -> None:
    argocd = FakeArgoCD()
    argocd.trees[WEB] = tree("one")

    async def scenario(store: Store, feed: TreeFeed) -> None:
        store.apply_event(added(application("web")))
        first, second = feed.follow(WEB), feed.follow(WEB)
        await asyncio.sleep(1)
        assert store.tree(WEB) is not None
        argocd.trees[WEB] = tree("one", "two")
        await asyncio.sleep(0.2)
        view = store.tree(WEB)
        assert view is not None
        assert tree("one", "two") == view.tree
        first()
        await asyncio.sleep(1)
        assert store.tree(WEB) is not None
        second()
        await asyncio.sleep(1)
        assert store.tree(WEB) is None
        calls = len(argocd.calls)
        await asyncio.sleep(60)
        assert calls == len(argocd.calls)

    play(argocd, scenario)
    assert 1 == argocd.calls.count("watch tree web")
