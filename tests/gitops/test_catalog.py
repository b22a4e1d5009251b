"""A whole repository at once: what it names, what is wrong with it, and that nothing is parsed twice."""

from pathlib import Path

import pytest

from backends.engine import Cancel
from backends.errors import Cancelled
from backends.gitops import catalog, checks, files
from backends.gitops.document import Problem
from backends.gitops.intents import CreateEnvironment
from backends.gitops.tree import SYMLINK, Entry, Tree, blob_id
from tests.gitops.example import settled

WEB = "deployments/dev/web/web-dev-zz45ab"


def said(tree: Tree) -> list[str]:
    return [str(problem) for problem in catalog.read(tree).problems]


def test_everything_is_found_and_nothing_is_wrong(workspace: Tree) -> None:
    found = catalog.read(workspace)
    assert found.workspace is not None
    assert ("acme", ["dev", "prod"], ["exporter", "shop-api", "web"], ["in-cluster", "eu-1"]) == (
        found.workspace.slug,
        list(found.environments),
        list(found.apps),
        list(found.clusters),
    )
    assert [
        "shop-api-dev-k3x7qa",
        "web-dev-zz45ab",
        "exporter-prod-n4w6ty",
        "shop-api-prod-p2m5vd",
        "web-prod-e5u6aa",
        "web-prod-q7t2cc",
    ] == list(found.deployments)
    assert ("1f3c9ab", "1.0.0", "eu-1") == (
        found.of_environment("prod")[2].record.images["main"].tag,
        found.of_app("web")[0].record.chart_version,
        found.of_app("web")[1].cluster,
    )
    assert () == found.problems
    assert list(found.deployments) == list(found.applications)


def test_an_application_s_spec_is_what_argo_cd_is_to_have(workspace: Tree, tmp_path: Path) -> None:
    for _ in range(2):  # parsed, then kept
        found = catalog.read(workspace, cache_dir=tmp_path)
        spec = found.applications[next(iter(found.deployments))].spec
        assert {"automated", "retry", "syncOptions"} == set(spec["syncPolicy"])
        assert "charts/service/1.0.0" == spec["source"]["path"]


