"""The repository server of the sandbox: revisions, rendered manifests, and the caches that make stale ones possible.

As Argo CD's (reposerver, `EvaluateAppRevisionsChanges`): when `manifest-generate-paths` names none of the files that changed between the
compared and the new revision, the manifests of before are kept under the new revision, right or wrong, until a hard refresh.
Blocking; called from threads.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

import msgspec

from backends.errors import BackendError, NotFound
from backends.render.types import RenderRequest, SourceKind
from backends.sandbox import sources as files
from backends.sandbox.clock import Clock
from backends.sandbox.git import CommitInfo, Repository, local_path
from backends.sandbox.globs import shell_matches
from backends.sandbox.objects import GENERATE_PATHS, Manifest, annotation, dig
from backends.sandbox.sources import ChartFolder, Checkout, GenerationError, Renderer

REVISION_LIFETIME = 180.0
"""Seconds for which a branch's commit is remembered unless somebody asks by force."""
_KEPT = 2_000


class Generated(NamedTuple):
    """What the sources of an Application render to."""

    manifests: tuple[Manifest, ...]
    revisions: tuple[str, ...]
    kinds: tuple[str, ...]
    may_have_changes: bool
    """Whether the revisions hold changes for this Application, as far as `manifest-generate-paths` tells."""


class _Asked(NamedTuple):
    """One request for manifests."""

    application: Manifest
    sources: list[Manifest]
    refs: dict[str, int]
    no_cache: bool
    force: bool


