"""`tiphys --version` is a literal that costs nothing."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.test_import_cost import loaded_after
from tui import VERSION

ROOT = Path(__file__).resolve().parents[1]


def test_the_version_is_that_of_the_distribution() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_asking_for_it_prints_it_and_loads_nothing_heavy() -> None:
    asked = subprocess.run([sys.executable, "-m", "tui", "--version"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert f"tiphys {VERSION}\n" == asked.stdout
    loaded = loaded_after(
        "import runpy, sys, contextlib\nsys.argv = ['tiphys', '--version']\n"
        "with contextlib.suppress(SystemExit): runpy.run_module('tui', run_name='__main__')"
    )
    assert set() == loaded & {"textual", "httpx", "git", "kubernetes", "aiohttp", "asyncio", "argparse", "msgspec", "yaml"}
