"""The user's files: what fits is kept, what does not is named with file and line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import Invalid, NotFound
from tui import config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIPHYS_CONFIG", str(tmp_path / "tiphys" / "config.toml"))
    return tmp_path / "tiphys"


ACME = config.KnownWorkspace(
    id="01JD8Z6W4T0Q8C2V6N3M5X7Y9A",
    repo="https://git.example.org/acme/workspace.git",
    argocd="https://argocd.example.org/argo",
    connection=config.Connection(auth_token_file="/home/ada/.argo token", insecure=True),
)


def test_without_files_there_are_the_defaults() -> None:
    assert config.Settings() == config.settings()
    assert config.Known() == config.known()


def test_what_is_remembered_is_known_and_the_last(home: Path) -> None:
    config.remember("acme", ACME)
    config.remember("other", config.KnownWorkspace(argocd="http://127.0.0.1:8080"))
    assert "other" == config.known().last
    assert ACME == config.known().named("acme")
    assert 0o600 == (home / "workspaces.toml").stat().st_mode & 0o777


def test_what_is_forgotten_is_gone() -> None:
    config.remember("acme", ACME)
    config.remember("other", ACME)
    config.forget("other")
    assert config.Known("acme", {"acme": ACME}) == config.known()


def test_a_typo_suggests_the_nearest() -> None:
    config.remember("acme", ACME)
    with pytest.raises(NotFound) as caught:
        config.known().named("acne")
    assert "acme" == caught.value.suggestion


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("last = 3\n", 1, "expected a string"),
        ('last = "a"\n\n[workspaces.a]\nid = "x"\nrepo = 7\n', 5, "repo"),
        ('last = "a"\n\n[workspaces.a]\nid = "x"\ntoken = "t"\n', 5, "token"),
        ('[workspaces.b]\n[workspaces.a]\n[workspaces.a.connection]\ninsecure = "yes"\n', 4, "insecure"),
        ("nonsense = 1\n", 1, "unknown key"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(home: Path, text: str, line: int, words: str) -> None:
    home.mkdir()
    (home / "workspaces.toml").write_text(text)
    with pytest.raises(Invalid) as caught:
        config.known()
    assert f"workspaces.toml:{line}:" in caught.value.problems[0]
    assert words in caught.value.problems[0]


def test_what_is_not_toml_is_named(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("readonly = yes\n")
    with pytest.raises(Invalid, match="line 1"):
        config.settings()


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")))


@given(st.dictionaries(TEXTS.filter(bool), TEXTS))
def test_any_name_and_address_is_kept(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIPHYS_CONFIG", str(tmp_path_factory.mktemp("c") / "config.toml"))
        for name, repo in entries.items():
            config.remember(name, config.KnownWorkspace(repo=repo))
        assert {name: config.KnownWorkspace(repo=repo) for name, repo in entries.items()} == config.known().workspaces
