"""Recorded streams of a real server, followed: the stages that a person saw, in order, flags included.

Each test names the Application it follows and the commit. A stage that the recording has and that is not listed here was a flash.
"""

import pytest

from backends.domain.rollout import Stage
from tests.contract.replay import Recording, replay

WEB, ZZ, SHOP = "web-dev-aaaaaa", "web-dev-zz45ab", "shop-api-prod-p2m5vd"
DEV = {"manager": "tiphys-acme--dev", "root": "tiphys-acme"}
PROD = {"manager": "tiphys-acme--prod", "root": "tiphys-acme"}
LIVE_BEFORE = "aa78322abc6f1aea742b923bd02e66980ee8f360"
AFTER_IT = "cb50fd5b69e478a9f9f4304e6c1da39084ff4e79"
HEALED = "c6ab3934f12f1d4340e44db6327107446702c578"
ROLLBACK = "27aed760d78b110efdf124876a075d4c4294f99a"
SECOND_PUSH = "3da847ac09b1e45ecf1f11eacd31a158469b2d61"


def test_a_good_deploy_goes_from_committed_to_live() -> None:
    shown = replay("deploy-good", WEB, "cf1248b", has_hooks=True)
    assert ["Committed", "Syncing", "RolledOut", "Live"] == shown.story
    assert "PreSync hook batch/Job/web-dev-aaaaaa-migrate running since 12:02 UTC" in shown.reasons("Syncing")
    assert "2/2 ready" == shown.last.progress


def test_nobody_nudges_and_it_still_goes_live() -> None:
    shown = replay("deploy-poll-only", WEB, "eec9196", has_hooks=True)
    assert ["Committed", "Syncing", "RolledOut", "Live"] == shown.story
    assert ["Argo CD is at 3317849, compared 12:06 UTC"] == shown.reasons("Committed")


@pytest.mark.parametrize(("app", "ref_index"), [(WEB, None), ("web-prod-cccccc", 1)])
def test_an_unrelated_commit_is_live_without_an_operation(app: str, ref_index: int | None) -> None:
    shown = replay("unrelated-commit", app, "fdb56db", ref_index=ref_index, has_hooks=True)
    assert ["Committed", "Live +nothing_to_do"] == shown.story
    assert "the commit changes nothing that runs" == shown.last.reason


def test_a_commit_that_changes_another_application_syncs_that_one() -> None:
    shown = replay("unrelated-commit", "api-dev-bbbbbb", "fdb56db", has_hooks=True)
    assert ["Committed", "Syncing"] == shown.story


def test_a_manifest_error_says_its_last_line_with_the_file() -> None:
    shown = replay("manifest-error", WEB, "bb2e98f", until=10.1, has_hooks=True)
    assert ["Committed", "SyncFailed"] == shown.story
    text = "failed to parse deployments/dev/web-dev-aaaaaa/values.yaml: error converting YAML to JSON: yaml: line 1: did not find"
    assert f"{text} expected node content" == shown.last.reason
    assert "main" == shown.last.revision


def test_the_fix_of_a_manifest_error_is_stuck_until_somebody_syncs() -> None:
    # A failed sync by hand of the broken revision keeps automated sync from trying the fix; 80 s later a dry run and a refresh freed it,
    # by a partial operation: the PreSync hook never ran.
    shown = replay("manifest-error", WEB, "43ca35b", has_hooks=True)
    assert ["Committed", "Detected +stuck", "Syncing", "RolledOut +hooks_skipped", "Live +hooks_skipped"] == shown.story
    assert shown.reasons("Committed")[0].startswith("the error is older than the commit: failed to parse ")
    assert shown.reasons("Detected")[0].startswith("automated sync gave up on bb2e98f and will not try this commit by itself")


def test_failing_pods_are_degraded_long_before_argo_says_so() -> None:
    shown = replay("deploy-never-ready", WEB, "f686d60", until=62.3, has_hooks=True)
    assert ["Committed", "Syncing", "RolledOut", "RolledOut +attention", "Degraded"] == shown.story
    assert "web-dev-aaaaaa-59fdf5c6d7-gcnh2: containerFailed (container failed) (and 1 more)" == shown.reasons("Degraded")[0]


def test_a_rollback_is_not_blamed_for_the_pods_of_before() -> None:
    shown = replay("deploy-never-ready", WEB, "25b42f3", has_hooks=True)
    assert ["Committed", "Syncing", "RolledOut", "Live"] == shown.stages
    assert shown.last.flags == frozenset()


def test_pods_that_fit_nowhere_are_degraded_when_argo_says_so() -> None:
    shown = replay("deploy-unschedulable", WEB, "135f3bf", until=30.03, has_hooks=True)
    assert ["Committed", "Syncing", "RolledOut", "Degraded"] == shown.story
    assert "web-dev-aaaaaa-7f7d679979-6s4pb: waits for a node" == shown.reasons("RolledOut")[-1]
    assert shown.last.reason.endswith("exceeded its progress deadline")


