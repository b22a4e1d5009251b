"""Charts that mean harm, met as a person meets them: in a plan of a deploy from a repository that somebody else pushed to."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from backends.render.helm_sdk import installed
from tests.gitops.remotes import commit, git
from tests.scenarios.line import IMAGE, Repository, safe

CHART = "charts/service/1.0.0"
CANARY = "c4n4ry-of-the-machine"
TAG = "{{ .Values.image.tag }}"


@pytest.fixture(params=["sdk", "program"])
def repository(
    request: pytest.FixtureRequest, tmp_path: Path, own_home: Path, workspace: Repository, monkeypatch: pytest.MonkeyPatch
) -> Repository:
    """A workspace, rendered by the Helm SDK or by a `helm` program; secrets lie about in files and in the environment."""
    helm = shutil.which("helm")
    if (request.param == "program") != bool(helm) and not (request.param == "sdk" and installed()):
        pytest.skip("there is no helm program" if request.param == "program" else "needs the Helm SDK (the extra `helm`)")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "helm") if request.param == "program" else ("git",):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("KUBECONFIG", str(own_home / "kubeconfig"))
    monkeypatch.setenv("CANARY", CANARY)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{CANARY}@127.0.0.1:1")
    for name in ("kubeconfig", ".kube/config", "secret"):
        (own_home / name).parent.mkdir(exist_ok=True)
        (own_home / name).write_text(CANARY)
    return workspace


def planned(repository: Repository) -> dict[str, Any]:
    """The plan of a deploy, as people and as programs are shown it; both without what it should not hold."""
    deploy = ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--plan")
    table, data = safe(*deploy), safe(*deploy, "-o", "json")
    assert (0, 0) == (table.code, data.code)
    assert CANARY not in "".join((*table[1:], *data[1:]))
    rendered: dict[str, Any] = json.loads(data.out)["rendered"][0]
    return rendered


def config_map(*values: str) -> str:
    data = "".join(f"  k{number}: {value}\n" for number, value in enumerate(values))
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n{data}  tag: x{{{{ .Values | toJson | sha256sum }}}}\n"


def test_nothing_outside_of_the_chart_is_read(repository: Repository, own_home: Path) -> None:
    outside = [
        f"{{{{ .Files.Get {json.dumps(path)} | quote }}}}" for path in (f"{own_home}/secret", "../../../../secret", "../../../tiphys.yaml")
    ]
    asked = ['"{{ getHostByName "localhost" }}"', '"{{ lookup "v1" "Secret" "" "" }}"']
    commit(repository.remote, {f"{CHART}/templates/x.yaml": config_map(*outside, *asked)}, "mine")

    rendered = planned(repository)

    assert None is rendered["error"]
    (changed,) = [one for one in rendered["objects"] if one["kind"] == "ConfigMap"]
    assert "schemaVersion" not in json.dumps(changed)


def test_a_link_in_a_chart_is_never_followed(repository: Repository, own_home: Path) -> None:
    blob = git(repository.remote, "hash-object", "-w", "--stdin", data=f"{own_home}/secret")
    for link in (
        f"{CHART}/files/leak",
        f"{CHART}/templates/leak.yaml",
        f"{CHART}/values.yaml",
        f"{repository.folder}/values.yaml",
        "tiphys.yaml",
    ):
        head = git(repository.remote, "rev-parse", "main")
        stream = f"commit refs/heads/main\ncommitter M <m@x> now\ndata 4\nmine\nfrom {head}\nM 120000 {blob} {link}\n"
        git(repository.remote, "fast-import", "--quiet", "--date-format=now", data=stream)
        commit(repository.remote, {f"{CHART}/templates/x.yaml": config_map('{{ .Files.Get "files/leak" | quote }}')}, "mine")
        ran = safe("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--plan", "-o", "json")
        assert ran.code in (0, 1), ran.err
        assert CANARY not in "".join(ran[1:])
        git(repository.remote, "update-ref", "refs/heads/main", head)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("templates/x.yaml", '{{ fail "\\x1b]52;c;x\\x07\\u202e EVIL" }}', "EVIL"),
        ("templates/x.yaml", '{{ fail "\x1b]52;c;x\x07\u202e EVIL" }}', "EVIL"),
        ("templates/x.yaml", '{{ env "CANARY" }}', 'function "env" not defined'),
        ("templates/x\x1b[2J.yaml", "a: 1", "is refused"),
        ("templates/_x.tpl", '{{ define "a" }}{{ include "a" . }}{{ end }}', ""),
        ("Chart.yaml", "apiVersion: v2\nname: ../../x\nversion: 1.0.0\n", "is invalid"),
        ("charts/x.tgz", "\x1f\x8b no archive", "x.tgz"),
    ],
)
def test_a_chart_that_fails_says_so_in_a_plan(repository: Repository, path: str, text: str, said: str) -> None:
    commit(repository.remote, {f"{CHART}/{path}": text}, "mine")

    rendered = planned(repository)

    assert said in (rendered["error"] or "")


def test_what_a_chart_names_is_shown_harmless_and_secrets_are_masked(repository: Repository) -> None:
    evil = 'apiVersion: v1\nkind: "Con\\e[2J\\u202e"\nmetadata: {name: "x\\e]0;EVIL\\a", namespace: "\\u200b"}\ndata: {"\\e": "{{ .Values | toJson | sha256sum }}"}\n'
    hidden = base64.b64encode(CANARY.encode()).decode()
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {CANARY}{{{{ .Values | toJson | sha256sum }}}}}}\ndata: {{b: {hidden}}}\n"
    commit(repository.remote, {f"{CHART}/templates/x.yaml": evil, f"{CHART}/templates/y.yaml": secret}, "mine")

    rendered = planned(repository)

    assert None is rendered["error"]
    assert hidden not in json.dumps(rendered)
    assert {"Con�[2J�", "Secret"} <= {one["kind"] for one in rendered["objects"]}


def test_a_chart_without_end_is_stopped(repository: Repository) -> None:
    commit(repository.remote, {f"{CHART}/templates/x.yaml": "{{ range until 1000000 }}# " + "x" * 60 + "\n{{ end }}"}, "mine")

    assert "more than 32 MiB" in planned(repository)["error"]


def test_no_program_of_the_folder_one_stands_in_is_run(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("helm", "kustomize", "kubectl", "ssh"):
        (here / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (here / name).chmod(0o755)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")

    planned(repository)

    assert not (tmp_path / "ran").exists()
