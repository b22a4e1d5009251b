"""A workspace on disk for every test that wants one, and one warm renderer for all of them: starting Helm takes a second."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.render.renderer import Renderer
from backends.workspace import Workspace
from tests.gitops.remotes import bare
from tests.tui.line import Line, make_template


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    made = Renderer()
    yield made
    made.close()


@pytest.fixture
def warm(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workspace, "renderer", property(lambda _: renderer))


@pytest.fixture(scope="session")
def template(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("XDG_", "TIPHYS_", "ARGOCD_", "GIT_")):
                patch.delenv(name)
        patch.setenv("HOME", str(folder))
        (folder / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n")
        patch.setattr(Workspace, "renderer", property(lambda _: renderer))
        return make_template(folder)


@pytest.fixture
def line(template: Path, tmp_path: Path, warm: None) -> Line:
    """The workspace `acme`, opened before."""
    shutil.copytree(template, tmp_path / "acme.git")
    line = Line(tmp_path / "acme.git")
    line("open", str(line.remote))
    return line


@pytest.fixture
def empty(tmp_path: Path, warm: None) -> Line:
    """An empty remote that nobody has opened."""
    return Line(bare(tmp_path / "empty.git"))
