"""Which files the annotation `manifest-generate-paths` lets Argo CD notice.

Argo CD renders an Application anew only when a changed file lies under one of these paths (util/app/path/path.go, `AppFilesHaveChanged`);
a changed file that none of them covers leaves yesterday's manifests in place, Synced at the new revision.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from backends.domain import specs

ANNOTATION = "argocd.argoproj.io/manifest-generate-paths"


def uncovered(annotations: Mapping[str, str] | None, spec: Mapping[str, Any], files: Iterable[str]) -> tuple[str, ...]:
    """The files (repository paths without a leading slash) whose change Argo CD would not notice.

    Without the annotation everything is noticed. Paths in it are relative to each source's path, or absolute with a leading slash.
    """
    text = (annotations or {}).get(ANNOTATION, "")
    items = [item for item in text.split(";") if item]
    if not items:
        return ()
    roots = [str(source.get("path") or "") for source in specs.sources(spec)] or [""]
    paths = {item.lstrip("/") if item.startswith("/") else _joined(root, item) for item in items for root in roots}
    return tuple(file for file in files if not any(_covers(path, file) for path in paths))


def _joined(root: str, item: str) -> str:
    joined = posixpath.normpath(posixpath.join(root, item))
    return "" if joined == "." else joined


def _covers(path: str, file: str) -> bool:
    path = path.rstrip("/")
    return path in ("", file) or file.startswith(f"{path}/") or _glob(path, file)


def _glob(pattern: str, file: str) -> bool:
    """Go's `filepath.Match`: `*` and `?` stay within one folder. Folder by folder, so that no pattern costs more than its length."""
    if not any(c in pattern for c in "*?["):
        return False
    folders, parts = pattern.replace("[^", "[!").split("/"), file.split("/")
    return len(folders) == len(parts) and all(fnmatch.fnmatchcase(part, one) for part, one in zip(parts, folders, strict=True))
