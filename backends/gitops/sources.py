"""What one application.yaml makes Argo CD read: its sources, the files of this repository among them, and the paths it watches.

Read from the file that Argo CD itself obeys, not from deployment.yaml: what people changed by hand counts. Writing it is `applications`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from backends.errors import Invalid
from backends.gitops.document import Document, Owner, Problem, problems_of, read, refused
from backends.gitops.schema import decode
from backends.gitops.tree import Tree
from backends.render.references import NAMES, closure

GENERATE_PATHS = "argocd.argoproj.io/manifest-generate-paths"
SKIP_RENDERING = b"+argocd:skip-file-rendering"
"""A file with this text is skipped by Argo CD's directory sources: the Application would silently be gone."""


class _Metadata(msgspec.Struct, frozen=True):
    name: str
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Destination(msgspec.Struct, frozen=True):
    name: str = ""
    server: str = ""
    namespace: str = ""


class _Helm(msgspec.Struct, frozen=True, rename="camel"):
    value_files: tuple[str, ...] = ()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One source of an Application, as Argo CD's own fields."""

    repo_url: str = msgspec.field(default="", name="repoURL")
    target_revision: str = msgspec.field(default="", name="targetRevision")
    path: str = ""
    chart: str = ""
    ref: str = ""
    helm: _Helm | None = None
    kustomize: dict[str, Any] | None = None
    directory: dict[str, Any] | None = None


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    project: str
    destination: _Destination
    source: Source | None = None
    sources: tuple[Source, ...] = ()
    sync_policy: dict[str, Any] | None = None


