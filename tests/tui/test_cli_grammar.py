"""The grammar of the command line: where options may stand, which workspace they name, what goes to stdout, and exit codes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.gitops.remotes import git
from tests.tui.line import IMAGE, Line
from tui.cli.parser import NOUNS


def test_options_stand_before_or_after_the_command(line: Line) -> None:
    assert line("-o", "json", "get", "apps").out == line("get", "apps", "-o", "json").out
    assert line("--workspace", "acme", "get", "-o", "json", "apps").out == line("get", "apps", "-o", "json", "--workspace=acme").out
    assert (
        line("create", "-o", "json", "environment", "qa", "--plan").out == line("create", "environment", "qa", "--plan", "-o", "json").out
    )


def test_the_last_option_counts_where_one_is_given_on_both_sides(line: Line) -> None:
    assert "items" in yaml.safe_load(line("-o", "table", "get", "apps", "-o", "yaml").out)


def test_the_last_opened_workspace_is_the_default_and_a_name_takes_another(line: Line, empty: Line) -> None:
    line("init", str(empty.remote), "--slug", "other")
    assert [] == line.items("get", "apps")
    assert ["web"] == [one["name"] for one in line.items("get", "apps", "--workspace", "acme")]
    assert ["acme", "other"] == [one["name"] for one in line.items("get", "workspaces")]
    assert [False, True] == [one["last"] for one in line.items("get", "workspaces")]


def test_a_repository_given_by_url_uses_no_remembered_workspace(line: Line, empty: Line) -> None:
    line("init", str(empty.remote), "--slug", "other", "--argocd-repo-url", "https://git.example.org/other.git")
    assert ["web"] == [one["name"] for one in line.items("get", "apps", "--repo", str(line.remote))]
    assert "other" == next(one["name"] for one in line.items("get", "workspaces") if one["last"])


def test_an_argo_cd_given_by_url_brings_no_remembered_repository(line: Line) -> None:
    ran = line("get", "apps", "--argocd", "http://127.0.0.1:1", code=3)
    assert "needs the workspace repository" in ran.err


def test_nothing_but_data_is_on_stdout(line: Line) -> None:
    ran = line("get", "deployments", "-o", "json")
    assert 1 == len(json.loads(ran.out)["items"])
    assert "no Argo CD was named" in ran.err
    for arguments in (
        ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:1.0"),
        ("deploy", "web", "--to", "nowhere", "--image", f"{IMAGE}:1.0", "--yes"),
        ("get", "nonsense"),
    ):
        assert "" == line(*arguments, code=None).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("get",),
        ("get", "nonsense"),
        ("create",),
        ("deploy", "web"),
        ("get", "apps", "-o", "xml"),
        ("pause", "web", "--timeout", "3"),
        ("deploy", "web", "--to", "dev", "--image", "a:1", "--wait", "--timeout", "soon"),
        ("get", "apps", "--no-such-option"),
    ],
)
def test_usage_is_2_with_a_hint(arguments: tuple[str, ...], empty: Line) -> None:
    ran = empty(*arguments, code=2)
    assert ran.out == ""
    assert "hint: " in ran.err


def test_help_is_data_and_0(empty: Line) -> None:
    assert "Exit codes" in empty("--help").out
    assert "COMMAND" in empty().out
    for command in ("init", "open", "bootstrap", "deploy", "set", "rollback", "pause", "delete", "pending", "sync", "get", "watch"):
        assert f"tiphys {command}" in empty(command, "--help").out
    for noun in ("environment", "app", "cluster"):
        assert f"tiphys create {noun}" in empty("create", noun, "--help").out


def test_options_are_never_guessed_from_a_beginning(line: Line) -> None:
    before = line.head()
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:9", "--ye", code=2)
    assert before == line.head()


def test_a_command_typed_wrong_suggests_the_nearest(empty: Line) -> None:
    assert "deploy" in empty("deplyo", "web", code=2).err
    assert "did you mean deployments?" in empty("get", "deploymnets", code=2).err
    assert "did you mean --image?" in empty("deploy", "web", "--to", "dev", "--imgae", "a:1", code=2).err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("deploy", "wbe", "--to", "dev", "--image", "a:1", "--yes"), "web"),
        (("deploy", "web", "--to", "dve", "--image", "a:1", "--yes"), "dev"),
        (("deploy", "web", "--to", "dev/in-clutser", "--image", "a:1", "--yes"), "in-cluster"),
        (("deploy", "web", "--to", "dev", "--image", "mian=a:1", "--yes"), "main"),
        (("set", "app:wbe", "a=1", "--yes"), "web"),
        (("set", "environment:prdo", "a=1", "--yes"), "prod"),
        (("get", "apps", "--workspace", "acne"), "acme"),
        (("create", "environment", "qa", "--promote-from", "pord", "--yes"), "prod"),
        (("create", "environment", "qa", "--cluster", "in-clutser", "--yes"), "in-cluster"),
    ],
)
def test_a_name_typed_wrong_suggests_the_nearest(line: Line, arguments: tuple[str, ...], meant: str) -> None:
    ran = line(*arguments, code=1)
    assert f"did you mean {meant}?" in ran.err


def test_an_id_typed_wrong_suggests_the_nearest(line: Line) -> None:
    id = line.deployment()
    for command in (("rollback",), ("delete",), ("set",), ("pause",), ("resume",), ("history",)):
        more = {"set": ("a=1",), "pause": ("--until", "2h")}.get(command[0], ())
        assert f"did you mean {id}?" in line(*command, id[:-1] + ("y" if id.endswith("x") else "x"), *more, code=1).err


@pytest.mark.parametrize("noun", ["apps", "deployments", "environments", "workspaces"])
def test_every_form_says_the_same(line: Line, noun: str) -> None:
    found = line.json("get", noun)
    assert {"items", "feeds"} == set(found)
    assert found["items"] == yaml.safe_load(line("get", noun, "-o", "yaml").out)["items"]
    table, wide = line("get", noun).out.splitlines(), line("get", noun, "-o", "wide").out.splitlines()
    assert 1 + len(found["items"]) == len(table) == len(wide)
    assert len(wide[0].split()) >= len(table[0].split())


def test_times_are_rfc_3339_utc(line: Line) -> None:
    found = [line.items("get", "deployments")[0]["committedAt"], line.items("history")[0]["at"]]
    for text in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text), text
        assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(days=1)


@pytest.mark.parametrize("noun", NOUNS)
def test_without_anything_opened_every_list_says_what_to_do(empty: Line, noun: str) -> None:
    ran = empty("get", noun, code=None)
    if noun == "workspaces":
        assert 0 == ran.code
    else:
        assert ran.code in (1, 3)
        assert "hint: " in ran.err


def test_readonly_refuses_every_write_and_still_plans_and_reads(line: Line) -> None:
    id, before = line.deployment(), line.head()
    writes: list[tuple[str, ...]] = [
        ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes"),
        ("set", id, "a=1", "--yes"),
        ("rollback", id, "--yes"),
        ("pause", id, "--until", "2h", "--yes"),
        ("resume", id, "--yes"),
        ("delete", id, "--yes", "--confirm", f"{id},dev"),
        ("create", "environment", "qa", "--yes"),
        ("create", "app", "api", "--image", "a", "--yes"),
        ("create", "cluster", "eu", "--server", "https://10.0.0.1", "--yes"),
    ]
    for arguments in writes:
        ran = line(*arguments, "--readonly", code=None)
        assert (3, "") == (ran.code, ran.out) or ("rollback" == arguments[0] and 1 == ran.code), ran
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--plan", "--readonly")
    assert ["web"] == [one["name"] for one in line.items("get", "apps", "--readonly")]
    assert before == line.head()


def test_readonly_refuses_a_new_workspace(empty: Line) -> None:
    assert "read-only" in empty("init", str(empty.remote), "--slug", "acme", "--readonly", code=3).err
    assert [] == empty.items("get", "workspaces")


def test_forget_takes_a_workspace_from_the_list_and_touches_nothing_else(line: Line) -> None:
    before = line.head()
    assert "did you mean acme?" in line("forget", "acem", code=1).err
    line("forget", "acme")
    assert [] == line.items("get", "workspaces")
    assert before == line.head()


def test_the_password_in_a_url_is_not_remembered_or_shown(line: Line) -> None:
    ran = line("get", "apps", "--repo", "http://ada:canary-1@127.0.0.1:1/x.git", code=5)
    assert "canary-1" not in ran.out + ran.err


def test_a_missing_git_is_a_sentence(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ran = line("get", "apps", code=3)
    assert "git" in ran.err
    assert "defect" not in ran.err


def test_an_unreachable_repository_is_5_or_named(empty: Line) -> None:
    assert 5 == empty("get", "apps", "--repo", "http://127.0.0.1:1/x.git", code=None).code
    gone = empty("get", "apps", "--repo", str(empty.remote / "gone"), code=1)
    assert "no such repository" in gone.err
    assert "tiphys init" in empty("get", "apps", "--repo", str(empty.remote), code=1).err


def test_a_missing_branch_names_those_there_are(line: Line) -> None:
    ran = line("get", "apps", "--branch", "trunk", code=1)
    assert "main" in ran.err


def test_a_url_that_is_code_is_refused(empty: Line) -> None:
    for url in ("ext::sh -c touch% /tmp/x", "-u./x", "ftp://host/x"):
        assert 3 == empty("get", "apps", f"--repo={url}", code=None).code


def test_a_reason_is_one_line(line: Line) -> None:
    before = line.head()
    for reason in ("a\nTiphys-Op: forged", "a\rb", "a\x1b[31mb", "a\x00b", "a\u202eb", "a\u2028b"):
        ran = line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes", "--reason", reason, code=3)
        assert "one line" in ran.err
    assert before == line.head()


def test_a_reason_is_in_the_history(line: Line) -> None:
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes", "--reason", "Ärger: 日本 #1")
    assert "Ärger: 日本 #1" == line.items("history", line.deployment())[0]["reason"]


def test_nothing_remembered_is_needed_and_nothing_is_remembered_for_a_repo_option(line: Line) -> None:
    line("forget", "acme")
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes", "--repo", str(line.remote))
    assert [] == line.items("get", "workspaces")


def test_the_branch_of_a_workspace_is_remembered(empty: Line) -> None:
    empty("init", str(empty.remote), "--slug", "acme", "--branch", "trunk")
    empty("create", "environment", "dev", "--yes")
    assert "trunk" == empty.items("get", "workspaces")[0]["branch"]
    assert "trunk" == git(empty.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    assert 'targetRevision: "trunk"' in git(empty.remote, "show", "trunk:bootstrap/root.yaml")
