"""A repository on this host: fetched, read by blob, committed without a work tree, pushed without force."""

import os
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from backends.domain.ids import ChangeId, Sha, mint_change_id
from backends.errors import Invalid, Refused
from backends.gitops import clone
from backends.gitops.identity import Identity
from backends.gitops.progress import Progress
from backends.gitops.repo import Repo
from backends.gitops.trouble import BranchMissing, GitError, GitRefused, PushRejected, Trouble
from tests.gitops.remotes import bare, commit, git, subjects

FILES: dict[str, str | bytes] = {
    "tiphys.yaml": "slug: acme\n",
    "apps/web/app.yaml": "kind: git\n",
    "apps/web/values.yaml": "{}\n",
    "z": b"\xff\0\r\n",
}


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare(tmp_path / "remote.git", FILES)


@pytest.fixture
def repo(remote: Path, tmp_path: Path):
    with Repo.open(str(remote), cache_dir=tmp_path / "cache") as repo:
        yield repo


def again(repo: Repo) -> Repo:
    """The same clone as another process would open it."""
    return Repo.open(repo.url, cache_dir=repo.folder.parent, branch=repo.branch)


def test_opening_needs_no_network_and_makes_a_private_clone(tmp_path: Path) -> None:
    repo = Repo.open("https://git.invalid/acme/w.git", cache_dir=tmp_path / "cache")

    assert (None, [], None) == (repo.head(), list(repo.tree().paths()), repo.contains("1" * 40, Sha("2" * 40)))
    assert repo.folder.name.startswith("git.invalid-acme-w-")
    modes = {path: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert {0} == set(modes.values()), modes
    assert 0o700 == stat.S_IMODE(repo.folder.stat().st_mode)


def test_a_fetched_branch_is_read_byte_by_byte(repo: Repo, remote: Path) -> None:
    head = repo.fetch()

    tree = repo.tree()
    assert git(remote, "rev-parse", "main") == head == repo.head() == tree.commit
    assert sorted(FILES) == list(tree.paths())
    assert {path: data.encode() if isinstance(data, str) else data for path, data in FILES.items()} == tree.read_many(FILES)
    assert b"\xff\0\r\n" == tree.read("z")


def test_paths_that_are_no_utf8_links_and_modes_survive_a_commit(remote: Path, repo: Repo) -> None:
    blob = git(remote, "hash-object", "-w", "--stdin", data="x")
    index = {"GIT_INDEX_FILE": str(remote / "i")}
    rows = b"100755 %b\tbin/run\n120000 %b\tlink\n100644 %b\todd-\xff\n100644 %b\tfoo.txt\n100644 %b\tfoo/bar\n100644 %b\tfoo0\n" % (
        (blob.encode(),) * 6
    )
    git(remote, "update-index", "--index-info", data=rows, env=index)
    git(remote, "update-ref", "refs/heads/main", git(remote, "commit-tree", "-m", "x", git(remote, "write-tree", env=index)))
    head = repo.fetch()
    assert head is not None

    sha = repo.commit(repo.tree().with_file("foo/bar", b"new").with_file("bin/run", b"#!"), "change\n", parents=[head])
    repo.push(sha)

    raw = git(remote, "ls-tree", "-r", "-z", "main").encode("utf-8", "surrogateescape").split(b"\0")
    assert [b"100755 bin/run", b"100644 foo.txt", b"100644 foo/bar", b"100644 foo0", b"120000 link", b"100644 odd-\xff"] == [
        row[:7] + row.partition(b"\t")[2] for row in raw if row
    ]
    assert ["bin/run", "foo.txt", "foo/bar", "foo0", "link", "odd-\udcff"] == list(repo.tree().paths())
    with pytest.raises(Invalid):
        repo.tree().read("link")


def test_a_tree_moves_with_the_branch_and_comes_back_from_disk(remote: Path, repo: Repo) -> None:
    many = {f"deployments/prod/web/{number:03}/values.yaml": "{}\n" for number in range(600)}
    commit(remote, many, "many")
    repo.fetch()
    first = list(repo.tree().paths())
    assert (repo.folder / "tiphys-listing").stat().st_size > 600 * 40
    commit(remote, {"deployments/prod/web/300/values.yaml": None, "deployments/prod/web": "now a file", "apps/x/app.yaml": "new"}, "turn")
    repo.fetch()
    other = again(repo)

    wanted = git(remote, "ls-tree", "-r", "--name-only", "main").split("\n")
    assert (604, wanted, wanted) == (len(first), list(repo.tree().paths()), list(other.tree().paths()))
    assert b"now a file" == other.tree().read("deployments/prod/web")


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_listing_on_disk_is_made_again(remote: Path, repo: Repo, damage: bytes | None) -> None:
    commit(remote, {f"many/{number:03}": "x" for number in range(600)}, "many")
    repo.fetch()
    repo.tree()
    kept = repo.folder / "tiphys-listing"
    kept.write_bytes(kept.read_bytes()[:-200] if damage is None else damage)

    assert 604 == len(list(again(repo).tree().paths()))


def test_a_commit_holds_exactly_the_change_and_its_author(remote: Path, repo: Repo) -> None:
    head = repo.fetch()
    assert head is not None
    tree = repo.tree().with_file("apps/web/values.yaml", b"replicas: 2\n").without("z").with_file("new/deep/file", b"")

    sha = repo.commit(tree, "subject\n\nTiphys-Op: x\n", parents=[head])
    assert head == repo.head()
    repo.push(sha)

    assert (sha, sha) == (repo.head(), git(remote, "rev-parse", "main"))
    assert ["M\tapps/web/values.yaml", "A\tnew/deep/file", "D\tz"] == git(remote, "show", "--format=", "--name-status", "main").split("\n")
    shown = git(remote, "show", "-s", "--format=%an <%ae> %cn <%ce>|%B", "main")
    assert "Ada Lovelace <ada@example.org> Ada Lovelace <ada@example.org>|subject\n\nTiphys-Op: x" == shown
    git(remote, "fsck", "--strict", "--no-dangling")


def test_the_same_change_on_the_same_parent_is_the_same_tree(repo: Repo) -> None:
    head = repo.fetch()
    assert head is not None
    trees = {repo.tree_id(repo.commit(repo.tree().with_file("a/b", b"1"), f"{turn}\n", parents=[head])) for turn in range(2)}

    assert 1 == len(trees)


def test_removing_everything_leaves_an_empty_tree(repo: Repo, remote: Path) -> None:
    head = repo.fetch()
    assert head is not None
    repo.push(repo.commit(repo.tree().without_folder(""), "gone\n", parents=[head]))

    assert ([], "") == (list(repo.tree().paths()), git(remote, "ls-tree", "-r", "main"))


@pytest.mark.parametrize("path", ["../x", "a/../b", "/a", "a//b", ".git/config", "a/.GIT/b", "a\0b", "", "a\\b"])
def test_a_path_that_git_or_a_checkout_would_stumble_over_is_refused(repo: Repo, path: str) -> None:
    head = repo.fetch()
    assert head is not None

    with pytest.raises(Invalid):
        repo.commit(repo.tree().with_file(path, b"x"), "x\n", parents=[head])


def test_the_first_commit_goes_to_an_empty_remote(tmp_path: Path) -> None:
    remote = bare(tmp_path / "empty.git")
    repo = Repo.open(str(remote), cache_dir=tmp_path / "cache")

    assert None is repo.fetch()
    with pytest.raises(BranchMissing) as missing:
        repo.require_head()
    repo.push(repo.commit(repo.tree().with_file("a/b", b"1"), "first\n", parents=[]))

    assert (Trouble.EMPTY_REMOTE, ()) == (missing.value.kind, missing.value.branches)
    assert ["first"] == subjects(remote)


def test_a_missing_branch_names_those_that_exist(remote: Path, tmp_path: Path) -> None:
    repo = Repo.open(str(remote), branch="prod", cache_dir=tmp_path / "cache")

    assert None is repo.fetch()
    with pytest.raises(BranchMissing) as missing:
        repo.require_head()

    assert (Trouble.BRANCH_MISSING, ("main",)) == (missing.value.kind, missing.value.branches)
    assert "main" in missing.value.hint


def test_a_branch_that_goes_away_is_noticed(remote: Path, tmp_path: Path) -> None:
    commit(remote, {"x": "1"}, "side", branch="team/a")
    repo = Repo.open(str(remote), branch="team/a", cache_dir=tmp_path / "cache")
    assert repo.fetch() is not None
    git(remote, "update-ref", "-d", "refs/heads/team/a")

    assert (None, None) == (repo.fetch(), repo.head())
    assert repo.fetched is not None
    assert repo.fetched.rewritten


def test_the_head_at_the_remote_is_seen_without_fetching(remote: Path, repo: Repo) -> None:
    before = repo.fetch()
    new = commit(remote, {"x": "1"}, "theirs")

    assert (new, before) == (repo.remote_head(), repo.head())


def test_a_forced_push_is_fetched_and_said(remote: Path, repo: Repo) -> None:
    commit(remote, {"x": "1"}, "second")
    old = repo.fetch()
    git(remote, "update-ref", "refs/heads/main", "main~1")
    new = commit(remote, {"y": "1"}, "other second")

    assert new == repo.fetch()
    assert repo.fetched is not None
    assert (old, True) == (repo.fetched.before, repo.fetched.rewritten)
    assert old is not None
    assert (False, True) == (repo.contains(new, old), repo.contains(new, Sha(git(remote, "rev-parse", "main~1"))))


def test_a_push_behind_somebody_else_is_rejected_and_changes_nothing(remote: Path, repo: Repo) -> None:
    head = repo.fetch()
    assert head is not None
    sha = repo.commit(repo.tree().with_file("a", b"1"), "mine\n", parents=[head])
    theirs = commit(remote, {"b": "1"}, "theirs")

    with pytest.raises(PushRejected) as rejection:
        repo.push(sha)

    assert (Trouble.FETCH_FIRST, theirs, head) == (rejection.value.kind, git(remote, "rev-parse", "main"), repo.head())


def test_what_was_cut_off_by_force_comes_back_with_a_commit_on_it(remote: Path, repo: Repo) -> None:
    commit(remote, {"x": "1"}, "second")
    head = repo.fetch()
    assert head is not None
    sha = repo.commit(repo.tree().with_file("a", b"1"), "mine\n", parents=[head])
    git(remote, "update-ref", "refs/heads/main", "main~1")

    repo.push(sha)

    assert ["mine", "second", "first"] == subjects(remote)


def test_a_hooks_words_are_shown_and_cleaned(remote: Path, repo: Repo) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nprintf 'no pushes on \\033[31mFridays\\033[0m\\n' >&2\nexit 1\n")
    hook.chmod(0o755)
    head = repo.fetch()
    assert head is not None

    with pytest.raises(PushRejected) as rejection:
        repo.push(repo.commit(repo.tree().with_file("a", b"1"), "mine\n", parents=[head]))

    assert Trouble.HOOK_DECLINED is rejection.value.kind
    assert "no pushes on �[31mFridays" in rejection.value.message
    assert "\x1b" not in str(rejection.value)


def test_read_only_pushes_nothing(remote: Path, tmp_path: Path) -> None:
    repo = Repo.open(str(remote), cache_dir=tmp_path / "cache", readonly=True)
    head = repo.fetch()
    assert head is not None

    with pytest.raises(Refused):
        repo.push(repo.commit(repo.tree().with_file("a", b"1"), "mine\n", parents=[head]))
    assert ["first"] == subjects(remote)


def test_no_hook_of_ours_runs_and_no_template_is_copied(remote: Path, tmp_path: Path, own_home: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-checkout", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{name}\n")
        (hooks / name).chmod(0o755)
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    (template / "hooks" / "pre-push").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-template\n")
    (template / "hooks" / "pre-push").chmod(0o755)
    with (own_home / ".gitconfig").open("a") as config:
        config.write(f"[core]\n\thooksPath = {hooks}\n[init]\n\ttemplateDir = {template}\n")
    repo = Repo.open(f"file://{remote}", cache_dir=tmp_path / "cache")
    head = repo.fetch()
    assert head is not None
    repo.push(repo.commit(repo.tree().with_file("a", b"1"), "mine\n", parents=[head]))

    # the remote is on this host and runs its own side as we do: its receive-pack reads the same configuration, so only pre-push is ours
    assert [] == [path.name for path in tmp_path.glob("ran-*") if path.name in ("ran-pre-push", "ran-template", "ran-post-checkout")]


def test_progress_tells_phases(remote: Path, repo: Repo) -> None:
    commit(remote, {f"f{number}": str(number) for number in range(300)}, "many")
    steps: list[Progress] = []

    repo.fetch(progress=steps.append)

    assert {"fetch"} == {step.operation for step in steps}
    assert any(step.total and step.done == step.total for step in steps)


def test_locks_that_a_killed_git_left_do_not_stop_us(remote: Path, repo: Repo) -> None:
    repo.fetch()
    commit(remote, {"x": "1"}, "second")
    stale = repo.folder / "refs" / "tiphys" / "main.lock"
    stale.write_text("")
    os.utime(stale, (1, 1))

    assert git(remote, "rev-parse", "main") == repo.fetch()


def test_a_damaged_clone_is_made_again(remote: Path, repo: Repo) -> None:
    head = repo.fetch()
    for path in (repo.folder / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"")
    commit(remote, {"x": "1"}, "second")

    assert git(remote, "rev-parse", "main") == repo.fetch() != head
    assert b"slug: acme\n" == repo.tree().read("tiphys.yaml")


def test_a_clone_that_was_deleted_meanwhile_is_made_again(remote: Path, repo: Repo) -> None:
    repo.fetch()
    subprocess.run(["rm", "-rf", str(repo.folder)], check=True)

    assert git(remote, "rev-parse", "main") == repo.fetch()
    assert b"slug: acme\n" == repo.tree().read("tiphys.yaml")


def test_what_many_fetches_leave_is_packed_while_reading_goes_on(remote: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone, "_PACK_LIMIT", 2)
    for turn in range(4):
        commit(remote, {f"{turn}/{number}": f"{turn} {number}" for number in range(120)}, f"turn {turn}")
        repo.fetch()
        assert f"{turn} 7".encode() == repo.tree().read(f"{turn}/7")

    until = time.monotonic() + 30
    while len(list((repo.folder / "objects" / "pack").glob("*.pack"))) > 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert [b"0 9", b"3 9"] == [repo.tree().read(f"{turn}/9") for turn in (0, 3)]
    repo.close()
    assert b"2 9" == repo.tree().read("2/9")


def test_the_reading_process_may_die(repo: Repo) -> None:
    repo.fetch()
    assert repo._objects._process is None or repo._objects._process.kill() is None

    assert b"slug: acme\n" == repo.tree().read("tiphys.yaml")


def test_several_threads_read_at_once(remote: Path, repo: Repo) -> None:
    commit(remote, {f"f{number}": str(number) * 50 for number in range(200)}, "many")
    repo.fetch()
    wrong: list[object] = []

    def read() -> None:
        for number in range(200):
            data = repo.tree().read(f"f{number}")
            if data != (str(number) * 50).encode():
                wrong.append((number, data))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == wrong


def test_a_missing_identity_names_the_commands_that_mend_it(repo: Repo, own_home: Path) -> None:
    (own_home / ".gitconfig").write_text("")

    with pytest.raises(GitRefused) as refusal:
        repo.identity()

    assert Trouble.NO_IDENTITY is refusal.value.kind
    assert "git config --global user.name" in refusal.value.hint


def test_the_identity_is_gits_own(remote: Path, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = own_home / ".gitconfig"
    config.write_text(f'[user]\n\tname = A\n\temail = a@example.org\n[includeIf "hasconfig:remote.*.url:{remote}"]\n\tpath = work\n')
    (own_home / "work").write_text(
        "[user]\n\temail = a@work.example.org\n[commit]\n\tgpgSign = true\n[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = ~/k.pub\n"
    )
    repo = Repo.open(str(remote), cache_dir=tmp_path / "cache")

    assert Identity("A", "a@work.example.org", "ssh", "~/k.pub") == repo.identity()
    monkeypatch.setenv("GIT_AUTHOR_NAME", "B")
    assert "B" == repo.identity().name
    chosen = Identity("C", "c@example.org")
    assert chosen == Repo.open(str(remote), cache_dir=tmp_path / "cache", identity=chosen).identity()


def test_commits_are_signed_when_git_signs(remote: Path, tmp_path: Path, own_home: Path) -> None:
    key = own_home / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with (own_home / ".gitconfig").open("a") as config:
        config.write(f"[commit]\n\tgpgSign = true\n[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = {key}.pub\n")
    repo = Repo.open(str(remote), cache_dir=tmp_path / "cache")
    head = repo.fetch()
    assert head is not None

    repo.push(repo.commit(repo.tree().with_file("a", b"1"), "mine\n", parents=[head]))

    (own_home / "allowed").write_text(f"ada@example.org {(own_home / 'key.pub').read_text()}")
    git(remote, "-c", f"gpg.ssh.allowedSignersFile={own_home}/allowed", "verify-commit", "main")


@pytest.mark.parametrize(
    "setting",
    [
        "[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = /nonexistent.pub\n",
        "[gpg]\n\tprogram = /nonexistent/gpg\n",
        "[gpg]\n\tprogram = false\n",
    ],
)
def test_a_commit_that_cannot_be_signed_is_not_made(remote: Path, tmp_path: Path, own_home: Path, setting: str) -> None:
    with (own_home / ".gitconfig").open("a") as config:
        config.write(f"[commit]\n\tgpgSign = true\n{setting}")
    repo = Repo.open(str(remote), cache_dir=tmp_path / "cache")
    head = repo.fetch()
    assert head is not None

    with pytest.raises(GitError) as failure:
        repo.commit(repo.tree().with_file("a", b"1"), "mine\n", parents=[head])

    assert Trouble.SIGNING_FAILED is failure.value.kind


def test_a_change_is_found_by_its_id(remote: Path, repo: Repo) -> None:
    change = mint_change_id()
    commit(
        remote,
        {"x": "1"},
        f"squashed\n\n* one\n\nTiphys-Op: a\nTiphys-Change: {mint_change_id()}\n\n* two\n\nTiphys-Op: b\nTiphys-Change: {change}\n",
    )
    commit(remote, {"y": "1"}, "newer\n\nNot a trailer: Tiphys-Change: " + change)
    repo.fetch()

    assert git(remote, "rev-parse", "main~1") == repo.find_change(change)
    assert None is repo.find_change(change, since=repo.head())
    assert None is repo.find_change(ChangeId("01JD8Z6W4T0Q8C2V6N3M5X7Y9A"))


def test_the_log_gives_commits_as_they_are(remote: Path, repo: Repo) -> None:
    commit(remote, {"apps/ü/app.yaml": "1", "odd\n\x01name": "2"}, "subject \x1b[31m\n\nbody\n", author="Eve \x1b[2J <eve@example.org>")
    repo.fetch()

    newest, first = repo.log(names=True)

    assert ("subject �[31m", "Eve �[2J", "first") == (newest.subject, newest.author, first.subject)
    assert ("subject \x1b[31m\n\nbody\n", (first.sha,)) == (newest.message.rstrip("\n") + "\n", newest.parents)
    assert {"apps/ü/app.yaml", "odd\n\x01name"} == set(newest.paths)
    assert sorted(FILES) == sorted(first.paths)
    assert [newest.sha] == [found.sha for found in repo.log(since=first.sha)]
    assert [newest.sha] == [found.sha for found in repo.log(paths=["apps/ü"])]
    assert [first.sha] == [found.sha for found in repo.log(paths=["tiphys.yaml"], limit=1)]
