"""A canary password in a Git URL: after everything that can be done with it, it is nowhere but in the requests to its origin."""

import base64
import logging
import os
import shutil
import stat
import subprocess
import traceback
from pathlib import Path

import pytest

from backends.domain.ids import mint_change_id
from backends.errors import BackendError
from backends.gitops.address import Credentials
from backends.gitops.git import environment
from backends.gitops.journal import Journal
from backends.gitops.repo import Repo
from backends.gitops.writer import write
from backends.secret import Secret
from tests.gitops import http_remote
from tests.gitops.remotes import Append, bare, commit, encode, git

CANARY = "c4n4ry-p%w/d"
TYPED = "c4n4ry-p%25w%2Fd"
TRACES = (CANARY, TYPED, base64.b64encode(f"rig:{CANARY}".encode()).decode().rstrip("="), "c4n4ry")


def recorder(folder: Path) -> Path:
    """A `git` that notes its arguments and environment, and those of the shim that it starts, before it is git."""
    folder.mkdir()
    real = shutil.which("git")
    wrapper = folder / "git"
    wrapper.write_text(
        f"#!/bin/sh\n{{ printf '%s\\n' \"$@\"; env; }} > {folder}/call.$$\n"
        f'if [ -x "$GIT_ASKPASS" ]; then cp "$GIT_ASKPASS" {folder}/shim.$$; cp "$(dirname "$GIT_ASKPASS")/shim.py" {folder}/code.$$; '
        f'stat -c "%a %n" "$(dirname "$GIT_ASKPASS")" "$(dirname "$GIT_ASKPASS")"/* > {folder}/modes.$$; fi\n'
        f'exec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    return folder


def everything(*folders: Path) -> dict[str, str]:
    """Each file below these folders as text, git objects unpacked."""
    found: dict[str, str] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                found[str(path)] = f"{path}\n" + path.read_bytes().decode("utf-8", "replace")
        for repository in folder.rglob("*.git"):
            if (repository / "objects").is_dir():
                objects = git(repository, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").encode()
                found[f"objects of {repository}"] = subprocess.run(
                    ["git", "-C", str(repository), "cat-file", "--batch"], input=objects + b"\n", capture_output=True
                ).stdout.decode("utf-8", "replace")
    return found


def test_a_password_reaches_its_origin_and_nothing_else(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    records = recorder(tmp_path / "records")
    monkeypatch.setenv("PATH", f"{records}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_TRACE_CURL", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("ARGOCD_AUTH_TOKEN", "argo-token")
    remote = bare(tmp_path / "root" / "w.git", {"a": "1\n"})
    journal = Journal(tmp_path / "state", encode)
    said: list[str] = []
    with http_remote.serving(tmp_path / "root") as server:
        server.user = f"rig:{CANARY}"
        url = f"{server.url}/w.git".replace("//", f"//rig:{TYPED}@")
        repo = Repo.open(url, cache_dir=tmp_path / "cache")
        said += [repr(repo), repr(vars(repo)), repo.url, *map(repr, repo.notices)]

        def interfere(step: str) -> None:
            if step == "committed" and "rival" not in git(remote, "log", "--format=%s"):
                commit(remote, {"b": "1"}, "rival")

        write(repo, Append("a", "mine"), change=mint_change_id(), journal=journal, on_step=interfere, reason="why")
        assert repo.remote_head() == repo.head()
        for failing in ("none.git", "w.git", "w.git"):
            server.cut_pushes, server.user = failing == "w.git", f"rig:{CANARY}" if failing == "none.git" else "rig:other"
            try:
                broken = Repo.open(url.replace("w.git", failing), cache_dir=tmp_path / "cache")
                write(broken, Append("a", "more"), change=mint_change_id(), journal=journal, deadline=0.5)
            except BackendError as error:
                said += [str(error), repr(error), error.hint, "".join(traceback.format_exception(error))]
        requests = {authorization for _, _, authorization in server.seen}

    assert any(request and base64.b64decode(request[6:]).decode() == f"rig:{CANARY}" for request in requests)
    out, err = capfd.readouterr()
    places = everything(tmp_path / "cache", tmp_path / "state", records, remote, own_home) | {
        "said": "\n".join(said),
        "log": caplog.text,
        "stdout": out,
        "stderr": err,
    }
    assert len(places) > 50
    assert [] == [(place, trace) for place, text in places.items() for trace in TRACES if trace in text]
    ours = [text for place, text in places.items() if "/call." in place and "core.hooksPath=/dev/null" in text]
    assert len(ours) > 15
    assert [] == [text for text in ours if "argo-token" in text or "GIT_TRACE=" in text]
    modes = {
        line.rpartition("/")[2].split("-")[0]: line.split()[0] for path in records.glob("modes.*") for line in path.read_text().splitlines()
    }
    assert {"askpass": "700", "shim.py": "600", "socket": "600"} == modes
    assert [] == list((tmp_path / "cache").glob("askpass-*"))


def test_a_secret_in_the_environment_is_not_handed_to_git() -> None:
    base = {
        "PATH": "/bin",
        "HOME": "/h",
        "ARGOCD_AUTH_TOKEN": "t",
        "GITHUB_TOKEN": "t",
        "LD_PRELOAD": "x",
        "GIT_DIR": "x",
        "GIT_TRACE": "1",
    }
    kept = {"GIT_CONFIG_GLOBAL": "g", "SSH_AUTH_SOCK": "s", "XDG_CONFIG_HOME": "c", "https_proxy": "p"}

    given = environment(base | kept)

    assert {name: (base | kept)[name] for name in ("PATH", "HOME", *kept)} == {name: given[name] for name in given if name in base | kept}
    assert ("C", "0", "none", "force") == tuple(
        given[name] for name in ("LC_ALL", "GIT_TERMINAL_PROMPT", "GIT_ALLOW_PROTOCOL", "SSH_ASKPASS_REQUIRE")
    )


def test_what_a_killed_process_left_of_its_answers_is_removed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    left = cache / "askpass-999999999-abcdefgh"
    left.mkdir(parents=True)
    (left / "shim.py").write_text("")
    bare(tmp_path / "root" / "w.git", {"a": "1"})
    with http_remote.serving(tmp_path / "root") as server:
        Repo.open(f"{server.url}/w.git", cache_dir=cache).fetch()

    assert not left.exists()


def test_a_deep_cache_folder_still_has_room_for_the_socket(tmp_path: Path) -> None:
    cache = tmp_path / ("d" * 60) / ("e" * 60)
    bare(tmp_path / "root" / "w.git", {"a": "1"})
    with http_remote.serving(tmp_path / "root") as server:
        server.user = "rig:pw"
        repo = Repo.open(f"{server.url}/w.git", cache_dir=cache, credentials=Credentials(Secret("pw"), "rig"))

        assert repo.fetch() is not None
    assert 0o700 == stat.S_IMODE(cache.stat().st_mode)
