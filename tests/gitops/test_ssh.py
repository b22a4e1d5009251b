"""A remote over SSH, by an sshd on loopback: keys, unknown and changed hosts, passphrases. Skipped where there is no sshd."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.domain.ids import mint_change_id
from backends.gitops.askpass import Question
from backends.gitops.repo import Repo
from backends.gitops.trouble import GitError, GitRefused, Trouble
from backends.gitops.writer import write
from backends.secret import Secret
from tests.gitops.remotes import Append, bare, git

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="needs sshd and ssh (openssh-server)")


class Host:
    """An sshd, and the client's side of it: a configuration of its own in place of ~/.ssh."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user = folder, getpass.getuser()
        folder.mkdir()
        self.key("host")
        self.key("id")
        shutil.copy(folder / "id.pub", folder / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nAuthorizedKeysFile {folder}/authorized_keys\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        )
        (folder / "config").write_text(
            f"Host *\n  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile none\n  IdentityFile {folder}/id\n"
            f"  IdentitiesOnly yes\n  IdentityAgent none\nHost workshop\n  HostName 127.0.0.1\n  Port {self.port}\n  User {self.user}\n"
        )
        ssh = folder / "bin" / "ssh"
        ssh.parent.mkdir()
        ssh.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
        ssh.chmod(0o755)
        self.start()

    def start(self) -> None:
        assert SSHD is not None
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stderr=(self.folder / "log").open("w"))
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def key(self, name: str, passphrase: str = "") -> None:
        for path in (self.folder / name, self.folder / f"{name}.pub"):
            path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(self.folder / name)], check=True)

    def know(self) -> None:
        kind, key = (self.folder / "host.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    @property
    def fingerprint(self) -> str:
        return subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / "host.pub")], capture_output=True, text=True, check=True
        ).stdout.split()[1]

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    host = Host(tmp_path / "ssh")
    monkeypatch.setenv("PATH", f"{host.folder}/bin:{os.environ['PATH']}")
    yield host
    host.stop()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare(tmp_path / "remote.git", {"a": "1\n"})


def failure(repo: Repo) -> GitError:
    with pytest.raises(GitError) as raised:
        repo.fetch()
    return raised.value


def test_a_known_host_with_a_key_is_read_and_written(host: Host, remote: Path, tmp_path: Path) -> None:
    host.know()
    repo = Repo.open(host.url(remote), cache_dir=tmp_path / "cache")

    written = write(repo, Append("a", "mine"), change=mint_change_id())

    assert git(remote, "rev-parse", "main") == written.commit


def test_the_users_ssh_configuration_is_respected(host: Host, remote: Path, tmp_path: Path, own_home: Path) -> None:
    host.know()
    by_alias = Repo.open(f"workshop:{remote}", cache_dir=tmp_path / "cache")
    assert by_alias.fetch() is not None
    with (own_home / ".gitconfig").open("a") as config:
        config.write(f"[core]\n\tsshCommand = {host.folder}/bin/ssh -o LogLevel=ERROR\n")

    assert Repo.open(host.url(remote), cache_dir=tmp_path / "other").fetch() is not None
    ours, theirs = (host.folder / "calls").read_text().splitlines()
    assert ours.startswith("-x -oConnectTimeout")
    assert theirs.startswith("-o LogLevel=ERROR -")
    assert "ConnectTimeout" not in theirs


def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_command_to_run(host: Host, remote: Path, tmp_path: Path) -> None:
    error = failure(Repo.open(host.url(remote), cache_dir=tmp_path / "cache"))

    assert (GitRefused, Trouble.HOST_KEY_UNKNOWN, 3) == (type(error), error.kind, error.exit_code)
    assert f"[127.0.0.1]:{host.port}" in error.message
    assert host.fingerprint in error.message
    assert f"ssh -p {host.port} {host.user}@127.0.0.1" in error.hint
    assert f"ssh-keyscan -p {host.port} 127.0.0.1" in error.hint
    assert not (host.folder / "known_hosts").exists()


@pytest.mark.parametrize("answer", [True, False])
def test_a_person_is_asked_about_an_unknown_host(host: Host, remote: Path, tmp_path: Path, answer: bool) -> None:
    asked: list[tuple[str, str]] = []

    def ask(name: str, fingerprint: str) -> bool:
        asked.append((name, fingerprint))
        return answer

    repo = Repo.open(host.url(remote), cache_dir=tmp_path / "cache", ask_host_key=ask)

    if answer:
        assert repo.fetch() is not None
        assert repo.fetch() is not None
    else:
        assert Trouble.HOST_KEY_UNKNOWN is failure(repo).kind
    assert [(f"[127.0.0.1]:{host.port}", host.fingerprint)] == asked
    assert answer == (host.folder / "known_hosts").exists()


def test_a_host_with_another_key_than_before_is_refused_whatever_is_answered(host: Host, remote: Path, tmp_path: Path) -> None:
    host.know()
    host.stop()
    host.key("host")
    host.start()

    error = failure(Repo.open(host.url(remote), cache_dir=tmp_path / "cache", ask_host_key=lambda name, fingerprint: True))

    assert (GitRefused, Trouble.HOST_KEY_CHANGED) == (type(error), error.kind)


def test_a_key_that_the_host_does_not_know_is_unauthorized(host: Host, remote: Path, tmp_path: Path) -> None:
    host.know()
    host.key("id")

    assert Trouble.UNAUTHORIZED is failure(Repo.open(host.url(remote), cache_dir=tmp_path / "cache")).kind


def test_a_key_with_a_passphrase_asks_a_person_and_never_the_terminal(host: Host, remote: Path, tmp_path: Path) -> None:
    host.know()
    host.key("id", passphrase="open sesame")
    shutil.copy(host.folder / "id.pub", host.folder / "authorized_keys")
    asked: list[Question] = []

    def ask(question: Question) -> Secret:
        asked.append(question)
        return Secret("open sesame")

    assert Repo.open(host.url(remote), cache_dir=tmp_path / "cache", credentials=ask).fetch() is not None
    error = failure(Repo.open(host.url(remote), cache_dir=tmp_path / "other"))

    assert ["passphrase"] == [question.kind for question in asked]
    assert Trouble.NO_CREDENTIALS is error.kind
    assert "ssh-add" in error.hint


def test_a_repository_that_is_not_there_is_said(host: Host, tmp_path: Path) -> None:
    host.know()

    assert Trouble.NOT_A_REPOSITORY is failure(Repo.open(host.url(tmp_path / "none.git"), cache_dir=tmp_path / "cache")).kind
