"""What a kustomization refers to: the files that it needs, and whether any of it lies on another machine.

Kustomize takes a path for a URL by rules of its own, and fetches bases by Git and files by HTTP. Here the rule is the other way round: a
reference is a file or a folder that is there, or it is refused. Keys are compared without case, since Go's JSON reads them so. Not for what
a kustomization does.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from backends.errors import Invalid
from backends.text import clean

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MOST_KUSTOMIZATIONS = 200

_PATHS = ("resources", "bases", "components", "crds", "configurations", "patchesstrategicmerge", "generators", "transformers", "validators")
_PLUGINS = ("generators", "transformers", "validators")
_HELM = ("helmcharts", "helmchartinflationgenerator")
_REMOTE = re.compile(r"://|git@|git::|^gh:|github\.com|\?ref=|\.git(?:[/?]|\Z)|//|_git/")
"""What Kustomize may take for a repository; a folder of such a name is not entered."""
_SCHEME = re.compile(rb"://|git@")


class Remote(Invalid):
    """A kustomization that needs what is not in the repository: rendered by Argo CD, not here."""


def closure(read: Callable[[str], bytes | None], paths: Collection[str], folder: str) -> tuple[str, ...]:
    """The paths of all files that building the kustomization in `folder` may read, itself and its bases' included.

    Args:
        read: the bytes of a file, None where there is none.
        paths: all files that there are.

    Raises `Remote`, and `Invalid` for a kustomization that cannot be read or names what is not there.
    """
    by_folder = _Folders(paths)
    needed: set[str] = set()
    done: set[str] = set()
    waiting = [_joined("", folder) if folder.strip("/.") else ""]
    while waiting:
        here = waiting.pop()
        if here in done:
            continue
        done.add(here)
        if len(done) > MOST_KUSTOMIZATIONS:
            raise Invalid(f"more than {MOST_KUSTOMIZATIONS} kustomizations refer to each other", operation="render", target=clean(folder))
        name = next((path for one in NAMES if (path := _joined(here, one)) in paths), None)
        if name is None:
            raise Invalid(f"there is no kustomization in {clean(here) or 'the root'}", operation="render", target=clean(folder))
        needed.add(name)
        shown = clean(name, limit=300)
        for key, reference in _references(read(name) or b"", shown):
            path = _joined(here, reference)
            if path in paths and "://" not in reference:
                needed.add(path)
                if key in _PLUGINS and _SCHEME.search(read(path) or b""):
                    raise Remote(f"{clean(path, limit=300)} refers to another machine, which is not fetched")
            elif _REMOTE.search(reference):
                raise Remote(f"{shown} refers to {clean(reference, limit=200)}, which is not fetched")
            elif path in by_folder:
                waiting.append(path)
            else:
                raise Invalid(
                    f"{shown} refers to {clean(reference, limit=200)}, which is not there", operation="render", target=clean(folder)
                )
    return tuple(sorted(needed))


class _Folders:
    """Which folders there are, found out when first asked."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths, self._known = paths, set[str]()

    def __contains__(self, folder: str) -> bool:
        if not self._known:
            for path in self._paths:
                while path := path.rpartition("/")[0]:
                    if path in self._known:
                        break
                    self._known.add(path)
            self._known.add("")
        return folder in self._known


def _references(data: bytes, name: str) -> Iterator[tuple[str, str]]:
    """Key and path of everything that a kustomization reads."""
    import yaml

    try:
        kustomization = yaml.load(data.decode("utf-8-sig"), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"{name}: not YAML: {clean(str(error), limit=200)}", operation="render") from None
    if not isinstance(kustomization, dict):
        raise Invalid(f"{name}: not a kustomization", operation="render")
    for raw, value in kustomization.items():
        if not isinstance(raw, str):
            raise Invalid(f"{name}: not a kustomization", operation="render")
        key = raw.lower()
        if key in _HELM:
            raise Remote(f"{name} inflates a Helm chart, which Kustomize is not allowed to do here")
        if key in _PATHS:
            yield from ((key, one) for one in _texts(value, name) if "\n" not in one)
        elif key in ("patches", "patchesjson6902", "replacements"):
            yield from ((key, one) for item in _items(value) for one in _texts(_field(item, "path"), name))
        elif key == "openapi":
            yield from ((key, one) for one in _texts(_field(value, "path"), name))
        elif key in ("configmapgenerator", "secretgenerator"):
            for item in _items(value):
                for field in ("files", "envs", "env"):
                    yield from ((key, one.partition("=")[2] or one) for one in _texts(_field(item, field), name))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: Any, name: str) -> Iterator[str]:
    for one in _items(value):
        if isinstance(one, str):
            yield one
        elif one is not None:  # `!!binary` is bytes here, and a path to Go
            raise Invalid(f"{name}: refers to what is no path", operation="render")


def _field(item: Any, name: str) -> list[Any]:
    """All that a field holds, however it is spelt: `path` and `Path` are one to Go."""
    if not isinstance(item, dict):
        return []
    return [one for key, value in item.items() if str(key).lower() == name for one in _items(value)]


def _joined(folder: str, reference: str) -> str:
    """A reference as a repository path, "" for the root; one that leads out of the repository is no path at all."""
    path = posixpath.normpath(posixpath.join("/", folder, reference)) if not reference.startswith("/") else ""
    out = posixpath.normpath(posixpath.join(folder, reference))
    return "\0" if not path or out.startswith("..") else path.strip("/")
