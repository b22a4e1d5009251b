"""`fields` in the sandbox gives what it gave on a real server: the recorded list, and the recorded projected stream."""

import pytest

from backends.sandbox.projection import Fields
from tests.shared import recording, stream


@pytest.mark.parametrize("name", ["012-list-fields", "013-list-fields-typo", "014-list-selector"])
def test_a_list_projects_to_the_fixed_set_of_fields(name: str) -> None:
    whole = {item["metadata"]["name"]: item for item in recording("011-list-full")["response"]["body"]["items"]}
    projected = recording(name)
    fields = Fields(projected["request"]["path"].partition("fields=")[2])
    items = projected["response"]["body"]["items"]
    assert items == [fields.project_item(whole[item["metadata"]["name"]]) for item in items]


def test_a_stream_projects_by_prefix_and_sends_nothing_twice() -> None:
    lines = list(stream("deploy-good"))
    opened = next(line for line in lines if "fields=" in line.get("path", ""))
    fields = Fields(opened["path"].partition("fields=")[2])
    expected = [line["data"] for line in lines if line.get("stream") == opened["stream"] and "data" in line]
    actual, last = [], {}
    for line in lines:
        if line.get("stream") == "apps" and "data" in line:
            projected = fields.project(line["data"])
            name = projected["result"]["application"]["metadata"]["name"]
            if last.get(name) != projected:
                last[name] = projected
                actual.append(projected)
    assert expected == actual


def test_a_selected_path_brings_those_along_that_begin_like_it() -> None:
    whole = {"status": {"sync": {"revision": "a", "revisions": ["a"], "status": "Synced"}}}
    assert {"status": {"sync": {"revision": "a", "revisions": ["a"]}}} == Fields("status.sync.revisions").project(whole)


def test_exclusion_takes_exact_paths_away() -> None:
    assert {"a": {"b": 1}, "d": 3} == Fields("-a.c").project({"a": {"b": 1, "c": 2}, "d": 3})
