"""The journal: private, whole, readable after any crash; what cannot be read is reported and left alone."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backends.domain.ids import mint_change_id
from backends.errors import BackendError, NotFound, Refused
from backends.gitops.journal import Journal, Outcome
from backends.gitops.repo import Repo
from tests.gitops.remotes import Put, bare, decode, encode


@pytest.fixture
def repo(tmp_path: Path):
    with Repo.open(str(bare(tmp_path / "remote.git", {"a": "1"})), cache_dir=tmp_path / "cache") as repo:
        yield repo


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "acme", encode)


def test_an_entry_holds_all_that_is_needed_to_run_it_again(tmp_path: Path, repo: Repo, journal: Journal) -> None:
    change = mint_change_id()
    with journal.open(repo, Put("a", "ü"), change=change, expects={"a": "1" * 40, "b": None}, reason="why"):
        pass

    (entry,), problems = journal.entries()
    assert (change, repo.url, "main", {"a": "1" * 40, "b": None}, "why") == (
        entry.change,
        entry.url,
        entry.branch,
        entry.expects,
        entry.reason,
    )
    assert (Put("a", "ü"), ()) == (decode(entry.intent), problems)
    assert entry == journal.find(change)
    files = list((tmp_path / "state").rglob("*"))
    assert {0o700, 0o600} == {stat.S_IMODE(path.stat().st_mode) for path in files}


def test_an_empty_journal_is_no_error(journal: Journal) -> None:
    assert ((), ()) == journal.entries()
    with pytest.raises(NotFound):
        journal.find("01JD8Z6W4T0Q8C2V6N3M5X7Y9A")
    with pytest.raises(NotFound):
        journal.find("../../etc/passwd")


def test_clearing_forgets_an_entry(repo: Repo, journal: Journal) -> None:
    change = mint_change_id()
    with journal.open(repo, Put("a", "2"), change=change, expects={}, reason=""):
        pass
    journal.clear(change)
    journal.clear(change)

    assert ((), ()) == journal.entries()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"schema": 99}',
        b'{"change": "X", "url": "u", "branch": "b", "intent": "", "at": "2026-01-01T00:00:00Z"}',
    ],
)
def test_an_entry_that_cannot_be_read_is_reported_and_left_where_it_is(
    tmp_path: Path, repo: Repo, journal: Journal, content: bytes
) -> None:
    change, broken = mint_change_id(), tmp_path / "state" / "acme" / "01JD8Z6W4T0Q8C2V6N3M5X7Y9A.json"
    with journal.open(repo, Put("a", "2"), change=change, expects={}, reason=""):
        pass
    broken.write_bytes(content)

    entries, (problem,) = journal.entries()
    assert ([change], broken) == ([entry.change for entry in entries], problem.path)
    assert problem.reason
    assert content == broken.read_bytes()
    with pytest.raises(BackendError):
        journal.find("01JD8Z6W4T0Q8C2V6N3M5X7Y9A")


def test_an_entry_of_a_later_version_is_reported_not_guessed(tmp_path: Path, repo: Repo, journal: Journal) -> None:
    change = mint_change_id()
    with journal.open(repo, Put("a", "2"), change=change, expects={}, reason=""):
        pass
    path = tmp_path / "state" / "acme" / f"{change}.json"
    path.write_bytes(path.read_bytes().replace(b'"schema":1', b'"schema":2'))

    assert ["schema 2 is not one that this version reads (1)"] == [problem.reason for problem in journal.entries()[1]]


def test_an_entry_that_another_process_works_on_says_so(tmp_path: Path, repo: Repo, journal: Journal) -> None:
    change = mint_change_id()
    code = f"""
import sys
from pathlib import Path
from backends.gitops.journal import Journal
from backends.gitops.repo import Repo
from tests.gitops.remotes import Put, encode
repo = Repo.open({repo.url!r}, cache_dir=Path({str(tmp_path / "cache")!r}))
with Journal(Path({str(tmp_path / "state" / "acme")!r}), encode).open(repo, Put("a", "2"), change={change!r}, expects={{}}, reason=""):
    print("open", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as child:
        assert child.stdout is not None
        assert b"open\n" == child.stdout.readline()
        (entry,), _ = journal.entries()

        assert (Outcome.RUNNING, None) == journal.outcome(entry, repo)
        with pytest.raises(Refused), journal.open(repo, Put("a", "2"), change=change, expects={}, reason=""):
            pass
        child.kill()

    assert (Outcome.ABSENT, None) == journal.outcome(entry, repo)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_state_folder_that_cannot_be_written_stops_the_change(tmp_path: Path, repo: Repo) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)

    with (
        pytest.raises(BackendError, match="journal cannot be written"),
        Journal(tmp_path / "closed" / "x", encode).open(repo, Put("a", "2"), change=mint_change_id(), expects={}, reason=""),
    ):
        pass


def test_a_state_folder_that_is_a_file_stops_the_change(tmp_path: Path, repo: Repo) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(BackendError, match="journal cannot be written"),
        Journal(tmp_path / "file" / "x", encode).open(repo, Put("a", "2"), change=mint_change_id(), expects={}, reason=""),
    ):
        pass