def test_what_was_parsed_before_is_not_parsed_again(workspace: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[int, int]] = []
    cold = catalog.read(workspace, cache_dir=tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert [(41, 41)] == steps
    asked: list[str] = []
    real = files.parse
    monkeypatch.setattr(catalog.files, "parse", lambda path, data: asked.append(path) or real(path, data))
    changed = settled(workspace.with_file(f"{WEB}/release.yaml", b'chart: {version: "9"}\n'))
    warm = catalog.read(changed, cache_dir=tmp_path)
    assert [f"{WEB}/release.yaml"] == [path for path in asked if path.startswith("deployments/")]
    assert (cold.environments, dict(cold.applications)) == (warm.environments, dict(warm.applications))
    assert "9" == warm.of_app("web")[0].record.chart_version
    assert cold == catalog.read(workspace, cache_dir=tmp_path)


def test_problems_are_kept_with_what_was_parsed(workspace: Tree, tmp_path: Path) -> None:
    tree = workspace.with_files({"environments/dev/values.yaml": b"a: y\n", f"{WEB}/release.yaml": b"images: 3\n"})
    first = catalog.read(tree, cache_dir=tmp_path)
    assert first.problems == catalog.read(tree, cache_dir=tmp_path).problems
    assert 2 == len(first.problems)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x92\x01\x80", b"\x92\x63\x80"])
def test_a_cache_that_cannot_be_used_is_not_used(data: bytes, workspace: Tree, tmp_path: Path) -> None:
    (tmp_path / "parsed.msgpack").write_bytes(data)
    assert catalog.read(workspace) == catalog.read(workspace, cache_dir=tmp_path)
    assert 0o600 == (tmp_path / "parsed.msgpack").stat().st_mode & 0o777


def test_reading_can_be_stopped(workspace: Tree) -> None:
    cancel = Cancel()
    cancel.request()
    with pytest.raises(Cancelled):
        catalog.read(workspace, cancel=cancel)


def test_a_repository_that_is_none_says_so() -> None:
    found = catalog.read(Tree.of({"README.md": "hello\n"}))
    assert found.workspace is None
    assert ["tiphys.yaml: this repository is no workspace: it has no tiphys.yaml"] == [str(p) for p in found.problems]


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        (f"{WEB}/sub/application.yaml", b"x: 1\n", f"{WEB}/sub/application.yaml: a second application.yaml: the environment's Manager would apply it too"),
        ("deployments/dev/application.yaml", b"x: 1\n", "deployments/dev/application.yaml: a second application.yaml: the environment's Manager would apply it too"),
        (f"{WEB}/.argocd-source-web-dev-zz45ab.yaml", b"x: 1\n", f"{WEB}/.argocd-source-web-dev-zz45ab.yaml: Argo CD takes this file over what Git says of an Application, and Tiphys did not write it"),
        ("charts/service/1.0.0/.argocd-source.yaml", b"x: 1\n", "charts/service/1.0.0/.argocd-source.yaml: Argo CD takes this file over what Git says of an Application, and Tiphys did not write it"),
        (f"{WEB}/application.yaml", b"a: 1\n---\nb: 2\n", f"{WEB}/application.yaml:2:1: several documents in one file: only one of them would be read"),
        (f"{WEB}/values.yaml", b"a: 1\na: 2\n", f"{WEB}/values.yaml:2:1: duplicate key 'a': only the last one would be read"),
        (f"{WEB}/release.yaml", b"images: 3\n", f"{WEB}/release.yaml:1:9: expected a mapping, got a whole number"),
        ("environments/dev/environment.yaml", b"kind: nope\n", "environments/dev/environment.yaml:1:7: invalid enum value 'nope'"),
        ("bootstrap/root.yaml", b"a: 1\n", "bootstrap/root.yaml: no Application in it: it says where Argo CD reads this repository"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_problem_with_its_place_and_hides_nothing_else(path: str, data: bytes, expected: str, workspace: Tree) -> None:
    tree = workspace.with_file(path, data)
    assert expected in said(tree)
    assert 6 == len(catalog.read(tree).deployments)


def test_the_line_that_hides_an_application_is_named(workspace: Tree) -> None:
    path = f"{WEB}/application.yaml"
    tree = workspace.with_file(path, b"# +argocd:skip-file-rendering\n" + (workspace.read(path) or b""))
    assert [f"{path}:1:1: `+argocd:skip-file-rendering`: Argo CD skips the file, and the deployment would be removed"] == said(tree)


def test_a_file_that_is_read_and_not_watched_is_named(workspace: Tree, tmp_path: Path) -> None:
    path = f"{WEB}/application.yaml"
    data = (workspace.read(path) or b"").replace(b";/environments/dev/values.yaml;", b";")
    tree = workspace.with_file(path, data)
    for _ in range(2):
        found = catalog.read(tree, cache_dir=tmp_path).problems
        assert [f"{path}: manifest-generate-paths does not name environments/dev/values.yaml: its changes would not be seen"] == [
            str(problem) for problem in found
        ]


@pytest.mark.parametrize("name", ["application.yaml", "release.yaml", "values.yaml", "values.release.yaml", "deployment.yaml"])
def test_a_file_that_is_missing_is_named(name: str, workspace: Tree) -> None:
    assert f"{WEB}/{name}: the file is missing" in said(workspace.without(f"{WEB}/{name}"))


def test_names_that_nothing_has_are_named(workspace: Tree) -> None:
    tree = workspace.without("apps/web/app.yaml", "clusters/eu-1.yaml")
    assert [
        "deployments/dev/web/web-dev-zz45ab/deployment.yaml: there is no app 'web' that could be read",
        "deployments/prod/web/web-prod-e5u6aa/deployment.yaml: there is no app 'web' that could be read",
        "deployments/prod/web/web-prod-q7t2cc/deployment.yaml: there is no app 'web' that could be read",
        "environments/prod/environment.yaml: there is no cluster 'eu-1': clusters/eu-1.yaml is missing",
    ] == said(tree)


def test_two_deployments_of_one_name_or_one_place_are_named(workspace: Tree) -> None:
    prod = "deployments/prod/web/web-dev-zz45ab"
    copied = {f"{prod}/{p.rpartition('/')[2]}": workspace.read(p) or b"" for p in workspace.paths(WEB)}
    assert f"{prod}/deployment.yaml: two deployments of one name: {WEB} has it too" in said(workspace.with_files(copied))
    other = "deployments/dev/web/web-dev-bbbbbb"
    renamed = {
        f"{other}/{p.rpartition('/')[2]}": (workspace.read(p) or b"").replace(b"web-dev-zz45ab", b"web-dev-bbbbbb")
        for p in workspace.paths(WEB)
    }
    assert [f"{WEB}/deployment.yaml: web-dev-bbbbbb is the same app in the same environment on the same cluster"] == said(
        workspace.with_files(renamed)
    )


def test_environments_whose_namespaces_may_meet_are_warned_about(workspace: Tree) -> None:
    tree = CreateEnvironment(name="qa", namespace="web-dev").apply(workspace)
    assert ["environments/qa/environment.yaml: its namespaces and those of dev may be the same on in-cluster (web-dev)"] == said(tree)
    assert catalog.read(tree).problems[0].warning


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("*-dev", "*-prod", False), ("*-dev", "web-*", True), ("a", "a", True), ("a", "b", False), ("*", "x", True), ("a*b", "ab*", True), ("a*c", "b*c", False), ("", "*", True)],
)  # fmt: skip
def test_patterns_meet_when_some_name_fits_both(one: str, other: str, expected: bool) -> None:
    assert (expected, expected) == (checks.meet(one, other), checks.meet(other, one))


def test_a_symbolic_link_is_no_file(workspace: Tree) -> None:
    paths = {path: Entry(0o100644, workspace.oid(path) or "") for path in workspace.paths()}
    blobs = {workspace.oid(path) or "": workspace.read(path) or b"" for path in workspace.paths()}
    blobs[blob_id(b"/etc/passwd")] = b"/etc/passwd"
    paths["environments/dev/values.yaml"] = Entry(SYMLINK, blob_id(b"/etc/passwd"))
    tree = Tree(None, dict(sorted(paths.items())), blobs.__getitem__)
    assert ["environments/dev/values.yaml: not a plain file but a symbolic link or a submodule"] == said(tree)


def test_hostile_names_are_harmless(workspace: Tree) -> None:
    tree = workspace.with_files(
        {"deployments/dev/web/\x1b[31mx/deployment.yaml": b'id: "\x1b[31m"\n', "clusters/\u202e.yaml": b'name: "x"\n'}
    )
    for line in said(tree):
        assert line.isprintable()


def test_problems_sort_by_place() -> None:
    assert [Problem("a", 1, 1, "x"), Problem("a", 2, 1, "x"), Problem("b", 1, 1, "x")] == sorted(
        [Problem("b", 1, 1, "x"), Problem("a", 2, 1, "x"), Problem("a", 1, 1, "x")]
    )