class _Manifest(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    metadata: _Metadata
    spec: _Spec


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """An application.yaml, typed as far as Tiphys looks into it; `spec` is all of it, as it stands."""

    name: str
    namespace: str
    project: str
    cluster: str
    target_namespace: str
    sources: tuple[Source, ...]
    generate_paths: tuple[str, ...]
    spec: dict[str, Any]

    @property
    def ref_index(self) -> int | None:
        """Index of the source that only gives values, among several; None with one source."""
        return next((index for index, source in enumerate(self.sources) if source.ref), None) if len(self.sources) > 1 else None

    @property
    def automated(self) -> bool:
        """Whether commits are synced without being asked for."""
        policy = (self.spec.get("syncPolicy") or {}).get("automated")
        return isinstance(policy, dict) and policy.get("enabled") is not False

    @property
    def value_files(self) -> tuple[str, ...]:
        """Value files of this repository as repository paths, lowest precedence first."""
        refs = {source.ref for source in self.sources if source.ref}
        return tuple(
            path
            for source in self.sources
            for name in (source.helm.value_files if source.helm else ())
            if (path := _repository_path(name, source.path, refs)) is not None
        )


def application(path: str, data: bytes) -> Application:
    """An application.yaml. Raises `Invalid` with the line of what does not fit."""
    document = read(path, data, owner=Owner.MACHINE)
    return of_document(document)


def of_document(document: Document) -> Application:
    """The same, from a document that was read already."""
    manifest, _ = decode(document, _Manifest, open_ended=True)
    if manifest.kind != "Application" or not manifest.api_version.startswith("argoproj.io/"):
        raise refused(document.problem("not an Application of Argo CD", ("kind",)))
    spec = manifest.spec
    if (spec.source is None) == (not spec.sources):
        raise refused(document.problem("an Application has either `source` or `sources`", ("spec",)))
    watched = (manifest.metadata.annotations or {}).get(GENERATE_PATHS, "")
    return Application(
        name=manifest.metadata.name,
        namespace=manifest.metadata.namespace,
        project=spec.project,
        cluster=spec.destination.name or spec.destination.server,
        target_namespace=spec.destination.namespace,
        sources=spec.sources if spec.source is None else (spec.source,),
        generate_paths=tuple(part for part in watched.split(";") if part),
        spec=document.data["spec"],
    )


class Reads(msgspec.Struct, frozen=True):
    """What an Application reads of this repository: whole folders and single files, as repository paths."""

    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def __contains__(self, path: str) -> bool:
        return path in self.files or any(path.startswith(f"{folder}/") for folder in self.folders)

    def among(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Those of the paths that it reads, in their order."""
        return tuple(path for path in paths if path in self)


def reads(app: Application, tree: Tree, repo_url: str) -> Reads:
    """The files of this repository (`repo_url`, as Argo CD knows it) that an Application's sources read."""
    folders: list[str] = []
    files: list[str] = list(app.value_files)
    for source in app.sources:
        if source.repo_url != repo_url or source.chart or not source.path:
            continue
        path = source.path.strip("/")
        if source.helm is None and source.directory is None and is_kustomization(tree, path):
            files += overlay_files(tree, path)
        else:
            folders.append(path)
    return Reads(tuple(dict.fromkeys(folders)), tuple(dict.fromkeys(files)))


def is_kustomization(tree: Tree, folder: str) -> bool:
    return any(f"{folder}/{name}" in tree for name in NAMES)


def overlay_files(tree: Tree, folder: str) -> tuple[str, ...]:
    """The files that building a kustomization reads; of one that cannot be followed (a base elsewhere) its own file."""
    try:
        return closure(tree.read, set(tree.paths()), folder)
    except Invalid:
        return tuple(f"{folder}/{name}" for name in NAMES if f"{folder}/{name}" in tree)


def watches(app: Application, path: str) -> bool:
    """Whether manifest-generate-paths covers a repository path, as Argo CD matches it (`AppFilesHaveChanged`); without any, all are."""
    return not app.generate_paths or any(_covers(entry, f"/{path}") for entry in _watched(app))


def unwatched(app: Application, what: Reads) -> tuple[str, ...]:
    """What it reads and manifest-generate-paths does not name: a change there would show Synced with the old manifests."""
    if not app.generate_paths:
        return ()
    entries = _watched(app)
    return tuple(p for p in (*what.folders, *what.files) if f"/{p}" not in entries and not any(_covers(e, f"/{p}") for e in entries))


def _watched(app: Application) -> frozenset[str]:
    """The watched paths from the repository's root; Argo CD takes a relative one from its source's path."""
    base = next((source.path for source in app.sources if source.path), "")
    return frozenset(e if e.startswith("/") else f"/{posixpath.normpath(posixpath.join(base, e))}" for e in app.generate_paths)


def check(path: str, data: bytes) -> tuple[Application | None, tuple[Problem, ...]]:
    """An application.yaml and what is wrong with it, for lists that go on past a broken file."""
    try:
        found = application(path, data)
    except Invalid as error:
        return None, problems_of(error, path)
    if SKIP_RENDERING in data:
        line = data[: data.index(SKIP_RENDERING)].count(b"\n") + 1
        return found, (
            Problem(path, line, 1, "`+argocd:skip-file-rendering`: Argo CD skips the file, and the deployment would be removed"),
        )
    return found, ()


def _covers(entry: str, path: str) -> bool:
    entry = entry.rstrip("/") or "/"
    if path == entry or path.startswith(f"{entry}/" if entry != "/" else "/"):
        return True
    if "*" not in entry and "?" not in entry:
        return False
    return bool(re.fullmatch("".join("[^/]*" if c == "*" else "[^/]" if c == "?" else re.escape(c) for c in entry), path))


def _repository_path(name: str, base: str, refs: set[str]) -> str | None:
    """A value file as a repository path; None for a URL or a path that leaves the repository."""
    if name.startswith("$"):
        ref, _, rest = name[1:].partition("/")
        return _inside(rest) if ref in refs else None
    if "://" in name:
        return None
    return _inside(name.lstrip("/") if name.startswith("/") else posixpath.join(base, name))


def _inside(path: str) -> str | None:
    normal = posixpath.normpath(path)
    return None if normal.startswith("..") or normal == "." else normal