class RepositoryServer:
    """Generates manifests.

    Args:
        clock: the sandbox's clock.
        render: renders Helm and Kustomize sources for real.
        charts: the folder of Helm repositories.
    """

    def __init__(self, clock: Clock, render: Renderer, charts: Path) -> None:
        self._clock = clock
        self._render = render
        self._charts = ChartFolder(charts)
        self._lock = threading.Lock()
        self._rendering = threading.Lock()
        self._open: dict[str, Repository] = {}
        self._revisions: dict[tuple[str, str], tuple[str, float]] = {}
        self._rendered: dict[str, tuple[Manifest, ...]] = {}
        self.manifests: dict[str, tuple[Manifest, ...]] = {}
        """Cache by Application, source and revisions: what a restart must not forget, since stale entries show."""

    def repository(self, url: str) -> Repository:
        """Raises `GenerationError` for what is no repository on this machine."""
        with self._lock:
            if url not in self._open:
                folder = local_path(url)
                try:
                    if folder is None:
                        raise NotFound("not on this machine")
                    self._open[url] = Repository(folder)
                except NotFound as error:
                    raise GenerationError("failed to list refs: repository not found: ") from error
            return self._open[url]

    def resolve(self, url: str, revision: str, *, force: bool) -> str:
        """The commit that a revision means. Raises `GenerationError`."""
        name = revision or "HEAD"
        known = self._revisions.get((url, name))
        if known is not None and not force and self._clock.mark() - known[1] < REVISION_LIFETIME:
            return known[0]
        sha = self.repository(url).resolve(name)
        if sha is None:
            raise GenerationError(f"unable to resolve '{name}' to a commit SHA: revision not found")
        self._revisions[url, name] = (sha, self._clock.mark())
        return sha

    def commit(self, url: str, revision: str) -> CommitInfo:
        """Raises `GenerationError`, `NotFound`."""
        return self.repository(url).commit(revision)

    def chart_versions(self, url: str, chart: str) -> list[str]:
        return self._charts.versions(url, chart)

    def generate(self, application: Manifest, sources: list[Manifest], revisions: list[str], *, no_cache: bool, force: bool) -> Generated:
        """Render an Application's sources at revisions ("" means what the source says). Raises `GenerationError`."""
        wanted = [revision or str(source.get("targetRevision") or "") for source, revision in zip(sources, revisions, strict=True)]
        refs = {f"${source['ref']}": index for index, source in enumerate(sources) if source.get("ref")}
        asked = _Asked(application, sources, refs, no_cache=no_cache, force=force)
        resolved, kinds, changed = list(wanted), [], False
        manifests: list[Manifest] = []
        for index, source in enumerate(sources):
            try:
                resolved[index], has_changes = self._evaluate(asked, wanted, index)
                changed = changed or has_changes
                if source.get("ref") and not source.get("path") and not source.get("chart"):
                    resolved[index] = self.resolve(str(source.get("repoURL", "")), resolved[index], force=force)
                    kinds.append("Directory")
                    continue
                resolved[index], kind, objects = self._source(asked, resolved, index)
            except (GenerationError, BackendError) as error:
                text = error.message if isinstance(error, BackendError) else str(error)
                raise GenerationError(
                    f"failed to generate manifest for source {index + 1} of {len(sources)}: rpc error: code = Unknown desc = {text}"
                ) from error
            manifests += objects
            kinds.append(kind)
        return Generated(tuple(manifests), tuple(resolved), tuple(kinds), changed)

    def close(self) -> None:
        with self._lock:
            for repository in self._open.values():
                repository.close()

    def _evaluate(self, asked: _Asked, wanted: list[str], index: int) -> tuple[str, bool]:
        """The commit of one source, and whether it may hold changes; carries cached manifests over where it holds none."""
        application, sources, refs, _, force = asked
        source, revision = sources[index], wanted[index]
        before = (
            dig(application, "status", "sync", "revisions", default=[]) if len(sources) > 1 or application["spec"].get("sources") else None
        )
        synced = str(dig(application, "status", "sync", "revision", default="")) if before is None else _at(before, index)
        if source.get("ref") and not source.get("path") and not source.get("chart"):
            return revision, False
        if synced and synced == revision and not refs:
            return revision, False
        paths = _refresh_paths(application, source)
        if not synced or not annotation(application, GENERATE_PATHS):
            return revision, True
        if not paths:
            return revision, True
        url, differ = str(source.get("repoURL", "")), False
        new, old = revision, synced
        if not source.get("chart"):
            new, old = self.resolve(url, revision, force=force), self.resolve(url, synced, force=force)
            if new != old and _touches(paths, self.repository(url).changed(old, new)):
                return new, True
            differ = new != old
        elif not refs:
            return revision, False
        old_refs = {}
        for name in {one.partition("/")[0] for one in files.value_paths(source) if one.startswith("$")}:
            if name not in refs:
                continue
            ref_url = str(sources[refs[name]].get("repoURL", ""))
            now = self.resolve(ref_url, wanted[refs[name]], force=force)
            then = self.resolve(ref_url, _at(before or [], refs[name]) or wanted[refs[name]], force=force)
            if now != then and _touches(paths, self.repository(ref_url).changed(then, now)):
                return new, True
            differ = differ or now != then
            old_refs[ref_url] = (then, now)
        if differ:
            kept = self.manifests.get(_cache_key(application, source, old, [then for then, _ in old_refs.values()]))
            if kept is not None:
                self.manifests[_cache_key(application, source, new, [now for _, now in old_refs.values()])] = kept
        return new, False

    def _source(self, asked: _Asked, revisions: list[str], index: int) -> tuple[str, str, tuple[Manifest, ...]]:
        """One source's commit (or chart version), kind and objects."""
        application, sources, refs, no_cache, force = asked
        source = sources[index]
        url, chart = str(source.get("repoURL", "")), str(source.get("chart") or "")
        held = {
            name: Checkout(*self._checkout(str(sources[at].get("repoURL", "")), revisions[at], force=force)) for name, at in refs.items()
        }
        used = {name: held[name] for name in {one.partition("/")[0] for one in files.value_paths(source)} if name in held}
        if chart:
            revision, chart_files = self._charts.files(url, chart, revisions[index])
            checkout, kind = None, SourceKind.HELM
        else:
            checkout = Checkout(*self._checkout(url, revisions[index], force=force))
            revision, chart_files, kind = checkout.revision, {}, files.kind_of(checkout, source)
        key = _cache_key(application, source, revision, [one.revision for one in used.values()])
        if not no_cache and key in self.manifests:
            return revision, kind.value.capitalize(), self.manifests[key]
        if checkout is None:
            objects = self._helm(application, source, "chart", {f"chart/{name}": data for name, data in chart_files.items()}, None, held)
        elif kind is SourceKind.DIRECTORY:
            objects = tuple(files.plain_objects(checkout, source))
        else:
            objects = self._folder(application, source, checkout, kind, held)
        self.manifests[key] = objects
        self._forget_some()
        return revision, kind.value.capitalize(), objects

    def _forget_some(self) -> None:
        """A cache, not a history."""
        for cache in (self.manifests, self._rendered):
            while len(cache) > _KEPT:
                cache.pop(next(iter(cache)), None)

    def _checkout(self, url: str, revision: str, *, force: bool) -> tuple[Repository, str]:
        return self.repository(url), self.resolve(url, revision, force=force)

    def _folder(
        self, application: Manifest, source: Manifest, checkout: Checkout, kind: SourceKind, held: dict[str, Checkout]
    ) -> tuple[Manifest, ...]:
        path = str(source.get("path") or ".").strip("/")
        listed = checkout.below(path)
        if listed is None:
            raise GenerationError(f"{path}: app path does not exist")
        if kind is SourceKind.KUSTOMIZE:
            listed = checkout.below("") or {}
        content = {name: checkout.repository.read(oid) for name, oid in listed.items()}
        if kind is SourceKind.KUSTOMIZE:
            request = RenderRequest(
                kind=kind, files=content, path=path, namespace=str(dig(application, "spec", "destination", "namespace", default=""))
            )
            return self._remembered(request)
        return self._helm(application, source, path, content, checkout, held)

    def _helm(
        self,
        application: Manifest,
        source: Manifest,
        path: str,
        chart: dict[str, bytes],
        checkout: Checkout | None,
        held: dict[str, Checkout],
    ) -> tuple[Manifest, ...]:
        values, absent = [], ""
        for value_file in files.value_paths(source):
            place, inside = _locate(value_file, path, checkout, held)
            data = place.bytes_of(inside) if place is not None else chart.get(f"{path}/{inside}")
            if data is not None:
                values.append((inside, data))
            elif not dig(source, "helm", "ignoreMissingValueFiles"):
                absent = absent or inside
                values.append((inside, b""))
        request = files.helm_request(application, source, chart, path, values)
        if absent:
            raise files.missing_file(request, absent)
        return self._remembered(request)

    def _remembered(self, request: RenderRequest) -> tuple[Manifest, ...]:
        """Rendering is pure: the same files give the same objects."""
        key = msgspec.json.encode([request.kind, request.path, request.value_files, request.release_name, request.namespace]).decode()
        key += "".join(f"\0{name}\0{hash(data)}" for name, data in sorted(request.files.items()))
        with self._rendering:  # one at a time: there is one warm process behind it, and two would render the same
            if key not in self._rendered:
                self._rendered[key] = tuple(files.rendered_objects(self._render, request))
            return self._rendered[key]


def _locate(value_file: str, path: str, checkout: Checkout | None, held: dict[str, Checkout]) -> tuple[Checkout | None, str]:
    """Where a value file is: below a `$ref`, from the repository's root, or beside the chart."""
    if value_file.startswith("$"):
        name, _, inside = value_file.partition("/")
        if name not in held:
            raise GenerationError(f"source referenced \"{name}\", but no source has a 'ref' field defined")
        return held[name], inside
    if value_file.startswith("/"):
        return checkout, value_file[1:]
    return checkout, value_file if checkout is None else f"{path}/{value_file}"


def _refresh_paths(application: Manifest, source: Manifest) -> list[str]:
    out = []
    for item in annotation(application, GENERATE_PATHS).split(";"):
        text = item.strip()
        if text.startswith("/"):
            out.append(text.rstrip("/"))
        elif text:
            base = str(source.get("path") or "").strip("/.")
            out.append("/" + (base if text == "." else f"{base}/{text}".strip("/")))
    return out


def _touches(paths: list[str], changed: list[str]) -> bool:
    """Whether one of the changed files is a refresh path, below one, or fits one as a pattern."""
    return not changed or any(
        f"/{name}" == path or f"/{name}".startswith(f"{path}/") or shell_matches(path, f"/{name}") for name in changed for path in paths
    )


def _cache_key(application: Manifest, source: Manifest, revision: str, refs: list[str]) -> str:
    name, namespace = dig(application, "metadata", "name"), dig(application, "spec", "destination", "namespace")
    return msgspec.json.encode([name, namespace, source, revision, refs], order="sorted").decode()


def _at(revisions: list[str], index: int) -> str:
    return str(revisions[index]) if index < len(revisions) else ""
