"""Why a deployment waits: the sentence, what it rests on, what could be done."""

from datetime import timedelta
from typing import Any

import pytest

from backends.argocd.types import Event, EventObject, SyncWindow, SyncWindows
from backends.domain.rollout import FeedState, look
from backends.domain.why import Why, unmanaged, why
from tests.domain.looks import (
    LIVE,
    NOW,
    OLD,
    OURS,
    OUT_OF_SYNC,
    SOURCE,
    SPEC,
    UNAPPLIED,
    after,
    contains,
    keeper,
    operation,
    pod,
    seen,
    tree,
    wanted,
)
from tests.domain.test_rollout import HELM_ERROR, PAUSED_SPEC, PROGRESSING, condition

FAILING_HOOK = {"kind": "Job", "name": "migrate", "hookType": "PreSync", "hookPhase": "Failed", "message": "BackoffLimitExceeded"}
DENY = SyncWindow(kind="deny", schedule="0 8 * * *", duration="10h", end_time=NOW + timedelta(hours=6))


def answer(changes: dict[str, Any] | None = None, *, want: dict[str, Any] | None = None, **more: Any) -> Why:
    asked, given = wanted(**(want or {})), seen(changes, **more)
    return why(asked, given, look(None, asked, given, contains=contains, now=NOW), now=NOW, contains=contains)


def facts(found: Why) -> list[tuple[str, str]]:
    return [(str(one.kind), one.object) for one in found.evidence]


def event(reason: str, message: str, kind: str = "Pod", name: str = "web-1") -> Event:
    return Event(reason=reason, message=message, type="Warning", involved_object=EventObject(kind=kind, name=name))


def test_a_live_deployment_needs_nothing() -> None:
    assert Why(sentence="it is Live") == answer()


@pytest.mark.parametrize("stale", [{"manager": keeper(OLD)}, {"root": keeper(OLD)}])
def test_the_managers_trouble_comes_first_where_it_is_the_cause(stale: dict[str, Any]) -> None:
    found = answer(want={"specs": (SPEC | {"source": SOURCE | {"path": "charts/service/1.1.0"}},)}, **stale)
    assert "tiphys-acme--prod" == found.evidence[0].object
    assert "has not seen the commit yet: is at aaaaaaa, compared 12:00 UTC" in found.sentence
    assert [("upkeep", "tiphys-acme--prod"), ("spec", "source.path")] == facts(found)
    assert ("manager.refresh",) == found.actions


def test_the_managers_trouble_does_not_come_first_where_it_is_not_the_cause() -> None:
    failing = {"status.operationState": operation(phase="Failed", message="boom")}
    found = answer(failing, manager=keeper(OLD))
    assert "boom" == found.sentence


def test_no_root_and_no_manager_asks_for_the_bootstrap() -> None:
    found = answer(application=None)
    assert ("neither its Manager nor the root is in Argo CD, or you may not see them", ("workspace.bootstrap",)) == (
        found.sentence,
        found.actions,
    )


def test_a_manager_that_will_not_wipe_out_everything_is_synced_with_prune() -> None:
    text = f"Skipping sync attempt to [{OURS}]: auto-sync will wipe out all resources"
    manager = keeper(sync={"status": "OutOfSync", "revision": OURS}, conditions=condition("SyncError", text))
    found = answer(want={"removed": True}, manager=manager)
    assert ("manager.sync-prune",) == found.actions
    assert found.sentence.startswith("its Manager refuses: auto-sync will wipe out all resources")


def test_a_missing_permission_is_named() -> None:
    found = answer(application=None, manager=keeper(OLD), refresh_forbidden="tiphys-acme--prod")
    assert ("permission", "tiphys-acme--prod") in facts(found)
    assert () == found.actions


def test_a_stale_feed_is_said_before_what_was_known() -> None:
    found = answer(
        {"status.operationState": operation(phase="Failed", message="boom")},
        feed=FeedState.STALE,
        feed_since=NOW,
        feed_error="silence for 35 s",
    )
    assert "the feed from Argo CD is stale since 12:05 UTC: silence for 35 s; before that: boom" == found.sentence
    assert "feed.reconnect" == found.actions[0]


def test_a_manifest_error_leads_to_its_file() -> None:
    error = HELM_ERROR.replace(
        "execution error at (service/templates/deployment.yaml:4:5)",
        "failed to parse <path to cached source>/apps/web/values.yaml: yaml: line 7",
    )
    found = answer({"status.sync": {"status": "Unknown", "revision": "main"}, "status.conditions": condition("ComparisonError", error)})
    assert ("manifest", "apps/web/values.yaml:7") == facts(found)[0]
    assert ("deployment.edit-values", "deployment.rollback") == found.actions


def test_a_failing_hook_leads_to_its_logs() -> None:
    state = operation(
        phase="Running",
        finishedAt=after(60),
        retryCount=1,
        message="Retrying attempt #1 at 12:28PM.",
        syncResult={"revision": OURS, "resources": [FAILING_HOOK]},
    )
    found = answer(OUT_OF_SYNC | UNAPPLIED | {"status.operationState": state})
    assert [("operation", "web-prod-k3x7qa"), ("hook", "Job/migrate"), ("retry", "web-prod-k3x7qa")] == facts(found)
    assert "PreSync hook Job/migrate: BackoffLimitExceeded" == found.evidence[1].text
    assert ("deployment.logs", "deployment.terminate") == found.actions


