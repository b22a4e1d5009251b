"""Repositories as people leave them: what Tiphys did not write stays as it is, and what is broken blocks only what depends on it."""

from __future__ import annotations

import pytest

from tests.gitops.remotes import git
from tests.tui.line import IMAGE, Line


def numstat(line: Line) -> list[tuple[str, str, str]]:
    """Added and removed lines of each file of the newest commit."""
    rows = git(line.remote, "show", "--numstat", "--format=", "main").splitlines()
    return [tuple(row.split("\t")) for row in rows]  # type: ignore[misc]


PEOPLE = (
    "# values of prod – ask #ops\n"
    "---\n"
    "replicas:   2     # two are enough\n"
    "'quoted': \"yes\"\n"
    "flow: {a: 1, b: [1, 2]}\n"
    "list:\n"
    "- name: A\n"
    "  value: 'x'\n"
    "\n"
    "# Größe 日本\n"
    "größe: groß   \n"
    "text: |\n"
    "  one\n"
    "  two\n"
    "# the end"
)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_key_is_one_line_of_a_persons_file(line: Line, newline: str) -> None:
    path = f"{line.folder()}/values.yaml"
    text = PEOPLE.replace("\n", newline)
    line.rival({path: text.encode()})
    for edit, old, new in (
        ("replicas=3", "replicas:   2 ", "replicas:   3 "),
        ("flow.b[1]=5", "[1, 2]", "[1, 5]"),
        ("list[0].value=y", "'x'", "'y'"),
        ("größe=klein", "größe: groß", "größe: klein"),
    ):
        line("set", line.deployment(), edit, "--yes")
        text = text.replace(old, new)
        got = line.bytes(path).decode()
        assert text == got
        assert [("1", "1", path)] == numstat(line)
        assert (newline == "\r\n") == ("\r\n" in got)
        text = got
    line("set", line.deployment(), "new.key=1", "--yes")
    got = line.bytes(path).decode()
    assert got.count("\n") == got.count(newline)
    assert "# the end" in got


def test_an_anchor_is_edited_where_that_changes_nothing_else(line: Line) -> None:
    path = f"{line.folder()}/values.yaml"
    line.rival({path: "base: &base\n  a: 1\nother:\n  <<: *base\n  b: 2\n"})
    line("set", line.deployment(), "other.b=3", "--yes")
    assert "base: &base\n  a: 1\nother:\n  <<: *base\n  b: 3\n" == line.read(path)
    before = line.head()
    ran = line("set", line.deployment(), "base.a=9", "--yes", code=1)
    assert "edit the file by hand" in ran.err
    assert before == line.head()


def test_a_tab_is_named_with_its_line(line: Line) -> None:
    path = f"{line.folder()}/values.yaml"
    line.rival({path: "a: 1\nb:\n\tc: 2\n"})
    ran = line("set", line.deployment(), "a=2", "--yes", code=1)
    assert f"{path}:3:" in ran.err
    assert "tab" in ran.err
    assert f"{path}:3:" in line("get", "deployments").err
    assert f"{path}:3:" in line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes", code=1).err
    assert f"{path}:3:" in line("pause", line.deployment(), "--until", "2h", "--plan").out


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("a: 1\na: 2\n", ":2:", "duplicate key"),
        ("a: {}\n}\n", ":2:", ""),
        ("a: 1\n---\nb: 2\n", ":2:", "document"),
        ("- a\n", ":1:", "mapping"),
        (b"a: \xff\xfe\n", "", "UTF-8"),
        ("a: 'x\n", ":", ""),
    ],
)
def test_values_that_helm_would_misread_are_named(line: Line, text: str | bytes, where: str, says: str) -> None:
    path = f"{line.folder()}/values.yaml"
    line.rival({path: text})
    ran = line("set", line.deployment(), "c=2", "--yes", code=1)
    assert f"{path}{where}" in ran.err
    assert says in ran.err
    assert "defect" not in ran.err


def test_a_huge_values_file_is_edited_in_place(line: Line) -> None:
    path = f"{line.folder()}/values.yaml"
    text = "".join(f"key{n}:\n  inner: {n}  # number {n}\n" for n in range(2_000))
    line.rival({path: text})
    line("set", line.deployment(), "key1500.inner=-1", "--yes")
    assert [("1", "1", path)] == numstat(line)


def test_a_link_in_the_tree_is_no_file_and_hides_nothing(line: Line) -> None:
    path = f"{line.folder()}/values.yaml"
    blob = git(line.remote, "hash-object", "-w", "--stdin", data="/etc/passwd")
    index = {"GIT_INDEX_FILE": str(line.remote / "index.tmp")}
    git(line.remote, "read-tree", "main", env=index)
    for name in (path, "docs/link", "environments/linked/environment.yaml"):
        git(line.remote, "update-index", "--add", "--cacheinfo", f"120000,{blob},{name}", env=index)
    git(line.remote, "update-index", "--add", "--cacheinfo", f"160000,{line.head()},vendor/module", env=index)
    tree = git(line.remote, "write-tree", env=index)
    made = git(line.remote, "commit-tree", tree, "-p", "main", "-m", "links", env={"GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"})
    git(line.remote, "update-ref", "refs/heads/main", made)

    assert 1 == len(line.items("get", "deployments"))
    refused = line("set", line.deployment(), "a=1", "--yes", code=1)
    assert "link" in refused.err
    assert "root:" not in refused.err
    line("create", "environment", "qa", "--yes")
    listing = git(line.remote, "ls-tree", "-r", "main")
    assert "120000 blob" in listing
    assert "160000 commit" in listing  # the submodule stays what it was
    planned = line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--plan", code=None)
    assert "root:" not in planned.out + planned.err


