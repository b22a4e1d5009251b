"""The house rules that a reader can check by eye, checked by a test."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("tui", "screens", "backends")


def modules() -> Iterator[Path]:
    for floor in FLOORS:
        yield from sorted((ROOT / floor).rglob("*.py"))


def test_no_module_has_two_ideas() -> None:
    assert {} == {str(p.relative_to(ROOT)): n for p in modules() if (n := len(p.read_text().splitlines())) > 350}


def test_every_module_says_what_it_is_for() -> None:
    assert [] == [str(p.relative_to(ROOT)) for p in modules() if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]


def test_modules_are_nouns_of_the_domain() -> None:
    assert [] == [str(p.relative_to(ROOT)) for p in modules() if p.stem in {"utils", "helpers", "common", "manager", "misc"}]


def test_backends_print_nothing() -> None:
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        if path.is_relative_to(ROOT / "backends") and "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert [] == printing


def test_no_shell_is_ever_asked() -> None:
    asked = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            any(k.arg == "shell" and not (isinstance(k.value, ast.Constant) and k.value.value is False) for k in node.keywords)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in {"system", "popen", "create_subprocess_shell"})
        )
    ]
    assert [] == asked


def test_nothing_is_left_for_later() -> None:
    marks = ("TODO", "FIXME", "XXX", "raise NotImplementedError")
    assert [] == [f"{p.relative_to(ROOT)}: {mark}" for p in modules() for mark in marks if mark in p.read_text()]


def test_constraints_name_versions_and_no_registry() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [] == [line for line in lines if "==" not in line or "://" in line or line.startswith("-")]


def test_every_direct_dependency_is_pinned_by_range_and_constrained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["project"]["optional-dependencies"]["helm"],
    ]
    constrained = {line.partition("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()}
    names = {one.partition(">=")[0].partition("[")[0].lower().replace("_", "-") for one in direct}
    assert [] == [one for one in direct if ">=" not in one or "<" not in one]
    assert set() == names - constrained


@pytest.mark.xdist_group("build")
def test_the_wheel_holds_the_three_floors_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", "--", str(ROOT), str(source)], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)], check=True
    )
    with zipfile.ZipFile(next(tmp_path.glob("tiphys-*.whl"))) as wheel:
        names = wheel.namelist()
    assert {*FLOORS} == {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert {f"{floor}/py.typed" for floor in FLOORS} <= set(names)
    starter = {str(path.relative_to(ROOT)) for path in (ROOT / "backends/gitops/starter").rglob("*") if path.is_file()}
    assert starter
    assert starter <= set(names)
    assert [] == [name for name in names if "/tests/" in name or name.endswith((".pyc", ".orig"))]