def test_a_wave_and_a_hook_that_are_waited_for_are_named() -> None:
    state = operation(phase="Running", message="waiting for healthy state of apps/Deployment/db")
    assert ("wave", "Deployment/db") in facts(answer(OUT_OF_SYNC | {"status.operationState": state}))
    state = operation(phase="Running", message="waiting for completion of hook batch/Job/migrate")
    assert ("hook", "Job/migrate") in facts(answer(OUT_OF_SYNC | {"status.operationState": state}))


def test_somebody_elses_operation_says_by_whom() -> None:
    found = answer({"status.operationState": operation(OLD, "Running", user="ada")})
    assert "operation by ada of aaaaaaa, which is not this commit: running since 12:00 UTC" == found.evidence[0].text
    assert ("deployment.terminate",) == found.actions


def test_a_window_says_until_when() -> None:
    found = answer(OUT_OF_SYNC | UNAPPLIED, windows=SyncWindows(active_windows=(DENY,), assigned_windows=(DENY,)))
    assert [("window", "0 8 * * *")] == facts(found)
    assert () == found.actions


def test_a_pause_offers_to_resume() -> None:
    found = answer(
        OUT_OF_SYNC | UNAPPLIED | {"spec": PAUSED_SPEC}, want={"specs": (PAUSED_SPEC,), "paused": True, "paused_reason": "load test"}
    )
    assert [("pause", "")] == facts(found)
    assert ("deployment.resume", "deployment.sync") == found.actions


@pytest.mark.parametrize(
    ("nodes", "kind", "actions"),
    [
        ([pod("a", "ImagePullBackOff", health="Degraded")], "image", ("deployment.events", "deployment.rollback")),
        (
            [pod("a", "CrashLoopBackOff", Restart_Count="3", health="Degraded")],
            "crash",
            ("deployment.logs", "deployment.events", "deployment.rollback"),
        ),
    ],
)
def test_pods_that_do_not_come_up_are_evidence(nodes: list[dict[str, Any]], kind: str, actions: tuple[str, ...]) -> None:
    found = answer(PROGRESSING, tree=tree(*nodes))
    assert ([(kind, "Pod/a")], actions) == (facts(found), found.actions)


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (event("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu."), "unschedulable"),
        (event("FailedCreate", 'pods "web-1" is forbidden: exceeded quota: compute', kind="ReplicaSet"), "quota"),
        (event("Failed", 'Failed to pull image "web:9"'), "image"),
        (event("BackOff", "Back-off restarting failed container"), "crash"),
        (event("FailedMount", "secret not found"), "event"),
    ],
)
def test_events_are_told_by_what_they_mean(one: Event, kind: str) -> None:
    found = answer(PROGRESSING, events=(one,))
    assert [kind] == [str(each.kind) for each in found.evidence]
    assert f"{one.reason}: {one.message}" == found.evidence[0].text


def test_ordinary_events_are_no_evidence() -> None:
    assert () == answer(PROGRESSING, events=(Event(reason="Pulled", type="Normal"),)).evidence


def test_a_quota_in_a_sync_result_is_a_quota() -> None:
    result = {"kind": "Deployment", "name": "web", "status": "SyncFailed", "message": "forbidden: exceeded quota: compute"}
    state = operation(phase="Failed", message="one or more objects failed", syncResult={"revision": OURS, "resources": [result]})
    found = answer(OUT_OF_SYNC | {"status.operationState": state})
    assert ("quota", "Deployment/web") in facts(found)
    assert "one or more objects failed: Deployment/web: forbidden: exceeded quota: compute" == found.sentence


def test_drift_names_what_differs() -> None:
    resources = [
        {"kind": "Deployment", "name": "web", "status": "OutOfSync"},
        {"kind": "Service", "name": "old", "status": "OutOfSync", "requiresPruning": True},
    ]
    found = answer(OUT_OF_SYNC | {"status.resources": resources})
    assert [("drift", "Deployment/web"), ("drift", "Service/old")] == facts(found)
    assert ("deployment.diff", "deployment.sync") == found.actions


def test_what_looks_live_and_is_not_is_mended_by_one_key() -> None:
    skipped = answer({"status.history": LIVE["status"]["history"][:1], "status.operationState": operation(partial=True)})
    assert ([("hooks_skipped", "")], ("deployment.full-sync",)) == (facts(skipped), skipped.actions)
    annotations = {"metadata.annotations": {"argocd.argoproj.io/manifest-generate-paths": "."}}
    unproven = answer(annotations, want={"files": ("environments/prod/values.yaml",)})
    assert ([("paths", "environments/prod/values.yaml")], ("deployment.hard-refresh",)) == (facts(unproven), unproven.actions)
    error = condition("SyncError", f"Failed last sync attempt to [{OLD}]: boom")
    stuck = answer(OUT_OF_SYNC | UNAPPLIED | {"status.conditions": error})
    assert (("stuck", ""), ("deployment.sync",)) == (facts(stuck)[0], stuck.actions)


def test_an_unmanaged_application_has_a_why_too() -> None:
    rollout, found = unmanaged(seen({"status.operationState": operation(phase="Failed", message="boom")}), now=NOW)
    assert ("SyncFailed", "boom") == (rollout.stage, found.sentence)
    rollout, found = unmanaged(seen(), now=NOW)
    assert ("Live", "it is Live") == (rollout.stage, found.sentence)
