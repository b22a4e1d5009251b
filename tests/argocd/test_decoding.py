"""Answers as Go writes them: nulls anywhere, texts that are no text, lists read while they arrive."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.argocd import listing
from backends.argocd.decoding import application, decode
from backends.argocd.listing import ApplicationListing, applications
from backends.argocd.types import Application, Cluster, Event, Metadata, Node, ResourceTree, SyncWindows, WatchEvent
from backends.errors import ProtocolError

FULL: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "argocd", "labels": {"a": "b"}, "ownerReferences": [{"kind": "X"}]},
    "spec": {"project": "dev", "source": {"helm": {"valuesObject": {"key": None}}}},
    "operation": {"sync": {"revision": "r", "resources": [{"kind": "Job"}]}, "initiatedBy": {"username": "u"}},
    "status": {
        "sync": {"status": "Synced", "revision": "r", "comparedTo": {}},
        "health": {"status": "Healthy", "message": "m"},
        "conditions": [{"type": "SyncError", "message": "m"}],
        "history": [{"id": 3, "revision": "r", "initiatedBy": {"automated": True}}],
        "operationState": {"phase": "Running", "retryCount": 2, "syncResult": {"revision": "r", "resources": [{"kind": "Job"}]}},
        "resources": [{"kind": "Job", "hook": True, "syncWave": 1}],
        "summary": {"images": ["nginx"], "externalURLs": ["http://x"]},
    },
}


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every field of a JSON value."""
    found = [here] if here else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*found, *(path for key, each in items for path in paths(each, (*here, key)))]


def with_null(value: Any, path: tuple[Any, ...]) -> Any:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = None
    return copy


@pytest.mark.parametrize("path", paths(FULL), ids=lambda path: ".".join(map(str, path)))
def test_a_null_anywhere_in_an_application_means_absent(path: tuple[Any, ...]) -> None:
    app = application(json.dumps(with_null(FULL, path)).encode())
    whole = application(json.dumps(FULL).encode())

    assert isinstance(app, Application)
    assert path[0] == "metadata" or whole.metadata == app.metadata
    assert path[:2] == ("status", "health") or path == ("status",) or "Healthy" == app.status.health.status


@pytest.mark.parametrize("type_", [Cluster, Event, Node, ResourceTree, SyncWindows, WatchEvent, Metadata])
def test_every_field_of_every_answer_may_be_null(type_: type[msgspec.Struct]) -> None:
    names = [field.encode_name for field in msgspec.structs.fields(type_)]
    assert type_() == decode(json.dumps(dict.fromkeys(names)).encode(), type_)


def test_nulls_inside_a_spec_stay_because_somebody_wrote_them() -> None:
    app = application(json.dumps(with_null(FULL, ("status", "health", "message"))).encode())
    assert {"key": None} == app.spec["source"]["helm"]["valuesObject"]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'{"metadata":{"name":"a\xff\xfeb"}}', "a��b"),
        (b'{"metadata":{"name":"a\\ud800b"}}', "a�b"),
        (b'{"metadata":{"name":"a\x01b"}}', "a\x01b"),
        ('{"metadata":{"name":"größe \U0001f600"}}'.encode(), "größe \U0001f600"),
    ],
)
def test_text_that_is_no_text_loses_nothing_else(raw: bytes, name: str) -> None:
    assert name == application(raw).metadata.name
    application(raw).metadata.name.encode()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"metadata":{"name":"we', "not whole JSON"),
        (b"", "not whole JSON"),
        (b"<html>", "not whole JSON"),
        (b'{"metadata":{"name":5}}', "metadata.name"),
        (b"[]", "shape"),
        (b'{"spec":' + b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_application_is_a_protocol_error(raw: bytes, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        application(raw)


def listed(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "metadata": {"name": f"app-{number}", "namespace": "argocd", "labels": {"x": '},{"metadata":'}},
            "status": {"sync": {"status": "Synced"}},
            **more,
        }
        for number in range(count)
    ]


SHAPES = {
    "compact": lambda items: json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}, separators=(",", ":")),
    "spaced": lambda items: json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}),
    "indented": lambda items: json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}, indent=1),
    "items first": lambda items: json.dumps({"items": items, "metadata": {"resourceVersion": "1"}}, separators=(",", ":")),
    "kind first": lambda items: json.dumps({"items": [{"kind": "Application", **item} for item in items]}, separators=(",", ":")),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [0, 1, 2, 50])
