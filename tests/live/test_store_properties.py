"""Any interleaving of stream, lists and gets ends equal to the server's truth."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.argocd.types import Application, WatchEvent
from backends.domain.ids import AppKey
from backends.live.store import Store
from tests.live.samples import WORKSPACE, added, application, deleted, key, later, modified, projected

NAMES = ("a", "b")
SELECTOR = f"tiphys.dev/workspace={WORKSPACE}"
FOREIGN = application("foreign", version=1, labels={})


class Server:
    """What Argo CD does: one truth, a stream that tells of it in order, lists and gets that answer when they like."""

    def __init__(self) -> None:
        self.truth: dict[AppKey, Application] = {}
        self.version = 1
        self.wire: deque[WatchEvent] = deque()

    def change(self, name: str, sync: str, health: str) -> None:
        self.version += 1
        before = self.truth.get(key(name))
        uid = before.metadata.uid if before else f"{name}-{self.version}"
        created = before.metadata.creation_timestamp if before else later(self.version)
        assert created is not None
        now = application(name, version=self.version, uid=uid, created=created, sync=sync, health=health, reconciled=later(self.version))
        self.truth[key(name)] = now
        self.wire.append(modified(now) if before else added(now))

    def delete(self, name: str) -> None:
        last = self.truth.pop(key(name), None)
        if last is not None:
            self.version += 1
            self.wire.append(deleted(application(name, version=self.version, uid=last.metadata.uid)))

    def burst(self) -> list[WatchEvent]:
        return [added(self.truth[k]) for k in sorted(self.truth)]

    def list(self) -> list[Application]:
        return [projected(self.truth[k]) for k in sorted(self.truth)]


name = st.sampled_from(NAMES)
change = st.tuples(st.just("change"), name, st.sampled_from(("Synced", "OutOfSync")), st.sampled_from(("Healthy", "Progressing")))
delete = st.tuples(st.just("delete"), name)
deliver = st.tuples(st.just("deliver"), st.sampled_from((1, 2, 9)))
a_list = st.tuples(st.sampled_from(("ask list", "answer list", "list arrives", "list arrives")))
a_get = st.tuples(st.sampled_from(("ask get", "answer get", "get arrives", "get arrives")), name)
losing = st.one_of(st.tuples(st.just("lose")), st.tuples(st.just("reconnect")))
NOT_LOSING = st.lists(st.one_of(change, delete, deliver, deliver, a_list, a_get), min_size=8, max_size=30)
LOSING = st.lists(st.one_of(change, delete, deliver, deliver, a_list, a_get, losing), min_size=8, max_size=30)


def take(store: Store, listed: list[Application], ticket: int) -> None:
    store.apply_list(listed, ticket)
    store.sweep({one.key for one in listed}, ticket, selector=SELECTOR)


def play(moves: list[tuple[object, ...]]) -> tuple[Server, Store]:
    """Run the moves; a list or get is asked for, evaluated and answered at three different moments. Then the wire runs empty."""
    server, store = Server(), Store()
    store.apply_event(added(FOREIGN))
    lists: dict[str, deque[object]] = {"asked": deque(), "answered": deque()}
    gets: dict[str, deque[object]] = {"asked": deque(), "answered": deque()}
    for move in moves:
        match move:
            case ("change", str(n), str(sync), str(health)):
                server.change(n, sync, health)
            case ("delete", str(n)):
                server.delete(n)
            case ("deliver", int(count)):
                for _ in range(min(count, len(server.wire))):
                    store.apply_event(server.wire.popleft())
            case ("lose",) if server.wire:
                server.wire.popleft()
            case ("reconnect",):
                server.wire = deque(server.burst())
            case ("ask list",):
                lists["asked"].append(store.begin_list())
            case ("answer list",) if lists["asked"]:
                lists["answered"].append((lists["asked"].popleft(), server.list()))
            case ("list arrives",) if lists["answered"]:
                ticket, listed = lists["answered"].popleft()
                take(store, listed, ticket)
            case ("ask get", str(n)):
                gets["asked"].append((n, store.begin_list()))
            case ("answer get", str()) if gets["asked"]:
                n, ticket = gets["asked"].popleft()
                if key(n) in server.truth:
                    gets["answered"].append((server.truth[key(n)], ticket))
            case ("get arrives", str()) if gets["answered"]:
                store.apply_get(*gets["answered"].popleft())
    while server.wire:
        store.apply_event(server.wire.popleft())
    return server, store


def rows(store: Store) -> dict[AppKey, Application]:
    return {k: row.application for k, row in store.publish().rows.items() if k != FOREIGN.key}


def faces(applications: dict[AppKey, Application]) -> dict[AppKey, tuple[str, str]]:
    return {k: (app.status.sync.status, app.status.health.status) for k, app in applications.items()}


@settings(max_examples=200)
@given(NOT_LOSING)
def test_with_a_complete_stream_no_list_and_no_get_ever_does_harm(moves: list[tuple[object, ...]]) -> None:
    server, store = play(moves)

    assert faces(server.truth) == faces(rows(store))


@settings(max_examples=200)
@given(LOSING)
def test_after_losses_a_list_and_gets_of_what_it_names_restore_the_truth(moves: list[tuple[object, ...]]) -> None:
    server, store = play(moves)
    take(store, server.list(), store.begin_list())
    assert faces(server.truth) == faces(rows(store))

    for partial in [k for k, row in store.snapshot.rows.items() if row.partial]:
        store.apply_get(server.truth[partial], store.begin_list())
    assert faces(server.truth) == faces(rows(store))
    assert FOREIGN == store.snapshot.application(FOREIGN.key)
