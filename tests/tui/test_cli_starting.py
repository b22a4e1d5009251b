"""`open` and the user's own files, as a command line meets them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.tui.line import Line


@pytest.fixture
def config(own_home: Path) -> Path:
    folder = own_home / ".config" / "tiphys"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_open_says_what_it_found_and_asks_nothing(line: Line) -> None:
    ran = line("open", str(line.remote))
    assert "2 environments, 1 apps, 1 deployments" in ran.out
    found = line.json("open", str(line.remote), "--name", "mine")
    assert ("mine", "acme", 2, 1, 1, 0) == (
        found["name"],
        *(found["repo"][key] for key in ("slug", "environments", "apps", "deployments", "problems")),
    )
    assert found["argocd"] is None
    assert "mine" == next(one["name"] for one in line.items("get", "workspaces") if one["last"])


def test_open_remembers_nothing_of_what_it_could_not_read(empty: Line) -> None:
    assert 1 == empty("open", str(empty.remote), code=None).code
    empty.rival({"README.md": "x"})
    assert "is no workspace" in empty("open", str(empty.remote), code=1).err
    assert 3 == empty("open", code=None).code
    assert [] == empty.items("get", "workspaces")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.toml", "readonly = yes\n", "line 1"),
        ("config.toml", "\nreadonyl = true\n", "config.toml:2:"),
        ("config.toml", "readonly = 3\n", "config.toml:1:"),
        ("workspaces.toml", 'last = "a"\n[workspaces.a]\nrepo = 7\n', "workspaces.toml:3:"),
        ("workspaces.toml", 'last = "a"\n[workspaces.a]\ntoken = "x"\n', "workspaces.toml:3:"),
        ("workspaces.toml", "= 3\n", "line 1"),
    ],
)
def test_a_file_of_the_users_that_does_not_fit_is_named_with_its_line(empty: Line, config: Path, name: str, text: str, says: str) -> None:
    (config / name).write_text(text)
    where = ("--repo", str(empty.remote)) if name == "config.toml" else ()
    ran = empty("get", "apps", *where, code=1)
    assert says in ran.err
    assert text == (config / name).read_text()  # never overwritten


def test_readonly_in_the_configuration_counts(line: Line, config: Path) -> None:
    (config / "config.toml").write_text("readonly = true\n")
    before = line.head()
    assert "read-only" in line("set", line.deployment(), "a=1", "--yes", code=3).err
    assert before == line.head()


def test_what_is_remembered_is_toml_with_paths_and_no_secrets(line: Line, config: Path, tmp_path: Path) -> None:
    token = tmp_path / "git token"
    token.write_text("canary-3")
    token.chmod(0o600)
    line("init", str(line.remote), "--slug", "acme", "--git-token-file", str(token))
    known = tomllib.loads((config / "workspaces.toml").read_text())
    assert ("acme", str(token)) == (known["last"], known["workspaces"]["acme"]["connection"]["git_token_file"])
    assert "canary" not in (config / "workspaces.toml").read_text()
    line("open", str(line.remote))  # what was given before stays
    assert str(token) in (config / "workspaces.toml").read_text()
