"""The nouns that only an Argo CD knows, as the command line prints them of the sandbox's small fleet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.scenarios.conftest import Sandbox
from tests.tui.line import Line
from tui.cli import nouns

pytestmark = pytest.mark.xdist_group("cli-sandbox")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with Sandbox("--speed", "20", home=tmp_path_factory.mktemp("sandbox-home")) as ready:
        yield ready


@pytest.fixture
def fleet(ready: dict[str, str], warm: None) -> Line:
    line = Line(Path(ready["repo_url"].removeprefix("file://")))
    line("open", ready["repo_url"], "--argocd", ready["argocd_url"], "--auth-token-file", ready["token_file"])
    return line


@pytest.mark.parametrize(
    ("noun", "keys"),
    [
        ("deployments", "deployment"),
        ("applications", "application"),
        ("clusters", "cluster"),
        ("projects", "project"),
        ("apps", "app"),
        ("environments", "environment"),
    ],
)
def test_every_list_has_its_keys_and_says_how_fresh_it_is(fleet: Line, noun: str, keys: str) -> None:
    found = fleet.json("get", noun)
    assert found["items"]
    for item in found["items"]:
        assert nouns.KEYS[keys] == tuple(item)
        times = [value for key, value in item.items() if key in ("since", "createdAt", "committedAt") and value is not None]
        for text in times:
            assert text.endswith("Z")
            assert datetime.fromisoformat(text).tzinfo is not None
    for feed in found["feeds"]:
        assert {"name", "state", "since", "error"} == set(feed)
    if noun in ("deployments", "applications"):
        assert ["live"] == [feed["state"] for feed in found["feeds"]]


def test_every_stage_is_one_of_the_contract(fleet: Line) -> None:
    from backends.domain.stage import Stage

    found = fleet.items("get", "deployments")
    assert {one["stage"] for one in found} <= {str(stage) for stage in Stage}
    assert "Live" in {one["stage"] for one in found}
    assert all(one["reason"] for one in found if one["stage"] in ("Degraded", "SyncFailed"))


def test_what_belongs_to_one_application_has_its_keys(fleet: Line) -> None:
    name = next(one["id"] for one in fleet.items("get", "deployments") if one["stage"] == "Live")
    tree = fleet.items("tree", name)
    assert {"Deployment", "Pod"} <= {node["kind"] for node in tree}
    for node in tree:
        assert nouns.KEYS["node"] == tuple(node)
    for event in fleet.items("events", name):
        assert nouns.KEYS["event"] == tuple(event)
        assert event["source"] in ("argo", "kubernetes", "git")
    for release in fleet.items("history", name):
        assert nouns.KEYS["release"] == tuple(release)
    assert fleet.json("why", name)
    assert {"items", "feeds"} == set(fleet.json("diff", name))
    for row in fleet("logs", name, "-o", "json", "--tail", "3").out.splitlines():
        assert {"at", "type"} <= set(json.loads(row))


def test_a_follower_prints_one_object_a_line(fleet: Line) -> None:
    name = next(one["id"] for one in fleet.items("get", "deployments") if one["stage"] == "Live")
    rows = fleet("watch", name, "--timeout", "2s", "-o", "json").out.splitlines()
    assert rows
    for row in rows:
        record = json.loads(row)
        assert ["at", "type"] == [key for key in record if key in ("at", "type")]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", record["at"])


def test_sync_refresh_and_terminate_speak_of_one_application(fleet: Line) -> None:
    name = next(one["id"] for one in fleet.items("get", "deployments") if one["stage"] == "Live")
    assert name == fleet.json("refresh", name, "--hard")["name"]
    assert "did you mean" in fleet("refresh", name[:-1] + ("y" if name.endswith("x") else "x"), code=1).err
    assert "--yes" in fleet("sync", name, "--prune", code=3).err
    assert 3 == fleet("sync", name, "--readonly", code=None).code
    assert "name" in fleet.json("sync", name, "--dry-run")


def test_a_label_selects_applications(fleet: Line) -> None:
    found = fleet.items("get", "applications", "-l", "tiphys.dev/environment=dev")
    assert found
    assert {"dev"} == {one["labels"]["tiphys.dev/environment"] for one in found}
    assert all(one["managed"] for one in found)


def test_a_workspace_is_bootstrapped_twice(fleet: Line) -> None:
    assert fleet.json("bootstrap")["name"] == fleet.json("bootstrap")["name"]
