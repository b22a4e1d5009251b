"""The servers that scenarios are told to: the sandbox always, a real Argo CD where the environment names one."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitops.remotes import bare
from tests.scenarios.line import IMAGE, Repository, run
from tests.scenarios.shell import ROOT, Shell

REAL = ("TIPHYS_E2E_ARGOCD_URL", "TIPHYS_E2E_ARGOCD_TOKEN_FILE", "TIPHYS_E2E_REPO")
SPEED = "20"
"""How many times faster than life the sandbox's workloads and controller are."""


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    slug = f"e2e-{''.join(secrets.choice('abcdefghjkmnpqrs') for _ in range(6))}"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n")
    if request.param == "real":
        missing = [name for name in REAL if not os.environ.get(name)]
        if missing:
            pytest.skip(f"no real Argo CD: {', '.join(missing)} not set")
        url, token, repo = (os.environ[name] for name in REAL)
        yield Shell(home, slug=slug, repo_url=repo, argocd_url=url, connection=("--auth-token-file", token, "--branch", slug))
        return
    with Sandbox("--empty", "--speed", SPEED, home=home) as ready:
        token = ("--auth-token-file", ready["token_file"])
        yield Shell(home, slug=slug, repo_url=ready["repo_url"], argocd_url=ready["argocd_url"], connection=token)


class Sandbox:
    """A sandbox process; what it says when it is ready."""

    def __init__(self, *options: str, home: Path) -> None:
        self._argv = [sys.executable, "-m", "backends.sandbox", *options]
        self._home = home

    def __enter__(self) -> dict[str, str]:
        self._process = subprocess.Popen(
            self._argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "HOME": str(self._home)}, start_new_session=True
        )
        assert self._process.stdout is not None
        ready: dict[str, str] = json.loads(self._process.stdout.readline())
        return ready

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one deployment, made once."""
    home = tmp_path_factory.mktemp("template")
    (home / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n")
    remote = bare(home / "ws.git")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        assert 0 == run("init", str(remote), "--slug", "acme", "--yes").code
        for command in (["environment", "dev"], ["app", "web", "--image", IMAGE]):
            assert 0 == run("create", *command, "--yes").code
        assert 0 == run("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:1.0", "--yes").code
    return remote


@pytest.fixture
def workspace(tmp_path: Path, own_home: Path, template: Path) -> Repository:
    """The workspace before others pushed to it; it is the one that was opened last."""
    shutil.copytree(template, tmp_path / "ws.git")
    assert 0 == run("open", str(tmp_path / "ws.git")).code
    return Repository(tmp_path / "ws.git")
