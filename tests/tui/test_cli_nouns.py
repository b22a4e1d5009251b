"""The JSON of every noun: the keys of the contract, all of them, always."""

from __future__ import annotations

import re

import pytest

from tests.shared import shared_dir
from tests.tui.line import IMAGE, Line
from tui.cli import nouns
from tui.cli.columns import COLUMNS

NULL_OR_EMPTY = (None, [], {})


def test_the_documented_keys_are_those_of_the_contract() -> None:
    shared = shared_dir()
    if shared is None:
        pytest.skip("no shared folder with the contract")
    text = (shared / "contract" / "cli.md").read_text()
    rows = dict(
        re.findall(r"^\| (deployment|application|app|environment|cluster|event|release \(history\)|tree node) \| (.*) \|$", text, re.M)
    )
    names = {"release (history)": "release", "tree node": "node"}
    found = {names.get(noun, noun): tuple(re.sub(r"\([^)]*\)", "", keys).split()) for noun, keys in rows.items()}
    assert 8 == len(found)
    assert found == {noun: nouns.KEYS[noun] for noun in found}


@pytest.mark.parametrize(
    ("arguments", "noun"),
    [
        (("get", "deployments"), "deployment"),
        (("get", "apps"), "app"),
        (("get", "environments"), "environment"),
        (("get", "workspaces"), "workspace"),
        (("history",), "release"),
    ],
)
def test_each_item_has_every_key_in_order(line: Line, arguments: tuple[str, ...], noun: str) -> None:
    for item in line.items(*arguments):
        assert nouns.KEYS[noun] == tuple(item)


@pytest.mark.parametrize("noun", sorted(COLUMNS))
def test_tables_show_keys_that_there_are(noun: str) -> None:
    assert set() == {column.key for column in COLUMNS[noun]} - set(nouns.KEYS[noun])


def test_a_deployment_that_nobody_looked_at_says_null(line: Line) -> None:
    (one,) = line.items("get", "deployments")
    assert {"id": line.deployment(), "app": "web", "environment": "dev", "cluster": "in-cluster", "namespace": "web-dev"} == {
        key: one[key] for key in ("id", "app", "environment", "cluster", "namespace")
    }
    assert {"stage": None, "since": None, "reason": None, "sync": None, "health": None, "revision": None, "paused": None} == {
        key: one[key] for key in ("stage", "since", "reason", "sync", "health", "revision", "paused")
    }
    assert ([], [f"{IMAGE}:1.0"], "1.0.0", line.head(), "Ada Lovelace") == tuple(
        one[key] for key in ("flags", "images", "chart", "commit", "author")
    )


def test_a_pause_is_in_the_deployment(line: Line) -> None:
    line("pause", line.deployment(), "--until", "2030-01-02T03:04:05Z", "--reason", "load test", "--yes")
    assert {"until": "2030-01-02T03:04:05Z", "reason": "load test"} == line.items("get", "deployments")[0]["paused"]


def test_locks_are_in_the_environment(line: Line) -> None:
    path = "environments/dev/environment.yaml"
    line.rival({path: line.read(path) + 'locks: [{by: "ada", reason: "black friday", until: "2030-11-30T08:00:00Z"}]\n'})
    found = next(one for one in line.items("get", "environments") if one["name"] == "dev")
    assert [{"by": "ada", "reason": "black friday", "until": "2030-11-30T08:00:00Z"}] == found["locks"]


def test_an_add_on_names_its_chart_and_has_no_source(line: Line) -> None:
    line(
        "create",
        "app",
        "dog",
        "--addon",
        "--chart-repo",
        "https://charts.example.org",
        "--chart",
        "dog",
        "--chart-version",
        "1.2.3",
        "--yes",
    )
    found = next(one for one in line.items("get", "apps") if one["name"] == "dog")
    assert {
        "name": "dog",
        "kind": "addon",
        "source": None,
        "chart": "https://charts.example.org/dog 1.2.3",
        "images": [],
        "deployments": 0,
    } == found


def test_history_is_newest_first_and_says_what_each_change_was(line: Line) -> None:
    id = line.deployment()
    line("set", id, "replicas=2", "--yes")
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes", "--reason", "faster")
    found = line.items("history", id)
    assert ["deploy", "edit-values", "deploy"] == [one["op"] for one in found]
    assert [[f"{IMAGE}:2.0"], [f"{IMAGE}:1.0"], [f"{IMAGE}:1.0"]] == [one["images"] for one in found]
    assert ["faster", None, None] == [one["reason"] for one in found]
    assert 3 == len({one["change"] for one in found})
    assert 1 == len(line.items("history", "--limit", "1"))
    assert 3 == len(line.items("history", "app:web")) - 1  # and its creation
    assert {"deploy", "edit-values", "create-environment"} == {one["op"] for one in line.items("history", "environment:dev")}


def test_what_was_written_is_one_json_object(line: Line) -> None:
    wrote = line.json("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes")
    assert {"at", "type", "commit", "change", "attempts", "subject", "deployments"} == set(wrote)
    assert ("written", line.head(), 1, [line.deployment()]) == tuple(wrote[key] for key in ("type", "commit", "attempts", "deployments"))
    again = line.json("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes")
    assert set(wrote) == set(again)
    assert ("nothing", None) == (again["type"], again["commit"])


def test_init_is_one_json_object(empty: Line) -> None:
    wrote = empty.json("init", str(empty.remote), "--slug", "acme")
    assert ("written", empty.head(), "init(acme): workspace") == (wrote["type"], wrote["commit"], wrote["subject"])


def test_a_plan_is_one_json_document(line: Line) -> None:
    plan = line.json("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:2.0", "--plan")
    assert (["prod"], False) == (plan["protected"], plan["empty"])
    assert ["added"] * 5 == [one["change"] for one in plan["files"]]
    assert {"Deployment", "Service"} == {change["kind"] for one in plan["rendered"] for change in one["objects"]}
