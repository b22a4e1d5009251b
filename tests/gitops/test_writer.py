"""The one way to write: what arrives, what is run again, what is refused, and what is never done twice."""

import time
from pathlib import Path

import msgspec
import pytest

from backends.domain.ids import ChangeId, Sha, mint_change_id
from backends.engine import Cancel
from backends.errors import BackendError, Cancelled, Conflict, Refused, TimedOut
from backends.gitops.intent import Description, Trailer
from backends.gitops.journal import Journal, Outcome
from backends.gitops.progress import OnProgress, Progress
from backends.gitops.repo import Repo
from backends.gitops.tree import Tree, blob_id
from backends.gitops.trouble import GitTimedOut, GitUnavailable, PushRejected, Trouble
from backends.gitops.writer import STEPS, ChangedMeanwhile, write
from tests.gitops.remotes import Append, Create, Put, bare, commit, encode, git, subjects


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare(tmp_path / "remote.git", {"tiphys.yaml": "slug: acme\n", "a": "1\n"})


@pytest.fixture
def repo(remote: Path, tmp_path: Path):
    with Repo.open(str(remote), cache_dir=tmp_path / "cache") as repo:
        yield repo


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal", encode)


class Broken:
    """A repository whose pushes fail as told: each entry is the error, raised before or after the push has arrived."""

    def __init__(self, repo: Repo, *failures: tuple[str, BackendError]) -> None:
        self.push = repo.push
        self.left = list(failures)
        repo.push = self  # type: ignore[method-assign, assignment]

    def __call__(self, sha: Sha, *, progress: OnProgress | None = None, cancel: Cancel | None = None, timeout: float | None = None) -> None:
        when, error = self.left.pop(0) if self.left else ("", None)
        if when != "before":
            self.push(sha, progress=progress, cancel=cancel, timeout=timeout)
        if error is not None:
            raise error


def test_an_intent_becomes_one_commit_with_its_trailers(remote: Path, repo: Repo, journal: Journal) -> None:
    change = mint_change_id()
    steps: list[str] = []

    written = write(repo, Put("a", "2\n"), change=change, reason="because", journal=journal, on_step=steps.append)

    assert (git(remote, "rev-parse", "main"), 1, change, git(remote, "rev-parse", "main~1")) == (
        written.commit,
        written.attempts,
        written.change,
        written.parent,
    )
    assert f"put(a)\n\nTiphys-Op: put\nTiphys-Reason: because\nTiphys-Change: {change}" == git(remote, "show", "-s", "--format=%B", "main")
    assert list(STEPS) == steps
    assert ((), ()) == journal.entries()


def test_the_same_input_makes_the_same_commit_but_for_dates_and_change(tmp_path: Path) -> None:
    trees = set()
    for number in range(2):
        remote = bare(tmp_path / f"{number}.git", {"a": "1\n"})
        with Repo.open(str(remote), cache_dir=tmp_path / "cache") as repo:
            written = write(repo, Put("a", "2\n"), change=ChangeId("01JD8Z6W4T0Q8C2V6N3M5X7Y9A"))
            assert written.commit is not None
        trees.add(git(remote, "show", "-s", "--format=%T %an %ae %cn %ce%n%B", "main"))

    assert 1 == len(trees)


def test_nothing_to_do_makes_no_commit(remote: Path, repo: Repo, journal: Journal) -> None:
    written = write(repo, Put("a", "1\n"), change=mint_change_id(), journal=journal)

    assert (None, repo.head(), ["first"]) == (written.commit, written.parent, subjects(remote))
    assert ((), ()) == journal.entries()


def test_somebody_elses_push_makes_the_intent_run_again_on_their_commit(remote: Path, repo: Repo) -> None:
    rivals = iter(("x", "y"))

    def interfere(step: str) -> None:
        if step == "committed" and (name := next(rivals, None)):
            commit(remote, {"a": f"{name}\n"}, f"rival {name}")

    steps: list[Progress] = []
    written = write(repo, Append("a", "mine"), change=mint_change_id(), on_step=interfere, progress=steps.append)

    assert (3, ["append(a): mine", "rival y", "rival x", "first"]) == (written.attempts, subjects(remote))
    assert "y\nmine" == git(remote, "show", "main:a")
    assert ["again, attempt 2", "again, attempt 3"] == [step.phase for step in steps if step.operation == "write"]


