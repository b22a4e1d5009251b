"""Kustomizations: what they refer to, and what is built where there is a program."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.errors import Invalid
from backends.render.references import closure
from backends.render.renderer import NO_KUSTOMIZE, Renderer
from backends.render.types import RenderRequest, SourceKind
from tests.render.charts import config_map

BASE = {
    "apps/web/base/kustomization.yaml": b"resources: [deployment.yaml]\nconfigMapGenerator: [{name: settings, files: [c=conf/app.conf]}]\n",
    "apps/web/base/deployment.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n",
    "apps/web/base/conf/app.conf": b"a=1\n",
    "apps/web/base/unused.yaml": b"x: 1\n",
    "deployments/prod/kustomization.yaml": b"resources: [../../apps/web/base/]\nnamePrefix: prod-\npatches:\n- path: replicas.yaml\n",
    "deployments/prod/replicas.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
}


def request(files: dict[str, bytes], path: str = "deployments/prod") -> RenderRequest:
    return RenderRequest(kind=SourceKind.KUSTOMIZE, files=files, path=path)


def needed(files: dict[str, bytes], path: str = "deployments/prod") -> tuple[str, ...]:
    return closure(files.get, files, path)


@pytest.fixture
def spied(programs: Path) -> Iterator[tuple[Renderer, Path]]:
    """A renderer whose `kustomize` leaves a mark when it runs, and shows what it was given."""
    mark = programs.parent / "ran"
    script = f"""#!{sys.executable} -ISB
import sys, os, json
if sys.argv[1] == "version":
    sys.exit(print("v5.8.1"))
