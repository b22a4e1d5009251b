"""Files of one source of an Application, as the repository server would have them on disk, and what they render to.

Charts of Helm repositories come from a folder of the sandbox (`<charts>/<host and path>/<chart>/<version>/`): there is no network here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

from backends.errors import BackendError
from backends.render.types import Rendered, RenderRequest, SourceKind
from backends.sandbox import documents
from backends.sandbox.git import Repository
from backends.sandbox.globs import matches
from backends.sandbox.objects import Manifest, dig

Renderer = Callable[[RenderRequest], Rendered]
_EXTRA_VALUES = ".sandbox/values.yaml"
_CACHED = "<path to cached source>"
_PLAIN = (".yaml", ".yml", ".json")


class GenerationError(Exception):
    """Why manifests could not be generated, in Argo CD's words."""


class Checkout(NamedTuple):
    """One repository at one commit."""

    repository: Repository
    revision: str

    def bytes_of(self, path: str) -> bytes | None:
        entry = self.repository.find(self.revision, path)
        return None if entry is None or entry.is_folder else self.repository.read(entry.oid)

    def below(self, path: str) -> Mapping[str, str] | None:
        """The files below a folder: path → object id; None where there is no such folder."""
        entry = self.repository.find(self.revision, path)
        if entry is None or not entry.is_folder:
            return None
        base = path.strip("/.")
        return {(f"{base}/{name}" if base else name): one.oid for name, one in self.repository.walk(entry.oid)}


class ChartFolder:
    """The Helm repositories that the sandbox knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self, url: str, chart: str) -> list[str]:
        inside = self.folder / url.partition("://")[2].strip("/") / chart
        return sorted((path.name for path in inside.iterdir()), key=_version) if inside.is_dir() else []

    def files(self, url: str, chart: str, wanted: str) -> tuple[str, dict[str, bytes]]:
        """The version that a target revision means, and the chart's files. Raises `GenerationError`."""
        known = self.versions(url, chart)
        fitting = [
            one for one in known if one == wanted or wanted in ("", "*") or (wanted.endswith(("x", "*")) and one.startswith(wanted[:-1]))
        ]
        if not known:
            host = url.partition("://")[2].partition("/")[0]
            raise GenerationError(
                f'error fetching chart: failed to get index: Get "{url}/index.yaml": dial tcp: lookup {host}: no such host'
            )
        if not fitting:
            raise GenerationError(
                f"error fetching chart: failed to get chart version {wanted}: no chart version found for {chart}-{wanted}"
            )
        base = self.folder / url.partition("://")[2].strip("/") / chart / fitting[-1]
        return fitting[-1], {str(p.relative_to(base)): p.read_bytes() for p in sorted(base.rglob("*")) if p.is_file()}


def kind_of(checkout: Checkout, source: Manifest) -> SourceKind:
    """What Argo CD takes a folder for, unless the source says it."""
    path = str(source.get("path") or ".")
    if source.get("helm") or checkout.bytes_of(f"{path}/Chart.yaml") is not None:
        return SourceKind.HELM
    names = ("kustomization.yaml", "kustomization.yml", "Kustomization")
    if source.get("kustomize") or any(checkout.bytes_of(f"{path}/{name}") is not None for name in names):
        return SourceKind.KUSTOMIZE
    return SourceKind.DIRECTORY


def plain_objects(checkout: Checkout, source: Manifest) -> list[Manifest]:
    """The objects of a plain folder. Raises `GenerationError`."""
    path = str(source.get("path") or ".").strip("/")
    files = checkout.below(path)
    if files is None:
        raise GenerationError(f"{path}: app path does not exist")
    base = path.strip("/.")
    options = source.get("directory") or {}
    out: list[Manifest] = []
    for name, oid in files.items():
        inside = name[len(base) + 1 :] if base else name
        if not name.endswith(_PLAIN) or ("/" in inside and not options.get("recurse")):
            continue
        if options.get("include") and not matches(str(options["include"]), inside):
            continue
        if options.get("exclude") and matches(str(options["exclude"]), inside):
            continue
        data = checkout.repository.read(oid)
        if b"+argocd:skip-file-rendering" in data:
            continue
        try:
            out.extend(documents.objects(data))
        except yaml.YAMLError as error:
            last = str(error).splitlines()[-1].strip()
            raise GenerationError(
                f'Failed to unmarshal "{inside}": failed to unmarshal manifest: error converting YAML to JSON: yaml: {last}'
            ) from error
    return out