@pytest.mark.parametrize("size", [7, 100, 10_000])
def test_a_list_in_any_writing_and_chunking_gives_all_its_applications(
    shape: str, count: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "BATCH", 300)
    data = SHAPES[shape](listed(count)).encode()
    reader, found = ApplicationListing(partial=True), list[Application]()
    for start in range(0, len(data), size):
        found += reader.feed(data[start : start + size])
    found += reader.finish()

    assert [f"app-{number}" for number in range(count)] == [app.metadata.name for app in found]
    assert all(app.partial for app in found)


def test_a_border_that_is_inside_an_application_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "BATCH", 1)
    nested = [{"metadata": {"name": f"a{n}"}, "spec": {"list": [{"x": 1}, {"metadata": 2}, {"metadata": 3}]}} for n in range(30)]
    data = json.dumps({"items": nested}, separators=(",", ":")).encode()
    reader, found = ApplicationListing(partial=False), list[Application]()
    for start in range(0, len(data), 11):
        found += reader.feed(data[start : start + 11])
    found += reader.finish()

    assert [f"a{n}" for n in range(30)] == [app.metadata.name for app in found]
    assert all({"list": [{"x": 1}, {"metadata": 2}, {"metadata": 3}]} == app.spec for app in found)


def test_applications_with_nulls_and_broken_text_are_read_in_the_middle_of_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "BATCH", 300)
    items = listed(20)
    items[7]["status"]["sync"]["status"] = None
    items[9]["metadata"]["labels"]["x"] = "BROKEN"
    data = SHAPES["compact"](items).encode().replace(b"BROKEN", b"\xff")
    found = list(applications(data, partial=False))

    assert 20 == len(found)
    assert ("", "�") == (found[7].status.sync.status, found[9].metadata.labels["x"])


@given(st.integers(min_value=1, max_value=400))
def test_a_list_that_is_cut_off_is_never_taken_for_a_whole_one(cut: int) -> None:
    data = SHAPES["compact"](listed(6)).encode()
    with pytest.raises(ProtocolError):
        list(applications(data[:-cut], partial=False))


@pytest.mark.parametrize("data", [b'{"items":null}', b'{"metadata":{},"items":[]}', b"{}"])
def test_no_items_are_no_applications(data: bytes) -> None:
    assert [] == list(applications(data, partial=True))


def test_an_event_of_the_scheduler_has_its_time_and_count_in_a_series() -> None:
    once = decode(b'{"reason":"FailedScheduling","eventTime":"2026-11-24T12:00:00.123456Z","lastTimestamp":null,"count":null}', Event)
    often = decode(b'{"eventTime":"2026-11-24T12:00:00Z","series":{"count":4,"lastObservedTime":"2026-11-24T12:05:00.5Z"}}', Event)
    plain = decode(b'{"firstTimestamp":"2026-11-24T12:00:00Z","lastTimestamp":"2026-11-24T12:07:00Z","count":9}', Event)

    assert [(0, 1), (5, 4), (7, 9)] == [(event.at.minute, event.times) for event in (once, often, plain) if event.at]


def test_a_time_without_a_zone_is_utc() -> None:
    raw = b'{"metadata":{"name":"a","creationTimestamp":"2026-11-24T10:00:00.5","labels":{"at":"2026-11-24"}}}'

    one = decode(raw, Application)

    assert datetime(2026, 11, 24, 10, 0, 0, 500_000, UTC) == one.metadata.creation_timestamp
    assert {"at": "2026-11-24"} == one.metadata.labels
