"""What holds of derive and settle whatever a server says."""

import copy
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from backends.argocd.types import Application, ResourceTree, SyncWindows
from backends.domain.rollout import FeedState, Flag, Rollout, Seen, Stage, derive, look, settle
from backends.domain.settling import LASTS
from backends.domain.verdict import verdict
from backends.domain.why import unmanaged, why
from backends.text import clean
from tests.domain.looks import DESTINATION, LIVE, NEWER, NOW, OLD, OURS, SOURCE, SPEC, UNFETCHED, after, contains, one, operation, wanted

TEXTS = st.sampled_from(
    [
        "",
        "boom",
        "waiting for completion of hook batch/Job/x",
        "waiting for healthy state of /",
        "Retrying attempt #1 at 12:28PM.",
        "\x1b[31m",
    ]
) | st.text(max_size=20)
REVISIONS = st.sampled_from([OLD, OURS, NEWER, UNFETCHED, "", "main", "0.1.0"])
TIMES = st.sampled_from([after(s) for s in (-600, 0, 5, 10, 15, 20, 21, 22, 60)])
STATUSES = st.sampled_from(["Synced", "OutOfSync", "Unknown", "", "Odd"])
HEALTHS = st.sampled_from(["Healthy", "Progressing", "Degraded", "Missing", "Suspended", "Unknown", ""])
RESOURCES = st.lists(
    st.fixed_dictionaries(
        {}, optional={"kind": st.sampled_from(["Job", "Deployment"]), "name": TEXTS, "hook": st.booleans(), "status": STATUSES}
    ),
    max_size=3,
)
RESULTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "kind": TEXTS,
            "name": TEXTS,
            "message": TEXTS,
            "hookType": TEXTS,
            "hookPhase": st.sampled_from(["Failed", "Running"]),
            "status": TEXTS,
        },
    ),
    max_size=3,
)
SYNCS = st.fixed_dictionaries(
    {},
    optional={
        "revision": REVISIONS,
        "revisions": st.lists(REVISIONS, max_size=3),
        "dryRun": st.booleans(),
        "resources": st.just([{"kind": "Pod"}]),
    },
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "sync": SYNCS,
        "initiatedBy": st.fixed_dictionaries({}, optional={"username": TEXTS, "automated": st.booleans()}),
        "retry": st.just({"limit": 5}),
    },
)
STATES = st.fixed_dictionaries(
    {"phase": st.sampled_from(["Running", "Terminating", "Succeeded", "Failed", "Error", ""])},
    optional={
        "operation": OPERATIONS,
        "message": TEXTS,
        "startedAt": TIMES,
        "finishedAt": TIMES,
        "retryCount": st.integers(0, 5),
        "syncResult": st.fixed_dictionaries(
            {}, optional={"revision": REVISIONS, "revisions": st.lists(REVISIONS, max_size=3), "resources": RESULTS}
        ),
    },
)
SPECS = st.sampled_from(
    [SPEC, {}, SPEC | {"syncPolicy": {"automated": {"enabled": False}}}, SPEC | {"syncPolicy": None}, {"source": {}, "sources": [SOURCE]}]
)
CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["SyncError", "ComparisonError", "OrphanedResourceWarning"])},
        optional={"message": TEXTS | REVISIONS.map(lambda sha: f"Failed last sync attempt to [{sha}]: no"), "lastTransitionTime": TIMES},
    ),
    max_size=2,
)
APPLICATIONS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"name": TEXTS, "deletionTimestamp": TIMES, "annotations": st.dictionaries(TEXTS, TEXTS, max_size=1)}
        ),
        "spec": SPECS,
        "operation": OPERATIONS,
        "status": st.fixed_dictionaries(
            {},
            optional={
                "sync": st.fixed_dictionaries(
                    {},
                    optional={
                        "status": STATUSES,
                        "revision": REVISIONS,
                        "revisions": st.lists(REVISIONS, max_size=3),
                        "comparedTo": st.sampled_from([{"source": SOURCE, "destination": DESTINATION}, {}, {"sources": None}]),
                    },
                ),
                "health": st.fixed_dictionaries({}, optional={"status": HEALTHS, "message": TEXTS, "lastTransitionTime": TIMES}),
                "conditions": CONDITIONS,
                "history": st.lists(
                    st.fixed_dictionaries({}, optional={"id": st.integers(0, 20), "revision": REVISIONS, "deployStartedAt": TIMES}),
                    max_size=3,
                ),
                "operationState": STATES,
                "reconciledAt": TIMES,
                "resources": RESOURCES,
            },
        ),
    },
).map(lambda raw: msgspec.convert(raw, Application))
TREES = st.lists(
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["Pod", "ReplicaSet", "Job", "Deployment", "StatefulSet"]), "uid": st.sampled_from("abc")},
        optional={
            "name": TEXTS,
            "parentRefs": st.lists(st.fixed_dictionaries({"uid": st.sampled_from("abc"), "kind": st.just("ReplicaSet")}), max_size=1),
            "info": st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["Status Reason", "Restart Count", "Containers", "Revision"])},
                    optional={"value": TEXTS | st.sampled_from(["CrashLoopBackOff", "3", "Rev:2", "1/1"])},
                ),
                max_size=3,
            ),
            "health": st.fixed_dictionaries({}, optional={"status": HEALTHS, "message": TEXTS}),
            "createdAt": TIMES,
        },
    ),
    max_size=5,
).map(lambda nodes: msgspec.convert({"nodes": nodes}, ResourceTree))
LOOKS = st.builds(
    Seen,
    feed=st.sampled_from(list(FeedState)),
    application=st.none() | APPLICATIONS,
    gone=st.booleans(),
    forbidden=st.booleans(),
    not_found=st.booleans(),
    tree=st.none() | TREES,
    windows=st.sampled_from([None, SyncWindows()]),
    manager=st.none() | APPLICATIONS,
    root=st.none() | APPLICATIONS,
    hard_refreshed=st.booleans(),
    refresh_forbidden=TEXTS,
    feed_error=TEXTS,
)
WANTS = st.builds(
    wanted,
    removed=st.booleans(),
    specs=st.sampled_from([(), (SPEC,)]),
    ref_index=st.sampled_from([None, 0, 1, 7]),
    paused=st.booleans(),
    has_hooks=st.sampled_from([None, True, False]),
    before=st.sampled_from([None, NOW]),
    files=st.sampled_from([(), ("apps/web/values.yaml",)]),
)
STAGES = st.sampled_from(list(Stage))
MOMENTS = st.lists(st.tuples(STAGES, st.frozensets(st.sampled_from(list(Flag)), max_size=2), st.floats(0.01, 3.0)), min_size=1, max_size=30)