def helm_request(
    application: Manifest, source: Manifest, chart: Mapping[str, bytes], path: str, values: list[tuple[str, bytes]]
) -> RenderRequest:
    """What the renderer is asked for one Helm source.

    Args:
        source: the source as the Application has it.
        chart: the chart's files by repository path, below `path`.
        values: value files by path, lowest precedence first.
    """
    helm = source.get("helm") or {}
    files = dict(chart) | dict(values)
    names = [name for name, _ in values]
    inline = _inline_values(helm)
    if inline:
        files[_EXTRA_VALUES] = inline
        names.append(_EXTRA_VALUES)
    return RenderRequest(
        kind=SourceKind.HELM,
        files=files,
        path=path,
        value_files=tuple(names),
        release_name=str(helm.get("releaseName") or dig(application, "metadata", "name")),
        namespace=str(helm.get("namespace") or dig(application, "spec", "destination", "namespace", default="")),
    )


def value_paths(source: Manifest) -> list[str]:
    return [str(one) for one in dig(source, "helm", "valueFiles", default=[])]


def rendered_objects(render: Renderer, request: RenderRequest) -> list[Manifest]:
    """Render for real. Raises `GenerationError` with the words that the repository server would use."""
    try:
        rendered = render(request)
    except BackendError as error:
        raise GenerationError(_helm_failure(request, error.message)) from error
    if rendered.missing:
        raise GenerationError(_helm_failure(request, rendered.missing))
    out: list[Manifest] = []
    for manifest in rendered.manifests:
        out.extend(documents.objects(manifest.text))
    return out


def missing_file(request: RenderRequest, path: str) -> GenerationError:
    """A value file that does not exist: what helm says of it."""
    return GenerationError(_helm_failure(request, f"Error: open {_CACHED}/{path}: no such file or directory"))


def _helm_failure(request: RenderRequest, reason: str) -> str:
    if request.kind is not SourceKind.HELM:
        return f"`kustomize build {_CACHED}/{request.path}` failed exit status 1: Error: {reason}"
    values = " ".join(f"--values {_CACHED}/{name}" for name in request.value_files)
    reason = reason if reason.startswith("Error:") else f"Error: {reason}"
    return (
        f"failed to execute helm template command: failed running helm: `helm template . --name-template {request.release_name} "
        f"--namespace {request.namespace} --kube-version 1.36 {values} <api versions removed> --include-crds` "
        f"failed exit status 1: {reason}"
    )


def _inline_values(helm: Manifest) -> bytes:
    """`values`, `valuesObject` and `parameters` of a source as one more value file."""
    loaded = helm.get("valuesObject") or (documents.load(str(helm["values"])) if helm.get("values") else None)
    merged: Manifest = loaded if isinstance(loaded, dict) else {}
    for parameter in helm.get("parameters") or []:
        steps = str(parameter.get("name", "")).split(".")
        text = str(parameter.get("value", ""))
        value = text if parameter.get("forceString") else documents.load(text) if text else ""
        merged = _put(merged, steps, value)
    return msgspec.json.encode(merged) if merged else b""


def _put(value: Manifest, steps: list[str], new: object) -> Manifest:
    inner = value.get(steps[0])
    rest = _put(inner if isinstance(inner, dict) else {}, steps[1:], new) if len(steps) > 1 else new
    return value | {steps[0]: rest}


def _version(text: str) -> tuple[tuple[int, ...], str]:
    core = text.lstrip("v").partition("-")[0]
    return tuple(int(part) if part.isdigit() else 0 for part in core.split(".")), text
