"""The store: what is kept, what overwrites what, and what readers are told."""

import asyncio
import threading

from backends.argocd.types import Application
from backends.domain.ids import AppKey
from backends.domain.rollout import FeedState
from backends.live.store import Change, FeedStatus, Store
from tests.live.samples import REVISIONS, added, application, deleted, key, later, modified, projected

WEB, API = key("web"), key("api")


def take_list(store: Store, applications: list[Application], ticket: int, selector: str = "") -> frozenset[AppKey]:
    """A list as a feed takes it once the stream is open."""
    out_of_date = store.apply_list(applications, ticket)
    store.sweep({one.key for one in applications}, ticket, selector=selector)
    return out_of_date


def test_an_older_version_never_overwrites_a_newer_one() -> None:
    store = Store()
    store.apply_event(modified(application("web", version=7, sync="Synced")))
    store.apply_event(modified(application("web", version=5, sync="OutOfSync")))

    assert "Synced" == store.publish().rows[WEB].application.status.sync.status


def test_a_projected_row_never_overwrites_what_the_stream_said() -> None:
    store = Store()
    full = application("web", version=7, reconciled=later(5))
    store.apply_event(added(full))
    take_list(store, [projected(full)], store.begin_list())

    row = store.publish().rows[WEB]
    assert (False, later(5), "7") == (row.partial, row.application.status.reconciled_at, row.application.metadata.resource_version)


def test_rows_of_a_list_alone_are_marked_partial_and_completed_by_the_stream() -> None:
    store = Store()
    full = application("web", version=3, reconciled=later(1))
    store.apply_list([projected(full)], store.begin_list())
    assert store.publish().rows[WEB].partial

    store.apply_event(added(full))
    assert not store.publish().rows[WEB].partial
    assert full == store.snapshot.application(WEB)


def test_a_list_that_shows_what_the_stream_lost_is_taken_and_the_rest_is_asked_for() -> None:
    store = Store()
    store.apply_event(added(application("web", version=3, revision=REVISIONS[0])))
    store.apply_event(added(application("api", version=4)))
    now = application("web", version=9, revision=REVISIONS[1], sync="OutOfSync")

    ticket = store.begin_list()
    assert {WEB} == take_list(store, [projected(now), projected(application("api", version=4))], ticket)

    row = store.publish().rows[WEB]
    assert (True, "OutOfSync", REVISIONS[1]) == (row.partial, row.application.status.sync.status, row.application.status.sync.revision)
    store.apply_get(now, store.begin_list())
    assert now == store.publish().application(WEB)
    assert not store.snapshot.rows[WEB].partial


def test_a_list_says_what_is_gone_but_not_of_what_came_after_it_was_asked_for() -> None:
    store = Store()
    store.apply_event(added(application("web")))
    ticket = store.begin_list()
    store.apply_event(added(application("api")))
    take_list(store, [], ticket)

    assert {API} == set(store.publish().rows)


def test_a_list_of_a_moment_ago_does_not_bring_back_what_was_deleted_meanwhile() -> None:
    store = Store()
    web = application("web")
    store.apply_event(added(web))
    ticket = store.begin_list()
    store.apply_event(deleted(web))
    take_list(store, [projected(web)], ticket)

    assert {} == store.publish().rows


def test_a_list_without_sweeping_removes_nothing() -> None:
    store = Store()
    store.apply_event(added(application("web")))
    store.apply_list([], store.begin_list())

    assert {WEB} == set(store.publish().rows)


def test_a_list_by_selector_is_no_truth_about_others() -> None:
    store = Store()
    store.apply_event(added(application("web", labels={"team": "a"})))
    store.apply_event(added(application("api", labels={"team": "b"})))
    take_list(store, [], store.begin_list(), "team=a")

    assert {API} == set(store.publish().rows)


def test_an_application_created_again_survives_the_late_news_of_its_first_end() -> None:
    store = Store()
    store.apply_event(added(application("web", version=20, uid="second", created=later(60))))
    store.apply_event(deleted(application("web", version=10, uid="first")))

    assert {WEB} == set(store.publish().rows)


def test_a_cluster_that_was_set_up_anew_counts_its_versions_from_the_beginning() -> None:
    store = Store()
    store.apply_event(added(application("web", version=90_000, uid="old")))
    store.apply_event(added(application("web", version=12, uid="new", created=later(3600), sync="OutOfSync")))

    assert "OutOfSync" == store.publish().rows[WEB].application.status.sync.status