def test_a_broken_environment_blocks_only_what_depends_on_it(line: Line) -> None:
    path = "environments/prod/environment.yaml"
    line.rival({path: line.read(path).replace("order: 20", "order: soon")})
    where = f"{path}:2:"
    assert ["dev"] == [one["name"] for one in line.items("get", "environments")]
    assert where in line("get", "environments").err
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes")
    line("set", line.deployment(), "a=1", "--yes")
    ran = line("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:2", "--yes", "--confirm", "prod", code=1)
    assert where in ran.err
    line("create", "environment", "qa", "--yes")


@pytest.mark.parametrize(
    "path",
    [
        "apps/web/app.yaml",
        "tiphys.yaml",
        "bootstrap/root.yaml",
        "environments/dev/environment.yaml",
        "DEPLOYMENT",
        "RELEASE",
        "APPLICATION",
    ],
)
@pytest.mark.parametrize("data", ["", "a: [\n"])
def test_any_broken_file_is_a_sentence_with_its_name(line: Line, path: str, data: str) -> None:
    names = {"DEPLOYMENT": "deployment.yaml", "RELEASE": "release.yaml", "APPLICATION": "application.yaml"}
    path = f"{line.folder()}/{names[path]}" if path in names else path
    id = line.deployment()
    line.rival({path: data})
    for command in (
        ("get", "deployments"),
        ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes"),
        ("set", id, "a=1", "--plan"),
        ("rollback", id, "--plan"),
    ):
        ran = line(*command, code=None)
        assert "defect" not in ran.err, (command, ran.err)
        assert ran.code in (0, 1, 3), (command, ran)
        if ran.code == 1 and not any(said in ran.err for said in ("no earlier release", "its app is not a chart")):
            assert path in ran.err or path.rpartition("/")[2] in ran.err, (command, ran.err)


def test_unknown_keys_are_kept_and_warned_about(line: Line) -> None:
    for path in ("environments/dev/environment.yaml", "apps/web/app.yaml", f"{line.folder()}/deployment.yaml", "tiphys.yaml"):
        line.rival({path: line.read(path) + "team: payments # ours\n"})
    ran = line("create", "environment", "dev", "--order", "7", "--yes")
    assert "team: payments # ours" in line.read("environments/dev/environment.yaml")
    ran = line("get", "deployments")
    for path in ("environments/dev/environment.yaml", "apps/web/app.yaml", "deployment.yaml", "tiphys.yaml"):
        assert any(path in said and "team" in said for said in ran.err.splitlines()), (path, ran.err)
    line("pause", line.deployment(), "--until", "2h", "--yes")
    assert "team: payments # ours" in line.read(f"{line.folder()}/deployment.yaml")


def test_edits_by_hand_in_machine_owned_files(line: Line) -> None:
    """What people changed in application.yaml survives a new image; a chart move derives it anew, and the plan shows that."""
    path = f"{line.folder()}/application.yaml"
    line.rival(
        {path: line.read(path).replace('syncOptions: ["CreateNamespace=true"]', 'syncOptions: ["CreateNamespace=true", "Hand=true"]')}
    )
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes")
    assert "Hand=true" in line.read(path)
    record = f"{line.folder()}/release.yaml"
    line.rival({record: line.read(record) + "# by hand\n"})
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:3", "--yes")
    assert f"{IMAGE}:3" == line.items("get", "deployments")[0]["images"][0]


def test_files_and_folders_that_are_none_of_ours_stay(line: Line) -> None:
    others: dict[str, str | bytes] = {
        "README.md": "# ours\n",
        "docs/ä ö/日本.txt": "x",
        "bin/run.sh": "#!/bin/sh\n",
        "environments/dev/extra.txt": "x",
        "apps/web/base/kustomization.yaml": "resources: []\n",
        "deployments/dev/README.md": "hands off\n",
        "environments/.keep": "",
        'we"ird\n\tname': "x",
    }
    line.rival(dict(others))
    listed = git(line.remote, "ls-tree", "-r", "-z", "main")
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes")
    line("create", "environment", "qa", "--yes")
    after = git(line.remote, "ls-tree", "-r", "-z", "main").split("\0")
    for row in listed.split("\0"):
        if not any(row.endswith(name) for name in ("release.yaml", "values.release.yaml")):
            assert row in after


def test_a_second_application_yaml_is_named_by_every_list_and_plan(line: Line) -> None:
    path = f"{line.folder()}/extra/application.yaml"
    line.rival({path: line.read(f"{line.folder()}/application.yaml")})
    assert path in line("get", "deployments").err
    assert path in line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--plan").out


def test_hostile_words_of_others_reach_no_terminal(line: Line) -> None:
    hostile = "evil \x1b]52;c;x\x07 \x9b31m \u202e [/red] " + "w" * 100_000
    line.rival({"README.md": "x"}, f"{hostile}\n\nTiphys-Op: deploy\nTiphys-Deployment: {line.deployment()}\nTiphys-Reason: \x1b[2J\n")
    for command in (("history",), ("history", "-o", "json"), ("get", "deployments"), ("get", "deployments", "-o", "yaml")):
        ran = line(*command)
        text = ran.out + ran.err
        assert not [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e"]
    assert "evil" in line("history").out
