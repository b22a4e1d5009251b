from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.render.helm_sdk import installed
from backends.render.renderer import Renderer


@pytest.fixture(scope="session")
def sdk() -> Iterator[Renderer]:
    """A renderer that knows no programs, so that it is the Helm SDK that renders."""
    if not installed():
        pytest.skip("needs the Helm SDK (the extra `helm`)")
    renderer = Renderer(programs="")
    yield renderer
    renderer.close()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder
