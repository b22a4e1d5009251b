"""The intents rebuild the example workspace byte for byte; golden copies make the test able to fail without it."""

import tomllib
from pathlib import Path

import pytest

from backends.gitops import control, files
from backends.gitops.intents.init import starter_files
from backends.gitops.tree import Tree
from tests.gitops.example import STORY, built
from tests.shared import need_shared

GOLDEN = Path(__file__).parent / "golden"


def machine_owned(path: str) -> bool:
    """Everything but what people write: values, and charts, which are input."""
    return not path.endswith("/values.yaml")


def test_the_story_rebuilds_every_machine_owned_file_of_the_example() -> None:
    folder = need_shared("example-workspace")
    example = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    tree = built()
    assert {p for p in example if machine_owned(p)} == {p for p in tree.paths() if machine_owned(p)}
    assert {} == {p: data for p, data in example.items() if machine_owned(p) and data != tree.read(p)}


def test_people_get_the_values_files_that_the_example_begins_with() -> None:
    folder = need_shared("example-workspace")
    tree = built()
    for path in folder.rglob("values.yaml"):
        name = str(path.relative_to(folder))
        if "charts/" not in name:
            assert path.read_bytes().splitlines()[0] == (tree.read(name) or b"").splitlines()[0]


def test_every_file_of_the_example_is_read_without_a_word() -> None:
    folder = need_shared("example-workspace")
    for path in sorted(p for p in folder.rglob("*.yaml") if "charts" not in p.parts):
        assert () == files.parse(str(path.relative_to(folder)), path.read_bytes()).warnings


@pytest.mark.parametrize("path", sorted(str(p.relative_to(GOLDEN)) for p in GOLDEN.rglob("*.yaml")))
def test_the_bytes_are_those_of_the_golden_copy(path: str, workspace: Tree) -> None:
    assert (GOLDEN / path).read_text() == (workspace.read(path) or b"").decode()


@pytest.mark.parametrize("number", range(len(STORY)))
def test_the_same_intent_again_has_nothing_to_do(number: int) -> None:
    before = built(number + 1)
    assert {} == dict(STORY[number].apply(before).changes)


def test_control_files_derived_from_what_was_written_are_what_was_written(workspace: Tree) -> None:
    found = files.workspace(workspace)
    assert workspace.read(files.ROOT) == control.root_yaml(found)
    apps = [files.app(workspace, name) for name in files.apps(workspace)]
    for name in files.environments(workspace):
        assert workspace.read(files.manager_file(name)) == control.manager_yaml(found, name)
        assert workspace.read(files.project_file(name)) == control.project_yaml(found, files.environment(workspace, name), apps)


def test_the_starter_chart_is_packed_with_the_program() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    assert "gitops/starter/**" in project["tool"]["setuptools"]["package-data"]["backends"]
    assert {
        "charts/service/1.0.0/Chart.yaml",
        "charts/service/1.0.0/templates/deployment.yaml",
        "charts/service/1.0.0/templates/migrate.yaml",
        "charts/service/1.0.0/templates/service.yaml",
        "charts/service/1.0.0/values.yaml",
    } == set(starter_files())
