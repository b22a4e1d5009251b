"""Many writers on one remote, each a process with a clone of its own, as on eight hosts: nothing lost, nothing twice, nothing by force."""

import signal
import time
from pathlib import Path

import pytest

from backends.domain.ids import ChangeId, mint_change_id
from backends.gitops.journal import Journal, Outcome
from backends.gitops.repo import Repo
from backends.gitops.writer import STEPS, write
from tests.gitops import crowd
from tests.gitops.remotes import bare, decode, encode, git

WRITERS, INTENTS, SHARED_INTENTS = 8, 25, 8


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A remote that remembers each move of its branch."""
    remote = bare(tmp_path / "remote.git", {"tiphys.yaml": "slug: acme\n"})
    git(remote, "config", "core.logAllRefUpdates", "always")
    return remote


def job(remote: Path, tmp_path: Path, name: str, *, count: int = 1, shared: int = 0, kill_at: str = "", change: str = "") -> crowd.Job:
    return crowd.Job(
        remote=str(remote),
        cache=str(tmp_path / "cache" / name),
        state=str(tmp_path / "state" / name),
        name=name,
        count=count,
        shared=shared,
        kill_at=kill_at,
        change=change,
    )


def moves(remote: Path) -> list[tuple[str, str]]:
    """Each move of `main`, old and new commit, oldest first."""
    rows = (remote / "logs" / "refs" / "heads" / "main").read_text().splitlines()
    return [(row.split()[0], row.split()[1]) for row in rows]


def changes(remote: Path) -> dict[str, str]:
    """Change id → commit, of all commits that have one; fails on one that stands twice."""
    rows = git(remote, "log", "--format=%H %(trailers:key=Tiphys-Change,valueonly,separator=%x2C)", "main").split("\n")
    found = [(change, sha) for sha, _, change in (row.partition(" ") for row in rows) if change]
    assert len(found) == len({change for change, _ in found}), "a change stands twice in the history"
    return dict(found)


def assert_never_forced(remote: Path) -> None:
    assert "" == git(remote, "rev-list", "--merges", "main")
    parents = dict(row.split(" ") for row in git(remote, "rev-list", "--parents", "main").split("\n") if " " in row)
    assert [] == [(old, new) for old, new in moves(remote) if parents.get(new) != old]


@pytest.mark.timeout(200)
def test_eight_writers_with_deployments_of_their_own(remote: Path, tmp_path: Path) -> None:
    found = crowd.results([crowd.start(job(remote, tmp_path, f"w{number}", count=INTENTS)) for number in range(WRITERS)])

    assert WRITERS * INTENTS == len(found)
    assert {result.change: result.commit for result in found} == changes(remote)
    listed = git(remote, "ls-tree", "-r", "--name-only", "main", "deployments").split("\n")
    assert sorted(result.path for result in found) == listed
    assert_never_forced(remote)
    attempts = [result.attempts for result in found]
    print(f"attempts: mean {sum(attempts) / len(attempts):.2f}, worst {max(attempts)}")


def test_eight_writers_of_the_same_deployments(remote: Path, tmp_path: Path) -> None:
    jobs = [job(remote, tmp_path, f"w{number}", count=SHARED_INTENTS, shared=3) for number in range(WRITERS)]
    found = crowd.results([crowd.start(each) for each in jobs])

    written = {result.change: result.commit for result in found if result.commit}
    assert written == changes(remote)
    lines = [line for number in range(3) for line in git(remote, "show", f"main:shared/{number}").split("\n")]
    assert sorted(result.line for result in found if result.commit) == sorted(lines)
    assert_never_forced(remote)


def test_writers_in_one_clone_take_turns(remote: Path, tmp_path: Path) -> None:
    jobs = [job(remote, tmp_path, f"w{number}", count=3) for number in range(4)]
    for each in jobs:
        each.cache = str(tmp_path / "cache")
    found = crowd.results([crowd.start(each) for each in jobs])

    assert {result.change: result.commit for result in found} == changes(remote)
    assert [1] * 12 == [result.attempts for result in found]


@pytest.mark.parametrize("step", STEPS)
def test_a_writer_that_is_killed_loses_nothing_and_nothing_is_done_twice(remote: Path, tmp_path: Path, step: str) -> None:
    change = mint_change_id()
    killed = crowd.start(job(remote, tmp_path, "w", kill_at=step, change=change))
    killed.communicate(timeout=60)
    assert -signal.SIGKILL == killed.returncode

    journal = Journal(tmp_path / "state" / "w", encode)
    with Repo.open(str(remote), cache_dir=tmp_path / "cache" / "w") as repo:
        recover(journal, repo)

        assert {change: repo.head()} == changes(remote)
        assert ((), ()) == journal.entries()
    assert_never_forced(remote)


@pytest.mark.parametrize("step", ["noted", "pushed"])
def test_recovery_works_after_others_have_gone_on(remote: Path, tmp_path: Path, step: str) -> None:
    change = mint_change_id()
    killed = crowd.start(job(remote, tmp_path, "w", kill_at=step, change=change))
    killed.communicate(timeout=60)
    others = crowd.run(job(remote, tmp_path, "other", count=2))

    journal = Journal(tmp_path / "state" / "w", encode)
    with Repo.open(str(remote), cache_dir=tmp_path / "cache" / "w") as repo:
        recover(journal, repo)

    assert {change, *(result.change for result in others)} == set(changes(remote))
    assert_never_forced(remote)


def test_a_push_that_outlives_its_writer_is_not_done_twice(remote: Path, tmp_path: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/receiving\nsleep 0.7\n")
    hook.chmod(0o755)
    change = mint_change_id()
    writer = crowd.start(job(remote, tmp_path, "w", change=change))
    until = time.monotonic() + 30
    while not (tmp_path / "receiving").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    writer.kill()  # its git goes on
    writer.communicate()

    journal = Journal(tmp_path / "state" / "w", encode)
    with Repo.open(str(remote), cache_dir=tmp_path / "cache" / "w") as repo:
        recover(journal, repo)

    assert {change} == set(changes(remote))
    assert ((), ()) == journal.entries()
    assert_never_forced(remote)


def recover(journal: Journal, repo: Repo) -> None:
    """What `tiphys pending --run` does."""
    entries, problems = journal.entries()
    assert () == problems
    repo.fetch()
    for entry in entries:
        outcome, _ = journal.outcome(entry, repo)
        if outcome is Outcome.PUSHED:
            journal.clear(entry.change)
        else:
            write(repo, decode(entry.intent), change=ChangeId(entry.change), expects=entry.expects, reason=entry.reason, journal=journal)
