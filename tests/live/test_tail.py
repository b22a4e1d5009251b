"""The tail: changes of Applications, Kubernetes events and commits in one list."""

from __future__ import annotations

import asyncio

import pytest

from backends.argocd.types import Event, EventObject, Health, Metadata, Node, ResourceTree
from backends.domain.event import EventSource, LiveEvent
from backends.domain.ids import DeploymentId, Sha
from backends.domain.release import Release
from backends.domain.rollout import FeedState
from backends.errors import Unavailable
from backends.live.events import EventsFeed
from backends.live.feeds import ApplicationsFeed
from backends.live.pace import ended
from backends.live.store import FeedStatus, Store, TreeView
from backends.live.tail import Tail, of_release
from tests.live import virtual
from tests.live.fake import FakeArgoCD
from tests.live.samples import REVISIONS, WORKSPACE, added, application, key, later, modified
from tests.live.test_feeds import live, out_of_sync

LABELS = {"tiphys.dev/workspace": WORKSPACE, "tiphys.dev/app": "web"}


def live_store() -> Store:
    store = Store()
    store.report(FeedStatus(name="applications", state=FeedState.LIVE))
    return store


def kube_event(uid: str, reason: str, count: int, at: float) -> Event:
    about = EventObject(kind="Pod", name="web-1", uid="pod-1")
    return Event(metadata=Metadata(uid=uid), involved_object=about, reason=reason, type="Warning", count=count, last_timestamp=later(at))


def test_the_first_sight_of_what_was_there_is_no_event() -> None:
    store = Store()
    tail = Tail(store, now=lambda: later(0))
    store.report(FeedStatus(name="applications", state=FeedState.CONNECTING))
    store.apply_event(added(application("web")))
    assert () == tail.events

    store.report(FeedStatus(name="applications", state=FeedState.LIVE))
    store.apply_event(added(application("api", version=2, labels=LABELS, created=later(9))))
    assert [("Created", "api", later(9), DeploymentId("api"))] == [(e.reason, e.name, e.at, e.deployment) for e in tail.events]


def test_after_a_cut_it_says_how_long_the_gap_was_and_the_end_state() -> None:
    argocd = FakeArgoCD(application("web", version=1, labels=LABELS))

    async def scenario() -> list[LiveEvent]:
        store = Store()
        tail = Tail(store, now=virtual.now)
        feed = ApplicationsFeed(argocd, store, now=virtual.now)
        running = asyncio.ensure_future(feed.run())
        await live(feed)
        await asyncio.sleep(20)
        argocd.refusing = Unavailable("nobody listens")
        argocd.cut()
        await asyncio.sleep(60)
        argocd.change(out_of_sync(argocd.truth[key("web")]))
        argocd.refusing = None
        await live(feed)
        await asyncio.sleep(0.2)
        await ended(running)
        tail.close()
        return list(tail.events)

    events = virtual.run(scenario())
    assert {"OutOfSync", "Gap"} == {event.reason for event in events}
    gap = next(event for event in events if event.reason == "Gap")
    assert gap.message.startswith("gap ")
    assert 60 <= int(gap.message.split()[1]) <= 70 + 15


async def test_a_follower_gets_what_comes_and_leaves_nothing_behind() -> None:
    store = live_store()
    tail = Tail(store, now=lambda: later(0))
    store.apply_event(added(application("web")))
    following = tail.follow()
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    store.apply_event(modified(application("web", version=2, health="Degraded")))
    assert "Degraded" == (await waiting).reason
    await following.aclose()  # type: ignore[attr-defined]
    assert {} == tail._followers


def test_it_is_bounded() -> None:
    store = live_store()
    tail = Tail(store, limit=10, now=lambda: later(0))
    for n in range(50):
        store.apply_event(modified(application("web", version=n + 1, health="Degraded" if n % 2 else "Healthy")))
    assert 10 == len(tail.events)