def test_hearing_the_same_again_is_no_change() -> None:
    store = Store()
    store.apply_event(added(application("web", version=3)))
    first = store.publish()
    told: list[Change] = []
    store.subscribe(told.append)
    store.apply_event(added(application("web", version=3)))

    assert first.rows[WEB].application is store.publish().rows[WEB].application
    assert [frozenset()] == [change.keys for change in told]


def test_snapshots_never_change_and_share_their_rows() -> None:
    store = Store()
    store.apply_event(added(application("web", version=1)))
    store.apply_event(added(application("api", version=2)))
    before = store.publish()
    store.apply_event(modified(application("web", version=3, sync="OutOfSync")))
    after = store.publish()

    assert ["Synced", "OutOfSync"] == [shot.rows[WEB].application.status.sync.status for shot in (before, after)]
    assert before.rows[API] is after.rows[API]


def test_what_no_directory_names_is_kept_as_unmanaged() -> None:
    store = Store()
    store.apply_event(added(application("web")))
    store.apply_event(added(application("foreign", labels={})))
    store.manage({WEB})

    assert ["foreign"] == [row.application.metadata.name for row in store.publish().unmanaged]


async def test_the_first_change_is_published_at_once_and_the_next_ones_together() -> None:
    store = Store(interval=0.05)
    told: list[Change] = []
    store.subscribe(told.append)
    loop = asyncio.get_running_loop()
    store.apply_event(added(application("web", version=1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [{WEB}] == [set(change.keys) for change in told]

    began = loop.time()
    for version in range(2, 50):
        store.apply_event(modified(application("web", version=version, sync="OutOfSync")))
        store.apply_event(modified(application("api", version=version)))
        await asyncio.sleep(0)
    while len(told) < 2:
        await asyncio.sleep(0.005)
    assert [{WEB}, {WEB, API}] == [set(change.keys) for change in told]
    assert loop.time() - began < 1.0


async def test_a_slow_reader_gets_several_changes_as_one() -> None:
    store = Store(interval=0.0)
    store.apply_event(added(application("web")))
    store.publish()
    changes = store.changes()
    assert {WEB} == (await anext(changes)).keys

    store.apply_event(added(application("api")))
    store.publish()
    store.apply_event(deleted(application("web")))
    store.publish()
    change = await anext(changes)
    assert ({WEB, API}, {API}) == (set(change.keys), set(change.snapshot.rows))
    await changes.aclose()


async def test_a_feed_that_falls_silent_is_told_and_its_last_message_alone_is_not() -> None:
    store = Store(interval=0.0)
    told: list[Change] = []
    store.subscribe(told.append)
    store.report(FeedStatus(name="applications", state=FeedState.LIVE, last_message=later(0)))
    await asyncio.sleep(0.01)
    store.report(FeedStatus(name="applications", state=FeedState.LIVE, last_message=later(15)))
    await asyncio.sleep(0.01)
    assert 1 == len(told)
    assert later(15) == store.feeds[0].last_message

    store.report(FeedStatus(name="applications", state=FeedState.STALE, error="cut"))
    await asyncio.sleep(0.01)
    assert [FeedState.LIVE, FeedState.STALE] == [change.snapshot.feed("applications").state for change in told]


def test_snapshots_are_read_from_another_thread() -> None:
    store = Store()
    store.apply_event(added(application("web")))
    store.publish()
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(len(store.snapshot.rows)))
    thread.start()
    thread.join()

    assert [1] == seen


def test_observers_hear_of_every_single_change() -> None:
    store = Store()
    heard: list[tuple[str, str]] = []
    end = store.observe(
        lambda before, after: heard.append(
            (before.application.status.sync.status if before else "-", after.application.status.sync.status if after else "-")
        )
    )
    store.apply_event(added(application("web", version=1)))
    store.apply_event(modified(application("web", version=2, sync="OutOfSync")))
    store.apply_event(deleted(application("web", version=3)))
    end()
    store.apply_event(added(application("web", version=4, uid="again")))

    assert [("-", "Synced"), ("Synced", "OutOfSync"), ("OutOfSync", "-")] == heard


def test_a_get_that_was_overtaken_by_the_stream_changes_nothing() -> None:
    store = Store()
    store.apply_event(added(application("web", version=3)))
    ticket = store.begin_list()
    store.apply_event(modified(application("web", version=5, sync="OutOfSync")))
    store.apply_get(application("web", version=4), ticket)
    assert "5" == store.publish().rows[WEB].application.metadata.resource_version

    store.apply_event(deleted(application("web", version=6)))
    store.apply_get(application("web", version=5), ticket)
    assert {} == store.publish().rows