@given(LOOKS, WANTS, st.none() | STAGES)
def test_no_answer_of_a_server_makes_it_fail_or_waver(seen: Seen, want: Any, stage: Stage | None) -> None:
    previous = Rollout(stage=stage) if stage else None
    first = derive(want, seen, contains=contains, now=NOW, previous=previous)
    assert first == derive(want, seen, contains=contains, now=NOW, previous=previous)
    assert first.reason == clean(first.reason)
    shown = look(previous, want, seen, contains=contains, now=NOW)
    answer = why(want, seen, shown, now=NOW, contains=contains)
    assert all(text == clean(text) for one in answer.evidence for text in (answer.sentence, one.text, one.object))
    unmanaged(seen, now=NOW)
    final = verdict(shown, want, seen)
    assert final is None or final.exit_code in (0, 1, 3, 5)


@given(APPLICATIONS, WANTS)
def test_live_means_that_every_condition_holds(application: Application, want: Any) -> None:
    seen = Seen(feed=FeedState.LIVE, application=application)
    rollout = derive(want, seen, contains=contains, now=NOW)
    if rollout.stage is Stage.LIVE:
        status, state = application.status, application.status.operation_state
        assert ("Synced", "Healthy") == (status.sync.status, status.health.status)
        assert {OURS, NEWER} & {status.sync.revision, *(status.sync.revisions or ())}
        assert not want.removed
        assert application.operation is None or (state and state.phase in ("Running", "Terminating")) or rollout.flags


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "not Synced": ({"status.sync.status": "OutOfSync"}, {}),
    "a revision without the commit": ({"status.sync.revision": OLD}, {}),
    "no revision": ({"status.sync.revision": None}, {}),
    "a branch instead of a revision": ({"status.sync.revision": "main"}, {}),
    "another live spec": ({"spec": SPEC | {"project": "other"}}, {}),
    "another wanted spec": ({}, {"specs": (SPEC | {"destination": {"name": "us-1", "namespace": "web-prod"}},)}),
    "no wanted spec": ({}, {"specs": ()}),
    "compared with another spec": (
        {"status.sync.comparedTo": {"source": SOURCE, "destination": {"name": "us-1", "namespace": "web-prod"}}},
        {},
    ),
    "compared with nothing": ({"status.sync.comparedTo": None}, {}),
    "an operation requested": ({"operation": {"sync": {"revision": OURS}}, "status.operationState": None}, {}),
    "an operation running": ({"status.operationState": operation(phase="Running")}, {}),
    "an operation terminating": ({"status.operationState": operation(phase="Terminating")}, {}),
    "somebody else's operation": ({"status.operationState": operation(OLD, "Running")}, {}),
    "the last operation failed": ({"status.operationState": operation(phase="Failed")}, {}),
    "Degraded": ({"status.health.status": "Degraded"}, {}),
    "Progressing": ({"status.health.status": "Progressing"}, {}),
    "Missing": ({"status.health.status": "Missing"}, {}),
    "no health": ({"status.health.status": ""}, {}),
    "being deleted": ({"metadata.deletionTimestamp": after(60)}, {}),
    "an error": ({"status.conditions": [{"type": "ComparisonError", "message": "x"}]}, {}),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_one_broken_condition_is_enough_not_to_be_live(broken: str) -> None:
    assert ("Live", frozenset()) == (one().stage, one().flags)
    changes, want = BROKEN[broken]
    assert Stage.LIVE is not one(changes, want=want).stage