def test_what_was_seen_in_the_plan_must_still_be_there(remote: Path, repo: Repo, journal: Journal) -> None:
    theirs = commit(remote, {"a": "theirs\n", "b": "new\n"}, "tune a", author="Grace <g@example.org>")

    with pytest.raises(ChangedMeanwhile) as conflict:
        write(repo, Put("a", "2\n"), change=mint_change_id(), expects={"a": blob_id(b"1\n"), "b": None}, journal=journal)

    assert (("a", "b"), theirs) == (conflict.value.paths, conflict.value.theirs.sha if conflict.value.theirs else None)
    assert "a and 1 more changed since the plan was shown by Grace" in conflict.value.message
    assert (["tune a", "first"], ((), ())) == (subjects(remote), journal.entries())


def test_a_precondition_is_checked_again_on_each_new_head(remote: Path, repo: Repo) -> None:
    def interfere(step: str) -> None:
        if step == "committed":
            commit(remote, {"new": "theirs\n"}, "theirs")

    with pytest.raises(Conflict):
        write(repo, Create("new", "mine"), change=mint_change_id(), on_step=interfere)
    assert "theirs" == git(remote, "show", "main:new")


@pytest.mark.parametrize("where", ["writer", "repository"])
def test_read_only_writes_nothing_whoever_asks(remote: Path, tmp_path: Path, journal: Journal, where: str) -> None:
    repo = Repo.open(str(remote), cache_dir=tmp_path / "cache", readonly=where == "repository")

    with pytest.raises(Refused):
        write(repo, Put("a", "2\n"), change=mint_change_id(), journal=journal, readonly=where == "writer")
    assert (["first"], ((), ())) == (subjects(remote), journal.entries())


@pytest.mark.parametrize("reason", ["two\nlines", "Tiphys-Op: x\r", "esc \x1b[2J"])
def test_a_reason_that_is_not_one_line_is_refused(remote: Path, repo: Repo, reason: str, journal: Journal) -> None:
    with pytest.raises(Refused):
        write(repo, Put("a", "2\n"), change=mint_change_id(), reason=reason, journal=journal)
    assert (["first"], ((), ())) == (subjects(remote), journal.entries())


def test_a_rule_of_the_remote_ends_it_at_once(remote: Path, repo: Repo, journal: Journal) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'GH013: Repository rule violations found' >&2\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(PushRejected) as rejection:
        write(repo, Put("a", "2\n"), change=mint_change_id(), journal=journal)

    assert Trouble.RULE_VIOLATION is rejection.value.kind
    assert ((), ()) == journal.entries()


def timeout() -> GitTimedOut:
    return GitTimedOut("not done", kind=Trouble.TIMED_OUT)


def gone() -> GitUnavailable:
    return GitUnavailable("cut", kind=Trouble.CUT_OFF)


@pytest.mark.parametrize(("when", "attempts"), [("before", 2), ("after", 2)])
def test_a_push_of_unknown_fate_is_looked_for_before_trying_again(
    remote: Path, repo: Repo, journal: Journal, when: str, attempts: int
) -> None:
    Broken(repo, (when, timeout()))

    written = write(repo, Append("a", "mine"), change=mint_change_id(), journal=journal)

    assert (attempts, git(remote, "rev-parse", "main")) == (written.attempts, written.commit)
    assert ("1\nmine", ((), ())) == (git(remote, "show", "main:a"), journal.entries())


def test_a_push_that_arrived_unseen_is_found_below_later_commits(remote: Path, repo: Repo) -> None:
    class Late(Broken):
        def __call__(self, sha: Sha, **rest: object) -> None:
            self.push(sha)
            repo.push = self.push  # type: ignore[method-assign]
            commit(remote, {"b": "1"}, "rival")
            raise gone()

    Late(repo)

    written = write(repo, Append("a", "mine"), change=mint_change_id())

    assert (git(remote, "rev-parse", "main~1"), ["rival", "append(a): mine", "first"]) == (written.commit, subjects(remote))


