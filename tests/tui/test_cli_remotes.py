"""Remotes that refuse, hide, move or are slow: each failure is a sentence with what to do, and its exit code."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitops.http_remote import GitServer, serving
from tests.gitops.remotes import bare, git
from tests.gitops.test_ssh import SSHD, Host
from tests.tui.line import IMAGE, Line
from tests.tui.terminal import Terminal, piped

DEPLOY = ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes")
GH006 = (
    "error: GH006: Protected branch update failed for refs/heads/main.",
    "error: Changes must be made through a pull request.",
)
GH013 = (
    "error: GH013: Repository rule violations found for refs/heads/main.",
    "Review all repository rules at https://github.com/acme/workspace/rules?ref=refs%2Fheads%2Fmain",
    "- Changes must be made through a pull request.",
)
GITLAB = ("GitLab: You are not allowed to push code to protected branches on this project.",)


def hook(line: Line, *says: str, name: str = "pre-receive", code: int = 1) -> None:
    path = line.remote / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + "".join(f"echo '{said}' >&2\n" for said in says) + f"exit {code}\n")
    path.chmod(0o755)


@pytest.fixture
def server(line: Line) -> Iterator[GitServer]:
    with serving(line.remote.parent) as server:
        yield server


def url(server: GitServer, line: Line) -> str:
    return f"{server.url}/{line.remote.name}"


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        (GH006, "the branch is protected"),
        (GH013, "breaks a rule of the repository"),
        (GITLAB, "you may not push to this branch"),
        (("POLICY: commits need a ticket \x1b[31mred",), "rejected by a hook of the remote: POLICY: commits need a ticket"),
    ],
)
def test_a_push_that_the_remote_declines_says_why_and_what_to_do(line: Line, says: tuple[str, ...], sentence: str) -> None:
    before = line.head()
    hook(line, *says)
    ran = line(*DEPLOY, code=None)
    assert ran.code in (1, 3)
    assert sentence in ran.err
    assert "pull request" in ran.err  # the hint
    assert "\x1b" not in ran.err
    assert before == line.head()
    assert [] == line.items("pending")  # its fate is known


def test_a_hook_that_only_speaks_is_no_failure(line: Line) -> None:
    hook(line, "welcome \x07", code=0)
    ran = line(*DEPLOY)
    assert "\x07" not in ran.err


def test_a_remote_that_may_only_be_read(line: Line, server: GitServer) -> None:
    server.status = lambda method, path: 403 if "receive-pack" in path else 0
    ran = line(*DEPLOY, "--repo", url(server, line), code=3)
    assert "does not allow" in ran.err
    assert "write access" in ran.err
    assert ["web"] == [one["name"] for one in line.items("get", "apps", "--repo", url(server, line))]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read(line: Line) -> None:
    for path in [line.remote, *line.remote.rglob("*")]:
        path.chmod(path.stat().st_mode & ~stat.S_IWUSR & ~stat.S_IWGRP)
    assert 0 != line(*DEPLOY, code=None).code


def test_a_private_remote_takes_a_token_file(line: Line, server: GitServer, tmp_path: Path) -> None:
    server.user = "git:canary-token-9"
    refused = line("get", "apps", "--repo", url(server, line), code=3)
    assert "asks who we are" in refused.err
    assert "--git-token-file" in refused.err
    token = tmp_path / "token"
    token.write_text("canary-token-9\n")
    token.chmod(0o644)
    assert "others may read" in line("get", "apps", "--repo", url(server, line), "--git-token-file", str(token), code=3).err
    token.chmod(0o600)
    ran = line("get", "apps", "--repo", url(server, line), "--git-token-file", str(token))
    assert "web" in ran.out
    assert "plain http" in ran.err
    line(*DEPLOY, "--repo", url(server, line), "--git-token-file", str(token))
    token.write_text("ada:wrong")
    assert "did not accept who we are" in line("get", "apps", "--repo", url(server, line), "--git-token-file", str(token), code=3).err
    missing = line("get", "apps", "--repo", url(server, line), "--git-token-file", str(tmp_path / "none"), code=None)
    assert missing.code in (1, 3)
    assert "defect" not in missing.err


def test_the_token_file_is_remembered_and_the_token_is_not(line: Line, server: GitServer, tmp_path: Path, own_home: Path) -> None:
    server.user = "ada:canary-token-9"
    token = tmp_path / "token"
    token.write_text("ada:canary-token-9\n")
    token.chmod(0o600)
    line("open", url(server, line), "--git-token-file", str(token), "--name", "private")
    line("get", "apps", "--workspace", "private")
    line(*DEPLOY, "--workspace", "private")
    for path in own_home.rglob("*"):
        if path.is_file():
            assert b"canary-token-9" not in path.read_bytes(), path


def test_a_credential_helper_answers(line: Line, server: GitServer, own_home: Path) -> None:
    server.user = "ada:canary-9"
    with (own_home / ".gitconfig").open("a") as config:
        config.write('[credential]\n\thelper = "!f() { test $1 = get && echo username=ada && echo password=canary-9; }; f"\n')
    line(*DEPLOY, "--repo", url(server, line))
    assert "canary-9" not in "".join(path.read_text() for path in (own_home / ".cache").rglob("config"))


def test_a_password_is_asked_for_in_a_terminal_and_not_shown(line: Line, server: GitServer) -> None:
    server.user = "ada:canary-9"
    for password, code in (("canary-9", 0), ("wrong", 3)):
        terminal = Terminal("get", "apps", "--repo", url(server, line))
        terminal.until("Username for")
        terminal.type("ada\r")
        terminal.until("Password for")
        terminal.type(f"{password}\r")
        assert code == terminal.end(), terminal.shown
        assert password not in terminal.shown
    terminal = Terminal("get", "apps", "--repo", url(server, line))
    terminal.until("Username for")
    terminal.interrupt()
    assert 130 == terminal.end(seconds=5), terminal.shown


def test_a_remote_that_was_pushed_to_by_force_is_said(line: Line) -> None:
    first = git(line.remote, "rev-list", "--max-parents=0", "main")
    line("get", "deployments")
    git(line.remote, "update-ref", "refs/heads/main", f"{first}~0")
    ran = line("get", "deployments")
    assert 1 == len(ran.out.splitlines())
    assert "pushed by force" in ran.err
    assert "force" not in line("get", "deployments").err
    line("create", "environment", "dev", "--yes")
    assert 2 == int(git(line.remote, "rev-list", "--count", "main"))


def test_a_shallow_remote_is_read_and_written_or_named(line: Line, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow.git"
    subprocess.run(["git", "clone", "-q", "--bare", "--depth", "1", f"file://{line.remote}", str(shallow)], check=True)
    ran = line(*DEPLOY, "--repo", str(shallow), code=None)
    assert "defect" not in ran.err
    assert 0 == ran.code or "whole history" in ran.err


def test_another_branch_than_main(line: Line) -> None:
    git(line.remote, "branch", "-m", "main", "team/trunk")
    ran = line("get", "apps", code=1)
    assert "team/trunk" in ran.err
    assert ["web"] == [one["name"] for one in line.items("get", "apps", "--branch", "team/trunk")]
    line("open", str(line.remote), "--branch", "team/trunk")
    line(*DEPLOY)
    assert "deploy(web → dev): 1.0 → 2.0" == git(line.remote, "log", "-1", "--format=%s", "team/trunk")


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (404, b"", 1, "no such repository"),
        (429, b"", 5, "slow down"),
        (500, b"", 5, "server failed"),
        (503, b"<html>maintenance</html>", 5, "server failed"),
        (200, b"<html>please log in</html>", 5, "not Git's"),
    ],
)
def test_a_server_that_fails_is_named(line: Line, server: GitServer, status: int, body: bytes, code: int, says: str) -> None:
    server.status, server.body = lambda _method, _path: status, body
    ran = line("get", "apps", "--repo", url(server, line), code=code)
    assert says in ran.err
    assert "hint: " in ran.err


def test_an_answer_that_is_lost_after_a_push_does_nothing_twice(line: Line, server: GitServer) -> None:
    before = int(git(line.remote, "rev-list", "--count", "main"))
    server.cut_pushes = True
    ran = line(*DEPLOY, "--repo", url(server, line))
    assert before + 1 == int(git(line.remote, "rev-list", "--count", "main"))
    assert "deploy(web → dev)" in ran.out


def test_writers_that_push_at_the_same_time_are_all_there(line: Line) -> None:
    """Somebody else moves the branch at every push of ours, three times."""
    count = line.remote / "count"
    script = (
        f"#!/bin/sh\nn=$(cat {count} 2>/dev/null || echo 0)\n[ $n -ge 3 ] && exit 0\necho $((n+1)) > {count}\n"
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        'c=$(GIT_AUTHOR_NAME=r GIT_AUTHOR_EMAIL=r GIT_COMMITTER_NAME=r GIT_COMMITTER_EMAIL=r git commit-tree -p main -m rival "main^{tree}")\n'
        'git update-ref refs/heads/main "$c"\nexit 0\n'
    )
    path = line.remote / "hooks" / "update"
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    wrote = line.json(*DEPLOY)
    assert wrote["attempts"] == 4
    subjects = git(line.remote, "log", "--format=%s", "-4", "main").split("\n")
    assert ["deploy(web → dev): 1.0 → 2.0", "rival", "rival", "rival"] == subjects


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("needs sshd and ssh (openssh-server)")
    host = Host(tmp_path / "ssh")
    monkeypatch.setenv("PATH", f"{host.folder}/bin:{os.environ['PATH']}")
    yield host
    host.stop()


def test_an_ssh_host_that_is_unknown_is_refused_without_a_terminal(line: Line, host: Host) -> None:
    ran = piped("get", "apps", "--repo", host.url(line.remote))
    err = ran.stderr.decode()
    assert 3 == ran.returncode, err
    assert host.fingerprint in err
    assert f"ssh -p {host.port}" in err
    assert "ssh-keyscan" in err


def test_an_ssh_host_that_is_unknown_is_asked_about_in_a_terminal(line: Line, host: Host) -> None:
    for answer, code in (("y\r", 3), ("yes\r", 0)):
        terminal = Terminal(*DEPLOY, "--repo", host.url(line.remote))
        terminal.until("Trust it? (yes/no) ")
        assert host.fingerprint in terminal.shown
        terminal.type(answer)
        assert code == terminal.end(), terminal.shown
    assert 0 == piped("get", "apps", "--repo", host.url(line.remote)).returncode  # it is known now


def test_another_key_of_a_known_ssh_host_is_refused(line: Line, host: Host) -> None:
    host.know()
    host.stop()
    host.key("host")
    host.start()
    ran = piped("get", "apps", "--repo", host.url(line.remote))
    assert 3 == ran.returncode
    assert b"somebody may be in between" in ran.stderr


def test_an_empty_remote_over_http_is_initialised(line: Line, server: GitServer) -> None:
    bare(line.remote.parent / "fresh.git")
    line("init", f"{server.url}/fresh.git", "--slug", "fresh")
    assert "init(fresh): workspace" == git(line.remote.parent / "fresh.git", "log", "-1", "--format=%s", "main")


def test_a_remote_that_drips_is_cancelled_without_a_trace(line: Line, server: GitServer) -> None:
    server.drip = 0.2
    terminal = Terminal("get", "apps", "--repo", url(server, line))
    begun = threading.Event()
    while not server.seen:
        begun.wait(0.02)
    terminal.interrupt()
    assert 130 == terminal.end(seconds=5), terminal.shown
    server.drip = 0.0
    assert ["web"] == [one["name"] for one in line.items("get", "apps", "--repo", url(server, line))]
