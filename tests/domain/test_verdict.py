"""Exit codes of `--wait`, and when waiting goes on."""

from typing import Any

import pytest

from backends.domain.rollout import FeedState, Flag, Rollout, Stage
from backends.domain.verdict import Verdict, environment_verdict, exit_code, spec_verdict, timed_out, unreachable, verdict
from tests.domain.looks import OLD, OURS, SPEC, contains, keeper, seen, wanted

MANUAL = SPEC | {"syncPolicy": {"automated": {"prune": True}}}
PAUSED = SPEC | {"syncPolicy": {"automated": {"enabled": False}}}


def of(stage: Stage, *flags: Flag, reason: str = "", **more: Any) -> Verdict | None:
    want = more.pop("want", {})
    rollout = Rollout(stage=stage, flags=frozenset(flags), reason=reason)
    options = {name: more.pop(name) for name in ("full_sync", "may_refresh") if name in more}
    return verdict(rollout, wanted(**want), seen(more.pop("changes", None), **more), **options)


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        (Stage.LIVE, 0),
        (Stage.SYNC_FAILED, 1),
        (Stage.DEGRADED, 1),
        (Stage.MISSING, 1),
        (Stage.SUPERSEDED, 1),
        (Stage.BLOCKED, 3),
        (Stage.PAUSED, 3),
        (Stage.SUSPENDED, 3),
        (Stage.COMMITTED, None),
        (Stage.DETECTED, None),
        (Stage.SYNCING, None),
        (Stage.ROLLED_OUT, None),
        (Stage.DRIFTED, None),
        (Stage.DELETING, None),
        (Stage.UNKNOWN, None),
        (Stage.GONE, None),
    ],
)
def test_each_stage_has_its_exit_code_or_none(stage: Stage, code: int | None) -> None:
    found = of(stage)
    assert code == (found.exit_code if found else None)


def test_a_verdict_says_stage_and_reason() -> None:
    assert Verdict(exit_code=1, sentence="Degraded: web crashes") == of(Stage.DEGRADED, reason="web crashes")
    assert Verdict(exit_code=0, sentence="Live") == of(Stage.LIVE)


def test_gone_is_good_only_when_it_was_removed() -> None:
    assert Verdict(exit_code=0, sentence="Gone") == of(Stage.GONE, want={"removed": True})


def test_drift_is_final_where_nobody_heals_it() -> None:
    found = of(Stage.DRIFTED, changes={"spec": MANUAL}, reason="differs: Deployment/web")
    assert Verdict(exit_code=1, sentence="Drifted: differs: Deployment/web; self-heal is off") == found


def test_what_waits_for_people_is_refused() -> None:
    assert 3 == getattr(of(Stage.DETECTED, Flag.NEEDS_YOU, reason="waits for Sync"), "exit_code", None)
    assert 3 == getattr(of(Stage.COMMITTED, Flag.NEEDS_YOU, want={"removed": True}), "exit_code", None)
    assert 3 == getattr(of(Stage.UNKNOWN, forbidden=True), "exit_code", None)


def test_skipped_hooks_are_a_warning_unless_a_full_sync_was_asked_for() -> None:
    assert Verdict(exit_code=0, sentence="Live", warning="hooks were skipped") == of(
        Stage.LIVE, Flag.HOOKS_SKIPPED, reason="hooks were skipped"
    )
    assert of(Stage.LIVE, Flag.HOOKS_SKIPPED, full_sync=True) is None


def test_an_unproven_live_waits_for_its_hard_refresh() -> None:
    assert of(Stage.LIVE, Flag.UNPROVEN) is None
    assert 3 == getattr(of(Stage.LIVE, Flag.UNPROVEN, may_refresh=False), "exit_code", None)


@pytest.mark.parametrize("stage", [Stage.LIVE, Stage.DEGRADED, Stage.BLOCKED])
def test_nothing_stale_or_undecided_is_a_verdict(stage: Stage) -> None:
    assert of(stage, Flag.STALE) is None
    assert verdict(Rollout(stage=stage, undecided=True), wanted(), seen()) is None


def test_a_stuck_deploy_is_not_failed_yet() -> None:
    assert of(Stage.DETECTED, Flag.STUCK) is None


@pytest.mark.parametrize("stage", [Stage.LIVE, Stage.SYNCING, Stage.UNKNOWN])
def test_a_failed_feed_is_unreachable(stage: Stage) -> None:
    assert Verdict(exit_code=5, sentence="connection refused") == of(stage, feed=FeedState.FAILED, feed_error="connection refused")


@pytest.mark.parametrize(
    ("changes", "more", "code"),
    [
        ({"spec": PAUSED}, {}, 0),
        ({"spec": PAUSED, "status.health.status": "Degraded"}, {}, 0),
        ({}, {}, None),
        ({"spec": PAUSED}, {"feed": FeedState.STALE}, None),
        ({}, {"feed": FeedState.FAILED}, 5),
        ({}, {"application": None}, None),
        ({}, {"application": None, "forbidden": True}, 3),
    ],
)
def test_a_pause_is_there_when_the_live_spec_says_so(changes: dict[str, Any], more: dict[str, Any], code: int | None) -> None:
    found = spec_verdict(wanted(specs=(PAUSED,), paused=True), seen(changes, **more))
    assert code == (found.exit_code if found else None)


@pytest.mark.parametrize(
    ("root", "manager", "code"),
    [
        (keeper(), keeper(), 0),
        (keeper(OLD), keeper(), None),
        (keeper(), keeper(OLD), None),
        (keeper(), None, None),
        (keeper(), keeper(health={"status": "Progressing"}), None),
        (keeper(), keeper(sync={"status": "OutOfSync", "revision": OURS}), None),
    ],
)
def test_an_environment_is_there_when_root_and_manager_are_in_step(root: Any, manager: Any, code: int | None) -> None:
    found = environment_verdict(seen(root=root, manager=manager), OURS, contains)
    assert code == (found.exit_code if found else None)


def test_an_environment_is_not_there_while_the_feed_is_stale() -> None:
    assert environment_verdict(seen(root=keeper(), manager=keeper(), feed=FeedState.STALE), OURS, contains) is None
    assert 5 == getattr(environment_verdict(seen(feed=FeedState.FAILED), OURS, contains), "exit_code", None)


def test_a_timeout_says_where_it_stands() -> None:
    rollout = Rollout(stage=Stage.SYNCING, reason="PreSync hook Job/migrate running")
    assert Verdict(exit_code=4, sentence="not there after 600 s; Syncing: PreSync hook Job/migrate running") == timed_out(rollout, 600)
    assert Verdict(exit_code=4, sentence="not there after 5 s; nothing was seen") == timed_out(None, 5)


@pytest.mark.parametrize(
    ("codes", "expected"), [((), 0), ((0, 0), 0), ((0, 4), 4), ((4, 3), 3), ((3, 1, 0), 1), ((1, 5, 3), 5), ((0, 5), 5)]
)
def test_several_targets_exit_with_the_worst(codes: tuple[int, ...], expected: int) -> None:
    assert expected == exit_code(Verdict(exit_code=code, sentence="x") for code in codes)


def test_unreachable_has_words_of_its_own() -> None:
    assert "Argo CD is not reachable" == unreachable("").sentence
