"""The git program: found, new enough, and started so that it can neither ask nor be led astray."""

import subprocess
from pathlib import Path

import pytest

from backends.domain.ids import mint_change_id
from backends.errors import Refused
from backends.gitops.git import Git, program
from backends.gitops.repo import Repo
from backends.gitops.trouble import GitError, GitRefused, Trouble
from backends.gitops.writer import write
from tests.gitops.remotes import Append, bare, commit, git


def test_a_missing_git_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(GitRefused) as refusal:
        Repo.open("https://git.example.org/w.git", cache_dir=tmp_path / "cache")

    assert Trouble.GIT_MISSING is refusal.value.kind


@pytest.mark.parametrize(
    ("said", "old"), [("git version 2.20.1", True), ("git version 2.29.9", True), ("git version 2.30.0", False), ("?", True)]
)
def test_a_git_that_is_too_old_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, old: bool) -> None:
    fake = tmp_path / "git"
    fake.write_text(f"#!/bin/sh\necho '{said}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    if not old:
        assert str(fake) == program()
        return
    with pytest.raises(GitRefused) as refusal:
        program()
    assert (Trouble.GIT_TOO_OLD, True) == (refusal.value.kind, "2.30" in refusal.value.hint)


def test_git_has_no_terminal_and_speaks_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    runner = Git(bare(tmp_path / "r.git"))

    said = runner.try_run("-c", "alias.look=!tty; ps -o tty= -p $$; env | grep -c ^LANG; exit 0", "look").out.decode().split("\n")

    assert ["not a tty", "?", "0"] == [line.strip() for line in said[:3]]
    assert "fatal: Needed a single revision" in runner.try_run("rev-parse", "--verify", "x^{tree}").err.decode()


@pytest.mark.parametrize(
    "url", ["ext::touch /tmp/tiphys-pwned", "--upload-pack=touch /tmp/tiphys-pwned", "-u/tmp/x", "ssh://-oProxyCommand=touch/x"]
)
def test_a_url_that_is_code_never_reaches_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: pytest.fail("a process was started"))

    with pytest.raises(Refused):
        Repo.open(url, cache_dir=tmp_path / "cache")


def test_a_cache_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(GitError) as failure:
        Repo.open("https://git.example.org/w.git", cache_dir=tmp_path / "file" / "cache")

    assert Trouble.CACHE_NOT_WRITABLE is failure.value.kind


def test_a_shallow_remote_is_said(tmp_path: Path) -> None:
    whole = bare(tmp_path / "whole.git", {"a": "1"})
    commit(whole, {"a": "2"}, "second")
    shallow = tmp_path / "shallow.git"
    subprocess.run(["git", "clone", "-q", "--bare", "--depth=1", f"file://{whole}", str(shallow)], check=True)

    with pytest.raises(GitError) as failure:
        Repo.open(str(shallow), cache_dir=tmp_path / "cache").fetch()

    assert Trouble.SHALLOW is failure.value.kind


def test_a_remote_that_is_not_bare_and_checked_out_refuses(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / "work")], check=True)
    git(tmp_path / "work", "commit", "-q", "--allow-empty", "-m", "first")
    repo = Repo.open(str(tmp_path / "work"), cache_dir=tmp_path / "cache")

    with pytest.raises(GitError) as failure:
        write(repo, Append("a", "x"), change=mint_change_id())

    assert Trouble.CHECKED_OUT is failure.value.kind


def test_a_repository_of_somebody_else_is_said(tmp_path: Path) -> None:
    remote = bare(tmp_path / "remote.git", {"a": "1"})
    try:
        subprocess.run(["chown", "-R", "nobody", str(remote)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to give a file away")

    with pytest.raises(GitError) as failure:
        Repo.open(str(remote), cache_dir=tmp_path / "cache").fetch()

    assert Trouble.DUBIOUS_OWNERSHIP is failure.value.kind


def test_submodules_are_neither_fetched_nor_read(tmp_path: Path) -> None:
    remote = bare(tmp_path / "remote.git", {".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::touch /tmp/tiphys-pwned\n'})
    index = {"GIT_INDEX_FILE": str(remote / "index")}
    git(remote, "read-tree", "main", env=index)
    git(remote, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x", env=index)
    sha = git(remote, "commit-tree", "-p", "main", "-m", "submodule", git(remote, "write-tree", env=index))
    git(remote, "update-ref", "refs/heads/main", sha)
    with Repo.open(str(remote), cache_dir=tmp_path / "cache") as repo:
        written = write(repo, Append("a", "x"), change=mint_change_id())

        assert sha == written.parent
        assert [".gitmodules", "a", "x"] == list(repo.tree().paths())
    assert not Path("/tmp/tiphys-pwned").exists()
