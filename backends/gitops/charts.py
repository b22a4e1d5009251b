"""The charts of this repository: `charts/<name>/<version>/`, and which version is the newest."""

from __future__ import annotations

import re

from backends.errors import NotFound
from backends.gitops.files import nearest
from backends.gitops.tree import Tree
from backends.text import clean

_SEMVER = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\Z")


def versions(tree: Tree, path: str) -> tuple[str, ...]:
    """The versions of a chart (`path` is its folder without version), oldest first, pre-releases before their release."""
    found = {
        p[len(path) + 1 :].partition("/")[0] for p in tree.paths(path) if p.endswith("/Chart.yaml") and p.count("/") == path.count("/") + 2
    }
    return tuple(sorted(found, key=order))


def newest(tree: Tree, path: str) -> str:
    """The newest version that is no pre-release, else the newest. Raises `NotFound`."""
    found = versions(tree, path)
    if not found:
        raise NotFound(f"there is no chart {clean(path, limit=120)} in this repository", suggestion=nearest(path, charts(tree)))
    stable = [version for version in found if (match := _SEMVER.match(version)) and not match[4]]
    return (stable or list(found))[-1]


def folder(tree: Tree, path: str, version: str) -> str:
    """The folder of one version. Raises `NotFound`, naming the versions that are there."""
    if f"{path}/{version}/Chart.yaml" in tree:
        return f"{path}/{version}"
    found = versions(tree, path)
    if not found:
        raise NotFound(f"there is no chart {clean(path, limit=120)} in this repository", suggestion=nearest(path, charts(tree)))
    shown = ", ".join(clean(v, limit=40) for v in found[-5:])
    raise NotFound(f"chart {clean(path, limit=120)} has no version {clean(version, limit=60)}", hint=f"there is {shown}")


def charts(tree: Tree) -> tuple[str, ...]:
    """The folders of all charts, without versions."""
    return tuple(
        dict.fromkeys("/".join(p.split("/")[:-2]) for p in tree.paths("charts") if p.endswith("/Chart.yaml") and p.count("/") >= 3)
    )


def order(version: str) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...], str]:
    """A key that sorts versions as semantic versioning does; what is none sorts first, by its text."""
    match = _SEMVER.match(version)
    if match is None:
        return (-1,), False, (), version
    before = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in (match[4] or "").split(".") if part)
    return tuple(int(n) for n in match.groups()[:3]), not match[4], before, version