def test_live_with_unproven_manifests_is_flagged() -> None:
    changes = {"metadata.annotations": {"argocd.argoproj.io/manifest-generate-paths": "."}}
    assert {Flag.UNPROVEN} == one(changes, want={"files": ("environments/prod/values.yaml",)}).flags


def played(moments: list[tuple[Stage, frozenset[Flag], float]]) -> list[tuple[datetime, Stage, Rollout]]:
    """(moment, derived stage, shown) of a series of looks with a timer every quarter of a second between them."""
    shown: Rollout | None = None
    now, told = NOW, []
    for stage, flags, seconds in moments:
        derived, end = Rollout(stage=stage, flags=flags), now + timedelta(seconds=seconds)
        while now < end:
            shown = settle(shown, derived, now=now)
            told.append((now, stage, shown))
            now += timedelta(seconds=0.25)
    return told


@given(MOMENTS)
def test_what_must_last_is_never_shown_before_it_has(moments: list[tuple[Stage, frozenset[Flag], float]]) -> None:
    line = (Stage.COMMITTED, Stage.DETECTED, Stage.SYNCING, Stage.ROLLED_OUT)
    before, began, last = None, NOW, None
    for now, derived, shown in played(moments):
        began = began if derived is last else now
        last = derived
        if before is not None and shown.stage is not before and before is not Stage.UNKNOWN:
            assert shown.stage is derived
            backwards = shown.stage in line and before in line and line.index(shown.stage) < line.index(before)
            if shown.stage in (Stage.LIVE, Stage.DRIFTED) or backwards:
                assert now - began >= LASTS
        before = shown.stage


@given(MOMENTS, STAGES)
def test_what_lasts_is_shown_in_the_end(moments: list[tuple[Stage, frozenset[Flag], float]], last: Stage) -> None:
    assert last is played([*moments, (last, frozenset(), 3.0)])[-1][2].stage


@given(MOMENTS)
def test_bad_news_is_shown_at_once(moments: list[tuple[Stage, frozenset[Flag], float]]) -> None:
    bad = (Stage.SYNC_FAILED, Stage.DEGRADED, Stage.MISSING, Stage.BLOCKED, Stage.GONE)
    assert all(shown.stage is stage for _, stage, shown in played(moments) if stage in bad)


@given(MOMENTS)
def test_slow_flags_are_never_shown_before_they_have_lasted(moments: list[tuple[Stage, frozenset[Flag], float]]) -> None:
    shown: Rollout | None = None
    held: dict[Flag, float] = {}
    now = NOW
    for stage, flags, seconds in moments:
        held = {flag: since for flag, since in held.items() if flag in flags}
        for flag in flags:
            held.setdefault(flag, now.timestamp())
        shown = settle(shown, Rollout(stage=stage, flags=flags), now=now)
        for flag in shown.flags & {Flag.SELF_HEALING, Flag.RETRYING} & flags:
            assert now.timestamp() - held[flag] >= LASTS.total_seconds()
        now += timedelta(seconds=seconds)


def test_a_look_is_not_changed_by_asking() -> None:
    before = copy.deepcopy(LIVE)
    one()
    assert before == LIVE
