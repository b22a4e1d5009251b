"""What the tail says of recorded streams, and of texts that are not meant well."""

from __future__ import annotations

import msgspec
import pytest

from backends.argocd.types import Application, Condition, Health, Operation, OperationState, SyncOperation, WatchEvent
from backends.live.transitions import transitions
from tests.live.samples import REVISIONS, application, later
from tests.shared import stream


def told(name: str, app: str) -> list[str]:
    """The reasons of one Application's events in a recorded stream."""
    rows: dict[str, Application] = {}
    said: list[str] = []
    for line in stream(name):
        if line.get("stream") != "apps" or "result" not in line.get("data", {}):
            continue
        event = msgspec.convert(line["data"]["result"], WatchEvent)
        if event.application.metadata.name != app:
            continue
        before, after = rows.get(app), None if event.type == "DELETED" else event.application
        if before is not None or line["t"] > 1:
            said += [one.reason for one in transitions(before, after, at=later(line["t"]))]
        if after is not None:
            rows[app] = after
        else:
            rows.pop(app, None)
    return said


def test_a_good_deploy_is_told_from_request_to_healthy() -> None:
    expected = [
        "SyncRequested",
        "SyncStarted",
        "OutOfSync",
        "SyncWaiting",
        "SyncWaiting",
        "SyncSucceeded",
        "Synced",
        "Progressing",
        "Healthy",
    ]
    assert expected == told("deploy-good", "web-dev-aaaaaa")


def test_a_failing_hook_is_told_with_each_attempt() -> None:
    said = told("hook-fails", "web-dev-aaaaaa")
    assert 3 == said.count("SyncFailed")
    assert said.index("SyncFailed") < said.index("SyncTerminating")
    assert "Healthy" == said[-1]


def test_a_deployment_is_told_from_creation_to_deletion() -> None:
    said = told("first-deploy-by-environment-manager", "web-dev-new234")
    assert "Created" == said[0]
    assert ["Deleting", "Progressing", "OutOfSync", "Deleted"] == said[-4:]


def test_a_manifest_error_names_its_file() -> None:
    before = application("web")
    said = "rpc error: code = Unknown desc = failed exit status 1: Error: failed to parse values.yaml: line 1"
    condition = Condition(type="ComparisonError", message=said)
    after = application("web", version=2, sync="Unknown", revision="main", conditions=(condition,))
    events = transitions(before, after, at=later(5))
    assert ["Unknown", "ComparisonError"] == [event.reason for event in events]
    assert "failed to parse values.yaml: line 1" == events[1].message
    assert {"Warning"} == {event.type for event in events}


def test_times_are_the_datas_own_where_it_has_them() -> None:
    before = application("web", health="Progressing")
    after = msgspec.structs.replace(
        before, status=msgspec.structs.replace(before.status, health=Health(status="Healthy", last_transition_time=later(3)))
    )
    assert [later(3)] == [event.at for event in transitions(before, after, at=later(60))]


def test_nothing_is_told_of_what_a_narrow_row_does_not_know() -> None:
    full = application("web", conditions=(Condition(type="SyncError", message="x"),))
    narrow = msgspec.structs.replace(application("web"), partial=True)
    assert () == transitions(narrow, full, at=later(0))


@pytest.mark.parametrize("hostile", ["\x1b]52;c;x\x07", "a\x9bb", "line\nline", "\u202ex", "x" * 1_000_000])
def test_hostile_texts_are_cleaned(hostile: str) -> None:
    state = OperationState(
        phase="Failed", message=hostile, started_at=later(0), finished_at=later(1), operation=Operation(sync=SyncOperation())
    )
    after = application(
        "web",
        sync=hostile,
        health=hostile,
        operation_state=state,
        conditions=(Condition(type=hostile, message=hostile),),
        revision=REVISIONS[1],
    )
    for event in transitions(application("web"), after, at=later(0)):
        shown = event.reason + event.message
        assert shown.isprintable()
        assert len(shown) < 10_000