open({str(mark)!r}, "w").close()
files = sorted(os.path.relpath(os.path.join(top, name), "../..") for top, _, names in os.walk("../..") for name in names)
shown = {{"argv": sys.argv[1:], "env": dict(os.environ), "files": files}}
print(json.dumps({{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "shown"}}, "data": {{"seen": json.dumps(shown)}}}}))
"""
    (programs / "kustomize").write_text(script)
    (programs / "kustomize").chmod(0o755)
    renderer = Renderer(programs=str(programs))
    yield renderer, mark
    renderer.close()


def test_what_a_kustomization_needs_is_followed_through_its_bases() -> None:
    assert tuple(sorted(set(BASE) - {"apps/web/base/unused.yaml"})) == needed(BASE)


@pytest.mark.parametrize(
    "text",
    [
        "resources: ['https://github.com/acme/web//deploy?ref=main']",
        "resources: ['github.com/acme/web?ref=main']",
        "resources: ['git@github.com:acme/web.git']",
        "Resources: ['https://example.org/a.yaml']",
        "bases: ['ssh://git@example.org/web']",
        "components: ['git::https://example.org/web']",
        "resources: ['file:///etc']",
        "resources: ['example.org/acme/web.git']",
        "patches: [{Path: 'https://example.org/p.yaml'}]",
        "openapi: {path: 'https://example.org/o.json'}",
        "configMapGenerator: [{name: a, files: ['x=https://example.org/x']}]",
        "secretGenerator: [{name: a, envs: ['http://169.254.169.254/latest']}]",
        "a: &a {resources: ['https://example.org/a.yaml']}\n<<: *a",
        "generators: [generator.yaml]",
        "helmCharts: [{name: web, repo: 'https://charts.example.org'}]",
    ],
)
def test_what_lies_on_another_machine_is_not_rendered_here_and_nothing_runs(spied: tuple[Renderer, Path], text: str) -> None:
    renderer, mark = spied
    generator = b"kind: ConfigMapGenerator\nfiles: ['https://example.org/x']\n"
    rendered = renderer.render(
        request({"deployments/prod/kustomization.yaml": text.encode(), "deployments/prod/generator.yaml": generator})
    )
    assert rendered.missing.startswith("not rendered here: deployments/prod/")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resources: [gone.yaml]", "deployments/prod/kustomization.yaml refers to gone.yaml, which is not there"),
        ("resources: [../../../../../etc]", "refers to ../../../../../etc, which is not there"),
        ("resources: [/etc/passwd]", "refers to /etc/passwd, which is not there"),
        ("resources: [..]", "there is no kustomization in deployments"),
        ("- a", "deployments/prod/kustomization.yaml: not a kustomization"),
        ("!!binary cmVzb3VyY2Vz: ['https://example.org/a.yaml']", "deployments/prod/kustomization.yaml: not a kustomization"),
        ("resources: [!!binary aHR0cHM6Ly9leGFtcGxlLm9yZy9hLnlhbWw=]", "refers to what is no path"),
        ("resources: [", "deployments/prod/kustomization.yaml: not YAML"),
        ("when: 2026-99-99", "deployments/prod/kustomization.yaml: not YAML"),
    ],
)
def test_what_is_not_there_or_cannot_be_read_is_an_error_and_nothing_runs(spied: tuple[Renderer, Path], text: str, said: str) -> None:
    renderer, mark = spied
    with pytest.raises(Invalid) as caught:
        renderer.render(request({"deployments/prod/kustomization.yaml": text.encode()}))
    assert said in caught.value.message
    assert not mark.exists()


def test_a_folder_named_like_a_remote_is_not_entered() -> None:
    files = {
        "deployments/prod/kustomization.yaml": b"resources: [github.com/acme/web]",
        "deployments/prod/github.com/acme/web/kustomization.yaml": b"",
    }
    with pytest.raises(Invalid, match="which is not fetched"):
        needed(files)


def test_kustomizations_that_refer_to_each_other_end() -> None:
    files = {"a/kustomization.yaml": b"resources: [../b]", "b/kustomization.yml": b"resources: [../a]"}
    assert ("a/kustomization.yaml", "b/kustomization.yml") == needed(files, "a")


def test_it_is_built_without_plugins_network_or_anything_of_ours(spied: tuple[Renderer, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/me/.kube/config")
    monkeypatch.setenv("GIT_ASKPASS", "canary-7712")
    renderer, _ = spied
    rendered = renderer.render(request(BASE))
    shown = json.loads(json.loads(rendered.manifests[0].text)["data"]["seen"])
    assert (["build", "."], "Kustomize 5.8") == (shown["argv"], rendered.by)
    assert list(needed(BASE)) == shown["files"]
    assert set() == set(shown["env"]) & {"KUBECONFIG", "GIT_ASKPASS", "USER"}
    assert {"http://127.0.0.1:9"} == {shown["env"][name] for name in ("HTTPS_PROXY", "http_proxy", "ALL_PROXY")}


def test_without_a_program_it_is_said() -> None:
    renderer = Renderer(programs="")
    assert NO_KUSTOMIZE == renderer.render(request(BASE)).missing
    renderer.close()


@pytest.fixture(params=["kustomize", "kubectl"])
def real(request: pytest.FixtureRequest, programs: Path) -> Iterator[Renderer]:
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"needs {request.param} on the PATH")
    (programs / request.param).symlink_to(Path(program).resolve())
    renderer = Renderer(programs=str(programs))
    yield renderer
    renderer.close()


def test_a_real_program_builds_an_overlay(real: Renderer) -> None:
    rendered = real.render(request(BASE))
    assert {"ConfigMap": "prod-settings-", "Deployment": "prod-web"} == {one.kind: one.name[:14] for one in rendered.manifests}
    assert "replicas: 3" in next(one.text for one in rendered.manifests if one.kind == "Deployment")
    assert rendered.by.startswith("Kustomize 5.")


def test_a_real_program_says_what_is_wrong_with_paths_of_the_repository(real: Renderer) -> None:
    with pytest.raises(Invalid) as caught:
        real.render(request(BASE | {"deployments/prod/replicas.yaml": config_map("other").encode()}))
    assert "no matches for Id ConfigMap" in caught.value.message
    assert "/tmp" not in " ".join([str(caught.value), *caught.value.problems])
