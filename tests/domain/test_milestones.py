"""When a release passed each point of its way."""

from datetime import datetime, timedelta

import msgspec

from backends.domain.milestones import Milestones, observe, seeded
from backends.domain.rollout import Flag, Rollout, Stage, Wanted, look
from tests.contract.replay import Recording
from tests.domain.looks import LIVE, NOW, OLD, OURS, PUSH, after, app, contains, one, operation, pod, seen, tree

START = Milestones(commit=OURS, push=PUSH)


def at(seconds: float) -> datetime:
    return PUSH + timedelta(seconds=seconds)


def test_a_deploy_passes_all_of_them_in_order() -> None:
    running = {"status.sync.status": "OutOfSync", "status.operationState": operation(phase="Running"), "status.reconciledAt": after(11)}
    progressing = {"status.health": {"status": "Progressing", "lastTransitionTime": after(20)}}
    ready = tree(pod("a", "Running", health="Healthy", Containers="1/1"))
    found = observe(START, one(running), seen(running), now=at(12))
    assert msgspec.structs.replace(START, detected=at(10)) == found
    found = observe(found, one(progressing), seen(progressing), now=at(25))
    assert msgspec.structs.replace(START, detected=at(10), synced=at(20)) == found
    found = observe(found, one(progressing, tree=ready), seen(progressing, tree=ready), now=at(30))
    assert at(30) == found.first_ready
    found = observe(found, one(), seen(), now=at(45))
    assert (at(40), at(40)) == (found.all_ready, found.live)


def test_what_was_reached_stays() -> None:
    full = Milestones(commit=OURS, push=PUSH, detected=at(1), synced=at(2), first_ready=at(3), all_ready=at(4), live=at(5))
    assert full is observe(full, one(), seen(), now=NOW)


def test_nothing_is_learnt_from_what_is_stale_undecided_or_not_there() -> None:
    stale = Rollout(stage=Stage.LIVE, flags=frozenset((Flag.STALE,)), since=NOW)
    assert START is observe(START, stale, seen(), now=NOW)
    assert START is observe(START, Rollout(stage=Stage.UNKNOWN, undecided=True), seen(), now=NOW)
    assert START is observe(START, one(application=None), seen(application=None), now=NOW)
    assert START is observe(START, one({"status.sync.revision": OLD}), seen({"status.sync.revision": OLD}), now=NOW)


def test_an_unproven_live_is_not_live_yet() -> None:
    rollout = Rollout(stage=Stage.LIVE, flags=frozenset((Flag.UNPROVEN,)), since=at(40))
    assert observe(START, rollout, seen(), now=NOW).live is None


def test_a_commit_with_nothing_to_do_is_synced_when_it_was_compared() -> None:
    changes = {
        "status.history": LIVE["status"]["history"][:1],
        "status.operationState": operation(OLD),
        "status.health.lastTransitionTime": after(-600),
    }
    found = observe(START, one(changes), seen(changes), now=NOW)
    assert (at(21), at(21), at(0), at(0)) == (found.detected, found.synced, found.all_ready, found.live)


def test_argos_history_still_tells_of_a_release_nobody_followed() -> None:
    assert msgspec.structs.replace(START, detected=at(10), synced=at(20)) == seeded(START, app(), contains)
    assert START is seeded(START, app({"status.history": LIVE["status"]["history"][:1]}), contains)


def test_milestones_of_a_recorded_deploy_are_in_order() -> None:
    recording = Recording("deploy-good")
    commit = recording.pushes[0]
    begin = recording.at(commit)
    name = "web-dev-aaaaaa"
    pushed = (recording.base + timedelta(seconds=begin)).replace(microsecond=0)  # Git and Argo CD know whole seconds
    want = Wanted(id=name, commit=commit, committed_at=pushed, specs=tuple(recording.specs(name)))
    found, shown = Milestones(commit=commit, push=want.committed_at), None
    for t, seen_now in recording.looks(name, manager="tiphys-root", root="tiphys-root", until=25, tail=0):
        if t >= begin:
            now = recording.base + timedelta(seconds=t)
            shown = look(shown, want, seen_now, contains=recording.contains, now=now)
            found = observe(found, shown, seen_now, now=now)
    times = [found.push, found.detected, found.synced, found.first_ready, found.all_ready, found.live]
    assert times == sorted(times)
    assert [0, 13, 19] == [round((one - found.detected).total_seconds()) for one in (found.detected, found.synced, found.all_ready)]