def test_the_deadline_ends_it_and_an_unknown_outcome_stays_in_the_journal(remote: Path, repo: Repo, journal: Journal) -> None:
    Broken(repo, *(("before", gone()) for _ in range(100)))
    change = mint_change_id()

    with pytest.raises(TimedOut) as late:
        write(repo, Append("a", "mine"), change=change, journal=journal, deadline=0.5)

    assert "tiphys pending" in late.value.hint
    (entry,), _ = journal.entries()
    assert (change, "append(a): mine", (Outcome.ABSENT, None)) == (entry.change, entry.subject, journal.outcome(entry, repo))


def test_losing_every_race_until_the_deadline_leaves_nothing_behind(remote: Path, repo: Repo, journal: Journal) -> None:
    counter = iter(range(1000))

    def interfere(step: str) -> None:
        if step == "committed":
            commit(remote, {"b": str(next(counter))}, "rival")

    with pytest.raises(TimedOut) as late:
        write(repo, Put("a", "2\n"), change=mint_change_id(), on_step=interfere, deadline=0.7, journal=journal)

    assert ("put(a)" in subjects(remote), ((), ())) == (False, journal.entries())
    assert "attempts" in late.value.message


def test_a_remote_that_cannot_be_reached_is_said_at_once(tmp_path: Path, journal: Journal) -> None:
    repo = Repo.open("http://127.0.0.1:1/w.git", cache_dir=tmp_path / "cache")
    begun = time.monotonic()

    with pytest.raises(GitUnavailable) as failure:
        write(repo, Put("a", "2\n"), change=mint_change_id(), journal=journal)

    assert Trouble.CONNECTION_REFUSED is failure.value.kind
    assert ((), ()) == journal.entries()
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(("step", "left"), [("journalled", 0), ("noted", 0)])
def test_stopping_before_the_push_leaves_nothing_behind(remote: Path, repo: Repo, journal: Journal, step: str, left: int) -> None:
    cancel = Cancel()

    with pytest.raises(Cancelled):
        write(
            repo,
            Put("a", "2\n"),
            change=mint_change_id(),
            journal=journal,
            cancel=cancel,
            on_step=lambda name: cancel.request() if name == step else None,
        )
    assert (["first"], left) == (subjects(remote), len(journal.entries()[0]))


def test_stopping_during_the_push_keeps_the_entry(remote: Path, repo: Repo, journal: Journal) -> None:
    Broken(repo, ("after", Cancelled("stopped")))

    with pytest.raises(Cancelled) as stop:
        write(repo, Put("a", "2\n"), change=mint_change_id(), journal=journal)

    (entry,), _ = journal.entries()
    assert "tiphys pending" in stop.value.hint
    repo.fetch()
    assert (Outcome.PUSHED, Sha(git(remote, "rev-parse", "main"))) == journal.outcome(entry, repo)


def test_running_an_entry_again_that_had_arrived_does_nothing(remote: Path, repo: Repo, journal: Journal) -> None:
    change = mint_change_id()
    first = write(repo, Append("a", "mine"), change=change, journal=journal)
    with journal.open(repo, Append("a", "mine"), change=change, expects={}, reason=""):
        pass  # as a crash between push and clearing leaves it

    second = write(repo, Append("a", "mine"), change=change, journal=journal)

    assert (first.commit, ["append(a): mine", "first"]) == (second.commit, subjects(remote))
    assert ((), ()) == journal.entries()


def test_an_intent_that_fails_by_a_bug_stays_in_the_journal(repo: Repo, journal: Journal) -> None:
    class Buggy(msgspec.Struct, frozen=True):
        def apply(self, tree: Tree) -> Tree:
            raise ZeroDivisionError

        def describe(self, before: Tree, after: Tree) -> Description:
            return Description("x", (Trailer("Tiphys-Op", "x"),))

    with pytest.raises(ZeroDivisionError):
        write(repo, Buggy(), change=mint_change_id(), journal=journal)
    assert 1 == len(journal.entries()[0])


def test_the_first_commit_of_two_at_once_is_made_by_one(tmp_path: Path) -> None:
    remote = bare(tmp_path / "empty.git")
    repo = Repo.open(str(remote), cache_dir=tmp_path / "cache")

    def interfere(step: str) -> None:
        if step == "committed" and not git(remote, "for-each-ref"):
            commit(remote, {"tiphys.yaml": "theirs"}, "theirs")

    with pytest.raises(Conflict):
        write(repo, Create("tiphys.yaml", "mine"), change=mint_change_id(), on_step=interfere)
    assert ["theirs"] == subjects(remote)
