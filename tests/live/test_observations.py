"""Observations: what was seen of releases, kept as a cache that may vanish."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.domain.ids import DeploymentId, Sha
from backends.domain.milestones import Milestones
from backends.domain.stage import Stage
from backends.live import observations
from backends.live.observations import Observations
from tests.live.samples import REVISIONS, later

WEB = DeploymentId("web-dev-zz45ab")
FIRST, SECOND = Sha(REVISIONS[0]), Sha(REVISIONS[1])


def milestones(commit: Sha = FIRST, **at: float) -> Milestones:
    return Milestones(commit=commit, **{name: later(seconds) for name, seconds in at.items()})


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "observations" / "one.json"
    seen = Observations(path)
    seen.add(WEB, milestones(push=1), Stage.SYNCING)
    seen.add(WEB, milestones(push=1, detected=2, live=9), Stage.LIVE)
    seen.save()

    found = Observations(path).of(WEB, FIRST)
    assert found is not None
    assert (milestones(push=1, detected=2, live=9), Stage.LIVE, True) == (found.milestones, found.stage, found.was_live)
    assert 0o600 == path.stat().st_mode & 0o777
    assert 0o700 == path.parent.stat().st_mode & 0o777


def test_a_point_once_seen_stays(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    first = Observations(path)
    first.add(WEB, milestones(push=1, detected=2), Stage.DETECTED)
    first.save()
    second = Observations(path)
    second.add(WEB, milestones(push=5, live=9), Stage.LIVE)
    second.save()

    found = Observations(path).of(WEB, FIRST)
    assert found is not None
    assert milestones(push=1, detected=2, live=9) == found.milestones


def test_two_on_one_host_keep_each_others(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    ours, theirs = Observations(path), Observations(path)
    ours.add(WEB, milestones(FIRST, live=1), Stage.LIVE)
    theirs.add(WEB, milestones(SECOND, push=2), Stage.DEGRADED)
    ours.save()
    theirs.save()

    found = list(Observations(path).releases(WEB))
    assert [(FIRST, True), (SECOND, False)] == [(one.milestones.commit, one.was_live) for one in found]


def test_nobody_who_watched_means_nobody_knows(tmp_path: Path) -> None:
    seen = Observations(tmp_path / "one.json")
    assert seen.of(WEB, FIRST) is None
    seen.add(WEB, milestones(push=1), Stage.SYNCING)
    found = seen.of(WEB, FIRST)
    assert found is not None
    assert found.was_live is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"web": 1}', b"\xff\xfe", b'{"web": {"x": {"milestones": {"commit": 3}}}}'])
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(damage)
    seen = Observations(path)
    assert [] == list(seen.releases(WEB))
    seen.add(WEB, milestones(live=1), Stage.LIVE)
    seen.save()
    assert 1 == len(list(Observations(path).releases(WEB)))


def test_reading_alone_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "observations" / "one.json"
    Observations(path).save()
    assert not path.parent.exists()


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.json"
    monkeypatch.setattr(observations, "IN_ALL", 60)
    seen = Observations(path)
    for number in range(10):
        for commit in range(25):
            seen.add(DeploymentId(f"app-{number}"), milestones(Sha(f"{commit:040x}"), push=commit), Stage.LIVE)
    seen.save()

    again = Observations(path)
    kept = {number: [one.milestones.commit for one in again.releases(DeploymentId(f"app-{number}"))] for number in range(10)}
    assert {7, 8, 9} == {number for number, commits in kept.items() if commits}
    assert [Sha(f"{commit:040x}") for commit in range(5, 25)] == kept[9]
