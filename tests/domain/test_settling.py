"""What is shown of a series of looks."""

from datetime import timedelta

import msgspec
import pytest

from backends.domain.rollout import Flag, Rollout, Stage, pushed, settle
from tests.domain.looks import NOW, PUSH, wanted


def shown(*looks: tuple[Stage, float], start: Rollout | None = None) -> list[str]:
    """Stages shown when looks come at these seconds and nothing comes between."""
    state, told = start, []
    for stage, at in looks:
        state = settle(state, Rollout(stage=stage), now=NOW + timedelta(seconds=at))
        told.append(str(state.stage))
    return told


C, D, S, R, L = Stage.COMMITTED, Stage.DETECTED, Stage.SYNCING, Stage.ROLLED_OUT, Stage.LIVE


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(L, 0)], ["Live"]),
        ([(C, 0), (D, 0.1), (S, 0.2), (R, 0.3)], ["Committed", "Detected", "Syncing", "RolledOut"]),
        ([(C, 0), (L, 1), (L, 2.9), (L, 3)], ["Committed", "Committed", "Committed", "Live"]),
        ([(L, 0), (R, 1), (L, 2.5)], ["Live", "Live", "Live"]),
        ([(L, 0), (R, 1), (L, 2), (R, 2.5), (R, 4), (R, 4.5)], ["Live", "Live", "Live", "Live", "Live", "RolledOut"]),
        ([(S, 0), (Stage.DRIFTED, 1), (R, 1.1)], ["Syncing", "Syncing", "RolledOut"]),
        ([(L, 0), (Stage.DRIFTED, 1), (Stage.DRIFTED, 3)], ["Live", "Live", "Drifted"]),
        ([(R, 0), (Stage.DEGRADED, 0.1), (R, 0.2), (R, 2.2)], ["RolledOut", "Degraded", "Degraded", "RolledOut"]),
        ([(L, 0), (Stage.SYNC_FAILED, 0.1), (S, 0.2)], ["Live", "SyncFailed", "Syncing"]),
        ([(D, 0), (Stage.BLOCKED, 0.1), (S, 0.2)], ["Detected", "Blocked", "Syncing"]),
        ([(D, 0), (Stage.PAUSED, 0.1), (S, 0.2), (Stage.PAUSED, 0.3), (R, 0.4)], ["Detected", "Paused", "Syncing", "Syncing", "RolledOut"]),
        ([(C, 0), (Stage.DELETING, 0.1), (Stage.GONE, 0.2)], ["Committed", "Deleting", "Gone"]),
        ([(Stage.UNKNOWN, 0), (L, 0.1)], ["Unknown", "Live"]),
        ([(L, 0), (Stage.UNKNOWN, 0.1), (Stage.UNKNOWN, 2.1)], ["Live", "Live", "Unknown"]),
    ],
)
def test_stages_show_at_once_or_once_they_have_lasted(looks: list[tuple[Stage, float]], expected: list[str]) -> None:
    assert expected == shown(*looks)


def test_a_look_that_could_not_decide_keeps_what_was_shown() -> None:
    live = Rollout(stage=Stage.LIVE, since=PUSH)
    fetching = Rollout(stage=Stage.UNKNOWN, undecided=True, reason="fetching aaaaaaa")
    assert Stage.LIVE is settle(live, fetching, now=NOW + timedelta(minutes=5)).stage


def test_the_first_decided_look_after_undecided_ones_shows_at_once() -> None:
    fetching = settle(None, Rollout(stage=Stage.UNKNOWN, undecided=True), now=NOW)
    assert Stage.LIVE is settle(fetching, Rollout(stage=Stage.LIVE), now=NOW).stage


def test_a_held_stage_still_tells_the_facts_of_its_row() -> None:
    live = settle(None, Rollout(stage=Stage.LIVE), now=NOW)
    held = settle(live, Rollout(stage=Stage.ROLLED_OUT, flags=frozenset((Flag.STALE, Flag.ATTENTION))), now=NOW)
    assert (Stage.LIVE, {Flag.STALE}) == (held.stage, held.flags)


@pytest.mark.parametrize("flag", [Flag.SELF_HEALING, Flag.RETRYING])
def test_slow_flags_show_once_they_have_lasted(flag: Flag) -> None:
    look, state = Rollout(stage=Stage.LIVE, flags=frozenset((flag, Flag.PAUSED))), None
    told = []
    for seconds in (0, 1.9, 2.0):
        state = settle(state, look, now=NOW + timedelta(seconds=seconds))
        told.append(flag in state.flags)
        assert Flag.PAUSED in state.flags
    assert [False, False, True] == told


def test_live_keeps_the_time_when_it_began() -> None:
    live = settle(None, Rollout(stage=Stage.LIVE, since=PUSH), now=NOW)
    later = settle(live, Rollout(stage=Stage.LIVE, since=NOW, reason="new"), now=NOW)
    assert (PUSH, "new") == (later.since, later.reason)


def test_a_follower_begins_with_committed_however_fast_the_rest_is() -> None:
    start = pushed(wanted())
    assert (Stage.COMMITTED, PUSH) == (start.stage, start.since)
    assert ["Committed", "Live"] == shown((L, 0), (L, 2), start=start)


def test_settling_again_with_the_same_look_changes_nothing() -> None:
    first = settle(Rollout(stage=Stage.LIVE), Rollout(stage=Stage.ROLLED_OUT), now=NOW)
    assert first == settle(first, Rollout(stage=Stage.ROLLED_OUT), now=NOW)
    assert first == settle(msgspec.structs.replace(first), Rollout(stage=Stage.ROLLED_OUT), now=NOW)
