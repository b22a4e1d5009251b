"""The stage table, row by row, as small looks at one deployment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from backends.argocd.types import Event, EventObject, SyncWindow, SyncWindows
from backends.domain.rollout import FeedState, Flag, Rollout, Stage
from tests.domain.looks import (
    DESTINATION,
    LIVE,
    NEWER,
    NOW,
    OLD,
    OURS,
    OUT_OF_SYNC,
    PUSH,
    SOURCE,
    SPEC,
    UNAPPLIED,
    UNFETCHED,
    after,
    app,
    keeper,
    one,
    operation,
    pod,
    tree,
)

HELM_ERROR = (
    "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = failed to execute helm "
    "template command: failed running helm: `helm template . --values <path to cached source>/apps/web/values.yaml --include-crds` failed "
    "exit status 1: Error: values don't meet the specifications\n\nUse --debug flag to render out invalid YAML\n"
    "execution error at (service/templates/deployment.yaml:4:5): image.tag is required"
)
PAUSED_SPEC = SPEC | {"syncPolicy": {"automated": {"prune": True, "selfHeal": True, "enabled": False}}}
MANUAL_SPEC = SPEC | {"syncPolicy": {}}
DENY = SyncWindow(kind="deny", schedule="0 8 * * *", duration="10h", end_time=PUSH + timedelta(hours=6))
ALLOW = SyncWindow(kind="allow", schedule="0 22 * * *", duration="1h")


def condition(kind: str, message: str, at: float = 22) -> list[dict[str, str]]:
    return [{"type": kind, "message": message, "lastTransitionTime": after(at)}]


def said(rollout: Rollout) -> tuple[str, set[str]]:
    return str(rollout.stage), {str(flag) for flag in rollout.flags}


def test_synced_and_healthy_at_our_commit_is_live() -> None:
    assert ("Live", set()) == said(one())


def test_a_draft_is_told_to_nobody() -> None:
    assert "Draft" == one(want={"draft": True}).stage


def test_a_newer_release_supersedes_the_followed_one() -> None:
    rollout = one(want={"superseded_by": NEWER, "superseded_who": "Ada"})
    assert ("Superseded", "ccccccc by Ada is newer") == (rollout.stage, rollout.reason)


def test_deleting_says_what_is_left() -> None:
    rollout = one(
        {
            "metadata.deletionTimestamp": after(60),
            "metadata.finalizers": ["resources-finalizer.argocd.argoproj.io"],
            "status.resources": [{"kind": "Service", "name": "web"}, {"kind": "Job", "name": "migrate", "hook": True}],
        }
    )
    assert "Deleting" == rollout.stage
    assert "1 resource is left: Service/web; finalizer resources-finalizer.argocd.argoproj.io" == rollout.reason
    assert PUSH + timedelta(seconds=60) == rollout.since


def test_deleting_says_what_refuses_it() -> None:
    refused = condition("DeletionError", 'namespaces "web-prod" is forbidden')
    rollout = one({"metadata.deletionTimestamp": after(60), "status.conditions": refused})
    assert ("Deleting", 'Argo CD cannot delete it: namespaces "web-prod" is forbidden') == (rollout.stage, rollout.reason)


def test_a_removed_deployment_is_gone_when_deleted_was_seen() -> None:
    assert "Gone" == one(want={"removed": True}, application=None, gone=True).stage


@pytest.mark.parametrize(
    ("manager", "reason", "flags"),
    [
        (keeper(OLD), "its Manager has not seen the commit yet: is at aaaaaaa, compared 12:00 UTC", set()),
        (keeper(), "its Manager has synced the removal; the Application is still there", set()),
        (
            keeper(
                sync={"status": "OutOfSync", "revision": OURS},
                conditions=condition("SyncError", f"Skipping sync attempt to [{OURS}]: auto-sync will wipe out all resources"),
            ),
            "its Manager refuses: auto-sync will wipe out all resources: sync it with prune, its name typed",
            {"needs_you"},
        ),
    ],
)
def test_a_removed_deployment_that_is_still_there_is_committed(manager: Any, reason: str, flags: set[str]) -> None:
    rollout = one(want={"removed": True}, manager=manager)
    assert (("Committed", flags), reason) == (said(rollout), rollout.reason)


@pytest.mark.parametrize(
    ("feed", "error", "reason"),
    [
        (FeedState.CONNECTING, "", "Argo CD has not answered yet since 12:04 UTC"),
        (FeedState.FAILED, "connection refused", "connection refused since 12:04 UTC"),
    ],
)
def test_nothing_known_and_no_feed_is_unknown(feed: FeedState, error: str, reason: str) -> None:
    rollout = one(application=None, feed=feed, feed_error=error, feed_since=NOW - timedelta(seconds=60))
    assert ("Unknown", reason) == (rollout.stage, rollout.reason)


def test_a_row_of_a_projected_list_has_argos_words_and_no_stage() -> None:
    rollout = one(application=msgspec.structs.replace(app(), partial=True))
    assert ("Unknown", "Argo CD says Synced, Healthy", True) == (rollout.stage, rollout.reason, rollout.undecided)


def test_sync_unknown_without_a_condition_is_unknown() -> None:
    assert "Unknown" == one({"status.sync.status": "Unknown"}).stage


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "neither its Manager nor the root is in Argo CD, or you may not see them"),
        ({"root": keeper()}, "its Manager is not in Argo CD although the root has synced the commit, or you may not see it"),
        ({"root": keeper(OLD)}, "its Manager is not there yet: the root has not seen the commit yet: is at aaaaaaa, compared 12:00 UTC"),
        (
            {"manager": keeper(OLD), "refresh_forbidden": "tiphys-acme--prod"},
            "its Manager has not looked yet and you may not refresh it (tiphys-acme--prod)",
        ),
        (
            {"manager": keeper(sync={"status": "Unknown", "revision": "main"}, conditions=condition("ComparisonError", HELM_ERROR))},
            "its Manager cannot compare: execution error at (service/templates/deployment.yaml:4:5): image.tag is required",
        ),
        (
            {
                "manager": keeper(
                    sync={"status": "OutOfSync", "revision": OURS}, operationState=operation(phase="Failed", message="no such host")
                )
            },
            "its Manager failed to sync: no such host",
        ),
    ],
)
def test_no_application_yet_says_what_of_root_or_manager_holds_it_up(more: dict[str, Any], reason: str) -> None:
    rollout = one(application=None, **more)
    assert ("Committed", reason) == (rollout.stage, rollout.reason)


@pytest.mark.parametrize(("more", "stage"), [({"not_found": True}, "Missing"), ({"forbidden": True}, "Unknown"), ({}, "Committed")])
def test_no_application_although_the_manager_has_synced(more: dict[str, Any], stage: str) -> None:
    assert stage == one(application=None, manager=keeper(), **more).stage


@pytest.mark.parametrize("kind", ["ComparisonError", "InvalidSpecError", "UnknownError"])
def test_an_error_that_came_after_the_push_is_a_failed_sync(kind: str) -> None:
    changes = {"status.sync": {"status": "Unknown", "revision": "main"}, "status.conditions": condition(kind, HELM_ERROR)}
    rollout = one(changes, want={"before": PUSH})
    assert ("SyncFailed", "main") == (rollout.stage, rollout.revision)
    assert "execution error at (service/templates/deployment.yaml:4:5): image.tag is required" == rollout.reason


def test_an_error_older_than_the_push_is_not_ours() -> None:
    changes = {"status.sync": {"status": "Unknown", "revision": "main"}, "status.conditions": condition("ComparisonError", HELM_ERROR)}
    rollout = one(changes, want={"before": PUSH + timedelta(seconds=21)})
    assert "Committed" == rollout.stage
    assert rollout.reason.startswith("the error is older than the commit: ")


@pytest.mark.parametrize("code", ["Unavailable", "DeadlineExceeded"])
def test_a_comparison_that_could_not_be_made_counts_from_the_second_time_on(code: str) -> None:
    text = f"rpc error: code = {code} desc = connection error"
    first = {"status.sync.status": "Unknown", "status.conditions": condition("ComparisonError", text, at=21)}
    look = one(first)
    assert ("Committed", "Argo CD could not compare and will try again: connection error") == (look.stage, look.reason)
    again = first | {"status.conditions": condition("ComparisonError", f"{text}!", at=25), "status.reconciledAt": after(25)}
    assert "SyncFailed" == one(again, previous=look).stage
    assert "SyncFailed" == one(first | {"status.reconciledAt": after(25)}).stage


@pytest.mark.parametrize("changes", [{"status.sync.revision": UNFETCHED}, {"status.operationState": operation(UNFETCHED, "Running")}])
def test_a_revision_nobody_has_fetched_leaves_the_stage_undecided(changes: dict[str, Any]) -> None:
    rollout = one(changes)
    assert ("Unknown", "fetching ddddddd", True) == (rollout.stage, rollout.reason, rollout.undecided)


def test_an_ended_operation_of_a_revision_nobody_has_is_not_waited_for() -> None:
    assert "Live" == one({"status.operationState": operation(UNFETCHED)}).stage


@pytest.mark.parametrize(
    ("revision", "reason"),
    [
        (OLD, "Argo CD is at aaaaaaa, compared 12:00 UTC"),
        ("main", "Argo CD is at main, compared 12:00 UTC"),
        (None, "Argo CD has not compared it yet"),
    ],
)
def test_a_revision_without_the_commit_is_committed(revision: str | None, reason: str) -> None:
    rollout = one({"status.sync.revision": revision})
    assert ("Committed", reason, PUSH) == (rollout.stage, rollout.reason, rollout.since)


def test_the_commit_is_looked_for_at_the_ref_source() -> None:
    sources = [{"repoURL": "https://charts.example.org", "chart": "web", "targetRevision": "0.1.0"}, {"repoURL": "x", "ref": "values"}]
    spec = {**SPEC, "sources": sources}
    del spec["source"]
    sync = {
        "status": "Synced",
        "revisions": ["0.1.0", OURS],
        "comparedTo": {"source": {"repoURL": ""}, "sources": sources, "destination": DESTINATION},
    }
    want = {"specs": (spec,), "ref_index": 1}
    several = {"spec": spec, "status.operationState": None}
    assert "Live" == one({**several, "status.sync": sync}, want=want).stage
    assert "Committed" == one({**several, "status.sync": sync | {"revisions": ["0.1.0", OLD]}}, want=want).stage


def test_an_old_spec_at_the_new_revision_is_committed() -> None:
    new = SPEC | {"source": SOURCE | {"path": "charts/service/1.1.0"}}
    rollout = one(want={"specs": (new,)})
    assert ("Committed", "its Manager has not applied application.yaml yet (source.path)") == (rollout.stage, rollout.reason)


def test_a_later_spec_of_the_branch_will_do() -> None:
    assert "Live" == one(want={"specs": (PAUSED_SPEC, SPEC)}).stage


def test_a_comparison_with_another_spec_is_pending() -> None:
    compared = {"source": SOURCE | {"path": "charts/service/0.9.0"}, "destination": DESTINATION}
    assert "Detected" == one({"status.sync.comparedTo": compared}).stage


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (operation(OLD, "Running"), "an operation to aaaaaaa by auto-sync runs since 12:00 UTC: wait or terminate it"),
        (operation(OURS, "Running", dry_run=True, user="ada"), "a dry run by ada runs since 12:00 UTC: wait or terminate it"),
    ],
)
def test_somebody_elses_operation_is_waited_for(state: dict[str, Any], reason: str) -> None:
    rollout = one({"status.operationState": state})
    assert ("Detected", reason) == (rollout.stage, rollout.reason)


@pytest.mark.parametrize(
    ("message", "reason", "progress"),
    [
        ("", "running since 12:00 UTC", ""),
        ("waiting for completion of hook batch/Job/migrate", "PreSync hook batch/Job/migrate running", "hook"),
        ("waiting for deletion of hook batch/Job/migrate", "waiting for the old PreSync hook batch/Job/migrate to go", "hook"),
        ("waiting for healthy state of apps/Deployment/db", "wave 2: waiting for apps/Deployment/db to become healthy", "wave 2"),
        (
            "waiting for healthy state of apps/Deployment/api and 2 more resources",
            "waiting for apps/Deployment/api to become healthy and 2 more resources",
            "",
        ),
        ("waiting for healthy state of /Service/web", "waiting for /Service/web to become healthy", ""),
    ],
)
def test_syncing_says_what_is_waited_for(message: str, reason: str, progress: str) -> None:
    hook = {"kind": "Job", "name": "migrate", "hookType": "PreSync", "hookPhase": "Running"}
    state = operation(phase="Running", message=message, syncResult={"revision": OURS, "resources": [hook]})
    changes = OUT_OF_SYNC | {"status.operationState": state, "status.resources": [{"kind": "Deployment", "name": "db", "syncWave": 2}]}
    rollout = one(changes)
    assert ("Syncing", reason, progress) == (rollout.stage, rollout.reason, rollout.progress)
    assert PUSH + timedelta(seconds=10) == rollout.since


def test_a_requested_operation_is_syncing_already() -> None:
    requested = {"sync": {"revision": OURS}, "initiatedBy": {"username": "ada"}}
    rollout = one({"operation": requested, "status.operationState": None})
    assert ("Syncing", "requested by ada") == (rollout.stage, rollout.reason)


def test_an_operation_without_a_revision_syncs_what_was_compared() -> None:
    assert "Syncing" == one({"status.operationState": operation("", "Running")}).stage


def test_a_failed_attempt_says_when_the_next_comes() -> None:
    state = operation(
        phase="Running",
        message="one or more synchronization tasks completed unsuccessfully. Retrying attempt #2 at 1:05PM.",
        retryCount=2,
        finishedAt=after(60),
        syncResult={
            "revision": OURS,
            "resources": [{"kind": "Job", "name": "migrate", "hookType": "PreSync", "hookPhase": "Failed", "message": "deadline"}],
        },
    )
    rollout = one(OUT_OF_SYNC | {"status.operationState": state})
    assert ("Syncing", {"attention", "retrying"}) == said(rollout)
    assert "failed, attempt 2 of 5, next at 13:05: PreSync hook Job/migrate: deadline" == rollout.reason
    assert "attempt 2 of 5" == rollout.progress


@pytest.mark.parametrize("changes", [{}, OUT_OF_SYNC])
@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_a_failed_operation_for_our_commit_is_a_failed_sync(changes: dict[str, Any], phase: str) -> None:
    rollout = one(changes | {"status.operationState": operation(phase=phase, message="one or more objects failed to apply")})
    assert ("SyncFailed", "one or more objects failed to apply") == (rollout.stage, rollout.reason)


@pytest.mark.parametrize(
    ("message", "said", "reason"),
    [
        ("failed to apply, reason: it is invalid", "it is invalid", "Deployment/web: failed to apply, reason: it is invalid"),
        ("failed to apply", "it is invalid", "failed to apply: Deployment/web: it is invalid"),
    ],
)
def test_a_failed_sync_names_the_resource_and_says_its_error_once(message: str, said: str, reason: str) -> None:
    results = {"revision": OURS, "resources": [{"kind": "Deployment", "name": "web", "status": "SyncFailed", "message": said}]}
    assert reason == one({"status.operationState": operation(phase="Failed", message=message, syncResult=results)}).reason


def test_a_failed_operation_of_an_older_revision_is_not_ours() -> None:
    assert "Live" == one({"status.operationState": operation(OLD, "Failed", message="x")}).stage


def test_automated_sync_that_gave_up_on_our_commit_is_a_failed_sync() -> None:
    error = condition("SyncError", f"Failed last sync attempt to [{OURS}]: boom")
    rollout = one(OUT_OF_SYNC | UNAPPLIED | {"status.conditions": error})
    assert ("SyncFailed", "boom") == (rollout.stage, rollout.reason)


def test_a_sync_error_older_than_the_operation_does_not_count() -> None:
    error = condition("SyncError", f"Failed last sync attempt to [{OURS}]: boom", at=5)
    assert "Drifted" == one(OUT_OF_SYNC | {"status.conditions": error}).stage


def test_automated_sync_that_gave_up_on_an_older_commit_is_stuck() -> None:
    error = condition("SyncError", f"Failed last sync attempt to [{OLD}]: boom")
    rollout = one(OUT_OF_SYNC | UNAPPLIED | {"status.conditions": error, "status.operationState": operation(OLD, "Error")})
    assert ("Detected", {"stuck"}) == said(rollout)
    assert "automated sync gave up on aaaaaaa and will not try this commit by itself (boom); one sync sets it going" == rollout.reason


@pytest.mark.parametrize(("finished", "stage"), [(299, "Syncing"), (20, "Drifted")])
def test_out_of_sync_compared_before_the_operation_ended_is_still_syncing(finished: float, stage: str) -> None:
    state = operation(finishedAt=after(finished))
    assert stage == one(OUT_OF_SYNC | {"status.reconciledAt": after(15), "status.operationState": state}).stage


@pytest.mark.parametrize(
    ("windows", "stage", "reason"),
    [
        (
            SyncWindows(active_windows=(DENY,), assigned_windows=(DENY,)),
            "Blocked",
            "blocked until 18:00 UTC by the deny window '0 8 * * *' for 10h",
        ),
        (SyncWindows(assigned_windows=(ALLOW,)), "Blocked", "blocked: outside every allow window ('0 22 * * *' for 1h)"),
        (SyncWindows(active_windows=(ALLOW,), assigned_windows=(ALLOW,), can_sync=False), "Detected", "waits for automated sync"),
        (SyncWindows(assigned_windows=(DENY,), can_sync=True), "Detected", "waits for automated sync"),
        (None, "Detected", "waits for automated sync"),
    ],
)
def test_sync_windows_block_whatever_they_say_of_manual_syncs(windows: SyncWindows | None, stage: str, reason: str) -> None:
    rollout = one(OUT_OF_SYNC | UNAPPLIED, windows=windows)
    assert (stage, reason) == (rollout.stage, rollout.reason)


@pytest.mark.parametrize("spec", [PAUSED_SPEC, MANUAL_SPEC])
def test_paused_automation_says_until_when_why_and_who(spec: dict[str, Any]) -> None:
    want = {"specs": (spec,), "paused": True, "paused_until": "2026-11-26T18:00:00Z", "paused_reason": "load test", "paused_by": "Ada"}
    rollout = one(OUT_OF_SYNC | UNAPPLIED | {"spec": spec}, want=want)
    assert ("Paused", {"paused"}) == said(rollout)
    assert "automated sync is paused by Ada until 2026-11-26T18:00:00Z: load test" == rollout.reason


def test_a_manual_environment_waits_for_you() -> None:
    rollout = one(OUT_OF_SYNC | UNAPPLIED | {"spec": MANUAL_SPEC}, want={"specs": (MANUAL_SPEC,), "automated": False})
    assert (("Detected", {"needs_you"}), "waits for Sync") == (said(rollout), rollout.reason)


@pytest.mark.parametrize(("heals", "compared", "flags"), [(False, -31, {"needs_you"}), (False, -29, set()), (True, -31, set())])
def test_what_automated_sync_leaves_alone_without_self_heal_needs_you(heals: bool, compared: float, flags: set[str]) -> None:
    spec = SPEC | {"syncPolicy": {"automated": {"prune": True, "selfHeal": heals}}}
    last = {"status.history": LIVE["status"]["history"][:1], "status.operationState": operation(OLD)}
    at = {"status.reconciledAt": (NOW + timedelta(seconds=compared)).isoformat()}
    rollout = one(OUT_OF_SYNC | last | at | {"spec": spec}, want={"specs": (spec,)})
    assert (("Detected", flags), bool(flags)) == (said(rollout), "self-heal is off" in rollout.reason)


def test_drift_says_what_differs() -> None:
    resources = [{"kind": "Deployment", "name": "web", "status": "OutOfSync"}, {"kind": "Service", "name": "web", "status": "Synced"}]
    rollout = one(OUT_OF_SYNC | {"status.resources": resources})
    assert ("Drifted", "differs: Deployment/web") == (rollout.stage, rollout.reason)


def test_an_older_revision_synced_by_hand_is_drift_by_somebody() -> None:
    rollout = one(OUT_OF_SYNC | {"spec": MANUAL_SPEC, "status.operationState": operation(OLD, user="ada")}, want={"specs": (MANUAL_SPEC,)})
    assert ("Drifted", "ada synced aaaaaaa, which does not hold this commit") == (rollout.stage, rollout.reason)


def test_degraded_as_argo_says_it() -> None:
    rollout = one({"status.health": {"status": "Degraded", "message": "Caused by apps/Deployment:web-prod/web"}})
    assert ("Degraded", "because of Deployment web") == (rollout.stage, rollout.reason)


PROGRESSING = {"status.health": {"status": "Progressing", "lastTransitionTime": after(20)}}


@pytest.mark.parametrize(
    ("nodes", "stage"),
    [
        ([pod("a", "CrashLoopBackOff", Restart_Count="2", health="Degraded")], "Degraded"),
        ([pod("a", "Init:CrashLoopBackOff", Restart_Count="3", health="Degraded")], "Degraded"),
        ([pod("a", "CrashLoopBackOff", Restart_Count="1", health="Degraded")], "RolledOut"),
        ([pod("a", "ErrImagePull", health="Degraded")], "Degraded"),
        ([pod("a", "ImagePullBackOff", health="Degraded")], "Degraded"),
        ([pod("a", "InvalidImageName", health="Degraded")], "Degraded"),
        ([pod("a", "containerFailed", health="Degraded")], "RolledOut"),
        ([pod("a", "containerFailed", health="Degraded"), pod("b", "containerFailed", health="Degraded")], "Degraded"),
        ([pod("a", "Evicted", health="Degraded"), pod("b", "Evicted", health="Degraded")], "RolledOut"),
        ([pod("a", "CrashLoopBackOff", owner="rs-1", Restart_Count="9", health="Degraded")], "RolledOut"),
        ([pod("a", "CrashLoopBackOff", created=9, Restart_Count="9", health="Degraded")], "RolledOut"),
        ([pod("a", "Terminating", Restart_Count="9")], "RolledOut"),
        ([pod("a", "Running")], "RolledOut"),
    ],
)
def test_only_pods_of_the_release_that_do_not_come_up_make_it_degraded(nodes: list[dict[str, Any]], stage: str) -> None:
    assert stage == one(PROGRESSING, tree=tree(*nodes)).stage


def test_a_crash_loop_names_container_exit_code_and_restarts() -> None:
    message = "back-off 40s restarting failed container=main pod=web-1_web-prod(x), exit code 137"
    rollout = one(PROGRESSING, tree=tree(pod("web-1", "CrashLoopBackOff", Restart_Count="4", health="Degraded", message=message)))
    assert rollout.reason.startswith("web-1 container main: CrashLoopBackOff, exit code 137, 4 restarts (back-off 40s")


@pytest.mark.parametrize(
    ("job", "stage"),
    [
        ({}, "Degraded"),
        ({"parentRefs": [{"kind": "CronJob", "uid": "c", "name": "nightly"}]}, "RolledOut"),
        ({"name": "hook"}, "RolledOut"),
        ({"name": "unknown"}, "RolledOut"),
    ],
)
def test_a_failed_job_counts_unless_it_is_a_hook_or_a_cron_jobs(job: dict[str, Any], stage: str) -> None:
    node = {
        "kind": "Job",
        "name": "import",
        "namespace": "web-prod",
        "uid": "j",
        "health": {"status": "Degraded", "message": "BackoffLimit"},
    } | job
    resources = [
        {"kind": "Job", "name": "import", "namespace": "web-prod"},
        {"kind": "Job", "name": "hook", "namespace": "web-prod", "hook": True},
    ]
    assert stage == one(PROGRESSING | {"status.resources": resources}, tree=tree(node)).stage


@pytest.mark.parametrize("health", ["Missing", "Suspended"])
def test_missing_and_suspended_as_argo_says_it(health: str) -> None:
    rollout = one({"status.health.status": health, "status.resources": [{"kind": "CronJob", "name": "x", "health": {"status": health}}]})
    assert (health, "CronJob/x") == (rollout.stage, rollout.reason)


@pytest.mark.parametrize("health", ["Progressing", "Unknown", ""])
def test_synced_and_not_yet_healthy_is_rolled_out(health: str) -> None:
    ready = pod("a", "Running", health="Healthy", Containers="1/1")
    rollout = one({"status.health.status": health}, tree=tree(ready, pod("b", "ContainerCreating")))
    assert ("RolledOut", "1/2 ready") == (rollout.stage, rollout.progress)


def test_a_pod_that_fits_nowhere_needs_attention_with_the_schedulers_text() -> None:
    event = Event(
        reason="FailedScheduling",
        type="Warning",
        message="0/3 nodes are available: 3 Insufficient cpu.",
        involved_object=EventObject(kind="Pod", name="a"),
    )
    rollout = one(PROGRESSING, tree=tree(pod("a", "Pending", Node="")), scheduling=(event,))
    assert (("RolledOut", {"attention"}), "0/3 nodes are available: 3 Insufficient cpu.") == (said(rollout), rollout.reason)


def test_pods_that_crash_while_the_operation_runs_need_attention() -> None:
    changes = OUT_OF_SYNC | {"status.operationState": operation(phase="Running")}
    rollout = one(changes, tree=tree(pod("a", "CrashLoopBackOff", Restart_Count="1", health="Degraded")))
    assert ("Syncing", {"attention"}) == said(rollout)


def test_live_shows_no_count_of_a_tree_from_before_it_was_healthy() -> None:
    ready = tree(pod("a", "Running", health="Healthy", Containers="1/1"))
    assert ["1/1 ready", ""] == [one({}, tree=seen).progress for seen in (ready, tree(pod("a", "Running")))]


def test_live_since_the_last_of_what_made_it_so() -> None:
    assert PUSH + timedelta(seconds=40) == one().since
    assert PUSH + timedelta(seconds=20) == one({"status.health.lastTransitionTime": after(-60)}).since


# Flags


@pytest.mark.parametrize(
    ("hooks", "flags", "reason"),
    [
        (True, {"hooks_skipped"}, "applied by a partial operation: hooks were skipped"),
        (None, {"hooks_skipped"}, "hooks may have been skipped"),
        (False, set(), ""),
    ],
)
def test_a_partial_operation_skips_hooks(hooks: bool | None, flags: set[str], reason: str) -> None:
    partial = {"status.history": LIVE["status"]["history"][:1], "status.operationState": operation(partial=True)}
    rollout = one(partial, want={"has_hooks": hooks})
    assert (("Live", flags), reason) == (said(rollout), rollout.reason)


def test_no_operation_at_all_had_nothing_to_do() -> None:
    rollout = one({"status.history": LIVE["status"]["history"][:1], "status.operationState": operation(OLD)})
    assert (("Live", {"nothing_to_do"}), "the commit changes nothing that runs") == (said(rollout), rollout.reason)


@pytest.mark.parametrize(
    ("kind", "flags", "more"),
    [
        ("PostSync", {"nothing_to_do", "attention"}, "; the sync before it failed: PostSync hook Job/notify: deadline"),
        ("PreSync", {"nothing_to_do"}, ""),
    ],
)
def test_what_a_sync_left_whose_last_hook_failed_is_live_with_a_word_on_it(kind: str, flags: set[str], more: str) -> None:
    results = [{"kind": "Job", "name": "notify", "hookType": kind, "hookPhase": "Failed", "message": "deadline"}]
    state = operation(OLD, "Failed", syncResult={"revision": OLD, "resources": results})
    rollout = one({"status.history": LIVE["status"]["history"][:1], "status.operationState": state})
    assert (("Live", flags), f"the commit changes nothing that runs{more}") == (said(rollout), rollout.reason)


def test_a_self_heal_after_nothing_to_do_skips_no_hook() -> None:
    before = one({"status.history": LIVE["status"]["history"][:1], "status.operationState": operation(OLD)})
    healed = {"status.history": LIVE["status"]["history"][:1], "status.operationState": operation(partial=True)}
    assert ("Live", {"nothing_to_do"}) == said(one(healed, previous=before))


@pytest.mark.parametrize(
    ("annotation", "files", "flags"),
    [
        ("/apps/web/values.yaml;.", ("environments/prod/values.yaml",), {"unproven"}),
        ("/apps/web/values.yaml;/environments", ("environments/prod/values.yaml",), set()),
        (".", ("charts/service/1.0.0/templates/deployment.yaml",), set()),
        (None, ("environments/prod/values.yaml",), set()),
        ("/apps/web/values.yaml", (), set()),
    ],
)
def test_a_file_outside_generate_paths_is_unproven(annotation: str | None, files: tuple[str, ...], flags: set[str]) -> None:
    annotations = {"argocd.argoproj.io/manifest-generate-paths": annotation} if annotation else {}
    changes = {"metadata.annotations": annotations}
    assert ("Live", flags) == said(one(changes, want={"files": files}))
    assert ("Live", set()) == said(one(changes, want={"files": files}, hard_refreshed=True))


def test_a_self_heal_of_what_is_applied_leaves_the_stage_and_is_flagged() -> None:
    healing = {"status.operationState": operation(phase="Running", partial=True)}
    assert ("Live", {"self_healing"}) == said(one(healing))


def test_a_partial_operation_is_a_deploy_until_the_release_was_seen_running() -> None:
    healing = {"status.history": LIVE["status"]["history"][:1], "status.operationState": operation(phase="Running", partial=True)}
    assert "Syncing" == one(healing).stage
    assert "Live" == one(healing, previous=Rollout(stage=Stage.ROLLED_OUT)).stage
    assert "Syncing" == one(healing, previous=Rollout(stage=Stage.LIVE, flags=frozenset((Flag.UNPROVEN,)))).stage


@pytest.mark.parametrize("feed", [FeedState.STALE, FeedState.FAILED, FeedState.CONNECTING])
def test_what_was_known_when_the_feed_went_is_stale(feed: FeedState) -> None:
    assert ("Live", {"stale"}) == said(one(feed=feed))


def test_degraded_health_is_flagged_under_an_earlier_row() -> None:
    assert ("Committed", {"degraded"}) == said(one({"status.sync.revision": OLD, "status.health.status": "Degraded"}))


def test_pause_is_flagged_whatever_the_sync() -> None:
    assert ("Live", {"paused"}) == said(one({"spec": PAUSED_SPEC}, want={"specs": (PAUSED_SPEC,)}))


def test_hostile_text_is_cleaned_and_cut() -> None:
    text = "boom \x1b]52;c;aGk=\x07 \u202e " + "x" * 100_000
    rollout = one({"status.operationState": operation(phase="Failed", message=text)})
    assert "\x1b" not in rollout.reason
    assert "\u202e" not in rollout.reason
    assert len(rollout.reason) < 500


def test_reasons_name_the_day_when_it_is_not_today() -> None:
    changes = {"status.sync.revision": OLD, "status.reconciledAt": "2026-11-23T23:59:00Z"}
    assert "Argo CD is at aaaaaaa, compared 23 Nov 23:59 UTC" == one(changes).reason


def test_other_time_zones_are_told_in_utc() -> None:
    zoned = one({"status.sync.revision": OLD, "status.reconciledAt": "2026-11-24T13:30:00+01:00"})
    assert "Argo CD is at aaaaaaa, compared 12:30 UTC" == zoned.reason
    assert datetime(2026, 11, 24, 12, 0, tzinfo=UTC) == zoned.since


def test_a_rollout_is_a_value_that_survives_a_round_trip() -> None:
    rollout = one()
    assert rollout == msgspec.json.decode(msgspec.json.encode(rollout), type=Rollout)
