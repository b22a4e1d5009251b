"""What a closer look asks for beside the feed, and when it does not."""

from __future__ import annotations

import asyncio

import msgspec

from backends.argocd.types import Application, Node, ResourceStatus, ResourceTree
from backends.domain.rollout import FeedState
from backends.live.errands import Errands
from backends.live.following import FollowOptions
from backends.live.looks import Looks
from backends.live.snapshot import FeedStatus
from backends.live.store import Store
from backends.live.target import Target
from tests.live import virtual
from tests.live.fake import FakeArgoCD
from tests.live.samples import application, key, modified

WEB = key("web")
RESOURCES = (ResourceStatus(kind="Deployment", name="web", status="OutOfSync"),)


def with_resources(one: Application) -> Application:
    return msgspec.structs.replace(one, status=msgspec.structs.replace(one.status, resources=RESOURCES))


def test_which_resources_differ_is_asked_once_in_a_while_and_forgotten_when_nothing_does() -> None:
    drifted = application("web", sync="OutOfSync")
    argocd = FakeArgoCD(with_resources(drifted))
    asked: list[int] = []

    async def scenario() -> None:
        store = Store()
        store.report(FeedStatus(name="applications", state=FeedState.LIVE))
        errands = Errands(4, lambda: None)
        looks = Looks(argocd, store, errands, feeds=("applications",), options=FollowOptions(), now=virtual.now)  # type: ignore[arg-type]
        target = Target(WEB)
        looks.add(target)
        store.apply_event(modified(drifted))

        async def look() -> Application | None:
            looks.ask(target, looks.seen(target), lambda revision, commit: True)
            await asyncio.sleep(1)
            asked.append(sum(call.startswith("get") for call in argocd.calls))
            return looks.seen(target).application

        found = [await look(), await look()]
        assert [RESOURCES] * 2 == [one and one.status.resources for one in found]
        store.apply_event(modified(application("web", version=9)))
        synced = await look()
        assert synced is not None
        assert synced.status.resources is None
        looks.close()
        await errands.close()

    virtual.run(scenario())
    assert [1, 1, 1] == asked


def test_a_stream_of_a_tree_says_nothing_when_it_opens_so_the_tree_is_asked_for_too() -> None:
    argocd = FakeArgoCD(application("web", health="Progressing"))
    argocd.trees[WEB] = ResourceTree(nodes=(Node(kind="Pod", name="web-1", uid="1"),))
    argocd.silent_trees = True

    async def scenario() -> ResourceTree | None:
        store = Store()
        store.report(FeedStatus(name="applications", state=FeedState.LIVE))
        errands = Errands(4, lambda: None)
        looks = Looks(argocd, store, errands, feeds=("applications",), options=FollowOptions(), now=virtual.now)  # type: ignore[arg-type]
        target = Target(WEB)
        looks.add(target)
        store.apply_event(modified(application("web", health="Progressing")))
        for _ in range(10):
            looks.ask(target, looks.seen(target), lambda revision, commit: True)
            await asyncio.sleep(1)
        looks.close()
        await errands.close()
        return target.tree

    assert argocd.trees[WEB] == virtual.run(scenario())
    assert argocd.calls.count("tree web") <= 2