def test_a_rollback_out_of_degraded_says_so_until_it_is_applied() -> None:
    shown = replay("deploy-unschedulable", WEB, "fa81492", has_hooks=True)
    assert ["Committed +degraded", "Syncing +degraded", "RolledOut", "Live"] == shown.story


def test_a_failing_hook_is_retried_and_terminated() -> None:
    shown = replay("hook-fails", WEB, "5eb288a", until=67.8, has_hooks=True)
    retried = [
        "Syncing +attention",
        "Syncing +attention +retrying",
        "Syncing +retrying",
        "Syncing +attention +retrying",
        "Syncing +retrying",
    ]
    assert ["Committed", "Syncing", *retried, "SyncFailed"] == shown.story
    said = "failed, attempt 2 of 5, next at 12:28: PreSync hook Job/web-dev-aaaaaa-migrate: Job was active longer than specified deadline"
    assert said in shown.reasons("Syncing")
    assert "Operation terminated (retried 2 times): PreSync hook Job/web-dev-aaaaaa-migrate: Terminated" == shown.last.reason


def test_the_fix_of_a_failing_hook_goes_live() -> None:
    assert ["Committed", "Syncing", "RolledOut", "Live"] == replay("hook-fails", WEB, "adac682", has_hooks=True).story


def test_a_terminated_operation_is_failed_until_somebody_syncs_again() -> None:
    shown = replay("terminate-running", WEB, "c6ab393", has_hooks=True)
    assert ["Committed", "Syncing", "SyncFailed", "Syncing", "RolledOut", "Live"] == shown.story
    assert ["Operation terminated"] == shown.reasons("SyncFailed")


def test_a_self_heal_is_nobodys_deploy() -> None:
    specs = Recording("live-edit-self-healed").specs(WEB)[:1]
    shown = replay("live-edit-self-healed", WEB, HEALED, order=[HEALED], start=0.3, specs=specs, has_hooks=True)
    assert ["Live"] == shown.story


def test_paused_automation_waits_and_lets_a_sync_by_hand_through() -> None:
    shown = replay(
        "paused-automation",
        WEB,
        "679aaec",
        specs=Recording("paused-automation").specs(WEB, since=2.4),
        paused=True,
        paused_until="2026-11-26T18:00:00Z",
        paused_reason="load test",
        has_hooks=True,
    )
    # A rollback and a selective sync by hand come in between; neither applies the commit.
    assert ["Committed", "Paused", "Syncing", "Paused", "Syncing", "RolledOut", "Live"] == shown.stages
    assert {"paused"} == {str(flag) for one in shown.rollouts for flag in one.flags}
    assert ["automated sync is paused until 2026-11-26T18:00:00Z: load test"] == list(dict.fromkeys(shown.reasons("Paused")))


def test_a_freeze_blocks_until_its_window_is_gone() -> None:
    shown = replay("sync-window-deny", WEB, "ed5547d", has_hooks=True)
    assert ["Committed", "Blocked", "Syncing", "RolledOut", "Live"] == shown.story
    assert ["blocked by the deny window '* * * * *' for 1h"] == shown.reasons("Blocked")


def test_a_new_application_shows_no_flash_between_its_two_syncs() -> None:
    shown = replay("create-then-delete-directory", "tmp-dev-eeeeee", "6f8eba5", until=19.4, has_hooks=True)
    assert ["Committed", "Syncing", "RolledOut", "Live"] == shown.story
    assert "its Manager has not seen the commit yet: is at aa78322, compared 12:18 UTC" == shown.reasons("Committed")[0]


def test_a_deleted_directory_is_gone_when_deleted_was_seen() -> None:
    shown = replay("create-then-delete-directory", "tmp-dev-eeeeee", "cb50fd5", removed=True)
    assert ["Committed", "Deleting", "Gone"] == shown.story
    assert shown.reasons("Deleting")[0].startswith("3 resources are left: ConfigMap/tmp-dev-eeeeee-env, ")


def test_a_server_restart_is_stale_and_then_as_before() -> None:
    shown = replay("server-restart", WEB, "aa78322", order=[LIVE_BEFORE, AFTER_IT], start=0.2, has_hooks=True)
    assert ["Live", "Live +stale", "Live"] == shown.story


def test_a_commit_made_while_the_server_was_away_is_seen_after_it() -> None:
    shown = replay("server-restart", WEB, "cb50fd5", order=[LIVE_BEFORE, AFTER_IT], start=0.2, has_hooks=True)
    assert ["Committed", "Committed +stale", "Committed", "Live +nothing_to_do"] == shown.story