def test_a_commit_is_a_line_too() -> None:
    release = Release(
        commit=Sha(REVISIONS[0]),
        at=later(1),
        author="Ada",
        subject="deploy(web → dev): a → b",
        op="deploy",
        deployments=(DeploymentId("web"),),
    )
    event = of_release(release)
    assert (EventSource.GIT, "deploy", "deploy(web → dev): a → b (Ada)", "web") == (
        event.source,
        event.reason,
        event.message,
        event.deployment,
    )


def run_events(argocd: FakeArgoCD, scenario: object, *, followed: bool) -> tuple[LiveEvent, ...]:
    async def both() -> tuple[LiveEvent, ...]:
        store = live_store()
        store.manage({key("web")})
        store.apply_event(added(application("web", labels=LABELS)))
        tail = Tail(store, now=virtual.now)
        feed = EventsFeed(argocd, store, tail, now=virtual.now)
        running = asyncio.ensure_future(feed.run())
        end = feed.follow(key("web")) if followed else lambda: None
        await scenario(argocd, store)  # type: ignore[operator]
        end()
        await ended(running)
        assert 1 == len(asyncio.all_tasks())
        return tuple(event for event in tail.events if event.source is EventSource.KUBERNETES)

    return virtual.run(both())


def test_what_is_followed_is_looked_at_again_and_again_and_nothing_is_told_twice() -> None:
    argocd = FakeArgoCD()
    pod = Node(kind="Pod", name="web-1", uid="pod-1", health=Health(status="Degraded"))

    async def scenario(argocd: FakeArgoCD, store: Store) -> None:
        store.put_tree(
            key("web"),
            TreeView(ResourceTree(nodes=(pod, Node(kind="Pod", name="fine", uid="2", health=Health(status="Healthy")))), later(0)),
        )
        argocd.object_events["web"] = (kube_event("a", "Synced", 1, -600),)
        argocd.object_events["pod-1"] = (kube_event("b", "BackOff", 1, 1),)
        await asyncio.sleep(12)
        argocd.object_events["pod-1"] = (kube_event("b", "BackOff", 4, 11),)
        await asyncio.sleep(12)

    told = run_events(argocd, scenario, followed=True)
    assert [("Synced", 1), ("BackOff", 1), ("BackOff", 4)] == [(event.reason, event.count) for event in told]
    assert 5 == argocd.calls.count("events web") == argocd.calls.count("events web-1")
    assert 0 == argocd.calls.count("events fine")


def test_anything_else_is_looked_at_once_after_a_change() -> None:
    argocd = FakeArgoCD()

    async def scenario(argocd: FakeArgoCD, store: Store) -> None:
        await asyncio.sleep(60)
        assert [] == argocd.calls
        argocd.object_events["web"] = (kube_event("old", "Older", 1, -60), kube_event("a", "OperationStarted", 1, 60))
        store.apply_event(modified(application("web", version=2, sync="OutOfSync", labels=LABELS)))
        store.apply_event(modified(application("web", version=3, sync="OutOfSync", health="Progressing", labels=LABELS)))
        store.apply_event(added(application("foreign", version=4)))
        store.apply_event(modified(application("foreign", version=5, health="Degraded")))
        await asyncio.sleep(60)

    told = run_events(argocd, scenario, followed=False)
    assert ["OperationStarted"] == [event.reason for event in told]
    assert ["events web"] == argocd.calls


@pytest.mark.parametrize("count", [1, 400])
def test_an_outage_does_not_become_a_storm_of_requests(count: int) -> None:
    argocd = FakeArgoCD()
    names = [f"app-{n}" for n in range(count)]

    async def both() -> None:
        store = live_store()
        store.manage({key(name) for name in names})
        for n, name in enumerate(names):
            store.apply_event(added(application(name, version=n + 1)))
        feed = EventsFeed(argocd, store, Tail(store), now=virtual.now)
        running = asyncio.ensure_future(feed.run())
        await asyncio.sleep(0)
        for n, name in enumerate(names):
            store.apply_event(modified(application(name, version=n + 1000, health="Degraded")))
        await asyncio.sleep(60)
        await ended(running)

    virtual.run(both())
    assert min(count, 200) == len(argocd.calls)