def test_an_old_spec_at_the_new_revision_is_not_live() -> None:
    shown = replay("spec-change-child-refreshed-first", ZZ, "6ed68d5", has_hooks=True, **DEV)
    assert ["Committed", "Detected", "Syncing", "Live"] == shown.story
    assert "its Manager has not applied application.yaml yet (source.path)" == shown.reasons("Committed")[-1]


def test_a_file_outside_generate_paths_is_unproven_until_a_hard_refresh() -> None:
    files = ("environments/dev/values.yaml",)
    shown = replay("file-outside-generate-paths", "shop-api-dev-k3x7qa", "0e59573", files=files, has_hooks=False, until=17.3, **DEV)
    assert ["Committed", "Live +nothing_to_do +unproven", "RolledOut", "Live"] == shown.story
    assert shown.reasons("Live")[0].startswith("manifest-generate-paths does not name environments/dev/values.yaml: ")


def test_a_push_during_an_operation_supersedes_the_first_release() -> None:
    newer = {"by": SECOND_PUSH, "at": 6.055}
    shown = replay("push-during-operation", ZZ, "6120a6d", superseded=newer, has_hooks=True, **DEV)
    assert ["Committed", "Syncing", "Superseded"] == shown.story
    assert "3da847a is newer" == shown.last.reason


def test_a_push_during_an_operation_is_live_with_its_hooks_skipped() -> None:
    shown = replay("push-during-operation", ZZ, "3da847a", until=17.2, has_hooks=True, **DEV)
    assert ["Committed", "Detected", "Syncing", "RolledOut +hooks_skipped", "Live +hooks_skipped"] == shown.story
    assert "an operation to 6120a6d by auto-sync runs since 15:34 UTC: wait or terminate it" == shown.reasons("Detected")[0]


def test_one_full_sync_runs_the_skipped_hooks() -> None:
    shown = replay("push-during-operation", ZZ, "3da847a", has_hooks=True, **DEV)
    assert ["Syncing", "RolledOut", "Live"] == shown.story[-3:]


def test_a_first_deploy_by_the_environments_manager() -> None:
    shown = replay("first-deploy-by-environment-manager", "web-dev-new234", "a94bdfd", until=14.1, has_hooks=True, **DEV)
    assert ["Committed", "Syncing", "RolledOut", "Live"] == shown.story


def test_a_first_deploy_taken_back_is_gone() -> None:
    shown = replay("first-deploy-by-environment-manager", "web-dev-new234", "aa83c66", removed=True, **DEV)
    assert ["Committed", "Deleting", "Gone"] == shown.story


def test_deleting_a_whole_environment_needs_a_sync_with_prune() -> None:
    shown = replay("delete-all-of-an-environment", "web-prod-q7t2cc", "5fd4576", removed=True, until=13.3, **PROD)
    assert ["Committed", "Committed +needs_you", "Committed", "Deleting", "Gone"] == shown.story
    refused = "its Manager refuses: auto-sync will wipe out all resources: sync it with prune, its name typed"
    assert refused in shown.reasons("Committed")


def test_a_deleted_environment_comes_back_with_the_revert() -> None:
    shown = replay("delete-all-of-an-environment", "web-prod-q7t2cc", "b631da6", has_hooks=True, **PROD)
    assert ["Committed", "Syncing", "RolledOut", "Live"] == shown.story


def test_a_crash_loop_is_degraded_within_seconds_and_superseded_by_the_rollback() -> None:
    newer = {"by": ROLLBACK, "at": 18.067}
    shown = replay("crash-loop-then-rollback", SHOP, "8d7d168", superseded=newer, has_hooks=False, **PROD)
    assert ["Committed", "Syncing", "RolledOut", "RolledOut +attention", "Degraded", "Superseded"] == shown.story
    said = "shop-api-prod-p2m5vd-65d4fb9cb5-t2fwq: CrashLoopBackOff, 2 restarts (back-off 10s restarting failed container)"
    assert said == shown.reasons("Degraded")[0]


def test_the_rollback_of_a_crash_loop_goes_live() -> None:
    shown = replay("crash-loop-then-rollback", SHOP, "27aed76", has_hooks=False, **PROD)
    assert ["Committed", "Syncing", "RolledOut", "Live"] == shown.story


@pytest.mark.parametrize(
    ("name", "app", "commit"), [("deploy-good", WEB, "cf1248b"), ("hook-fails", WEB, "5eb288a"), ("deploy-never-ready", WEB, "f686d60")]
)
def test_a_stage_says_since_when_by_the_data(name: str, app: str, commit: str) -> None:
    shown = replay(name, app, commit, has_hooks=True)
    begun = [one.since for one in shown.rollouts if one.since and one.stage in (Stage.COMMITTED, Stage.ROLLED_OUT, Stage.LIVE)]
    assert begun == sorted(begun)


def test_the_same_recording_tells_the_same_story_twice() -> None:
    assert replay("deploy-good", WEB, "cf1248b") == replay("deploy-good", WEB, "cf1248b")
