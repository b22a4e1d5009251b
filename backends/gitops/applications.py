"""Writes application.yaml: the Argo CD Application of one deployment, the same bytes for the same input.

Machine-owned. What it cannot guess comes from the `argocd:` blocks; manifest-generate-paths is derived from the sources, never typed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from backends.domain.deployment import Deployment
from backends.domain.options import ApplicationOptions
from backends.domain.workspace import Workspace
from backends.gitops.quoting import flow, key, quoted
from backends.gitops.sources import GENERATE_PATHS

FINALIZER = "resources-finalizer.argocd.argoproj.io"
RETRY = {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}
SYNC_OPTIONS = ("CreateNamespace=true",)
REF = "values"


class ChartHere(msgspec.Struct, frozen=True):
    """A chart of this repository: one source, so one revision everywhere."""

    path: str
    value_files: tuple[str, ...]


class ChartElsewhere(msgspec.Struct, frozen=True):
    """A published chart: it comes first among the sources, then this repository with the values."""

    repo: str
    name: str
    version: str
    value_files: tuple[str, ...]


class Overlay(msgspec.Struct, frozen=True):
    """A Kustomize overlay, or a plain folder: `reads` are the paths it builds on."""

    path: str
    reads: tuple[str, ...]


Origin = ChartHere | ChartElsewhere | Overlay


def application_yaml(
    workspace: Workspace, deployment: Deployment, origin: Origin, options: ApplicationOptions, *, automated: bool, paused: bool
) -> bytes:
    """The bytes of application.yaml.

    Args:
        options: the `argocd:` blocks of app, environment and deployment, merged.
        automated: False omits `automated`: changes wait for somebody's sync.
        paused: keeps the automation and switches it off (`enabled: false`, Argo CD ≥ 3.1).
    """
    labels = {
        "tiphys.dev/workspace": workspace.id,
        "tiphys.dev/app": deployment.app,
        "tiphys.dev/environment": deployment.environment,
        "tiphys.dev/cluster": deployment.cluster,
    }
    labels |= {name: value for name, value in options.labels.items() if name not in labels}
    annotations = {GENERATE_PATHS: ";".join(f"/{path}" for path in _watched(origin))}
    annotations |= {name: value for name, value in options.annotations.items() if name not in annotations}
    automation = {"prune": True, "selfHeal": True, **({"enabled": False} if paused else {})}
    lines = [
        "apiVersion: argoproj.io/v1alpha1",
        "kind: Application",
        "metadata:",
        f"  name: {quoted(deployment.id)}",
        f"  namespace: {quoted(workspace.argocd.namespace)}",
        f"  labels: {flow(labels)}",
        f"  annotations: {flow(annotations)}",
        f"  finalizers: {flow([FINALIZER])}",
        "spec:",
        f"  project: {quoted(workspace.project_name(deployment.environment))}",
        f"  destination: {flow({'name': deployment.cluster, 'namespace': deployment.namespace})}",
        *_sources(workspace, origin, options),
        "  syncPolicy:",
        *([f"    automated: {flow(automation)}"] if automated else []),
        f"    retry: {flow(options.retry or RETRY)}",
        f"    syncOptions: {flow(options.sync_options_over(SYNC_OPTIONS))}",
        *_optional("    ", "managedNamespaceMetadata", options.managed_namespace_metadata),
        *([] if not options.ignore_differences else ["  ignoreDifferences:", *(f"    - {flow(d)}" for d in options.ignore_differences)]),
        *_optional("  ", "revisionHistoryLimit", options.revision_history_limit),
    ]
    return ("\n".join(lines) + "\n").encode()


def _sources(workspace: Workspace, origin: Origin, options: ApplicationOptions) -> list[str]:
    here = [f"repoURL: {quoted(workspace.repo_url)}", f"targetRevision: {quoted(workspace.revision)}"]
    if isinstance(origin, ChartHere):
        helm = ["helm:", "  valueFiles:", *(f"    - {quoted(f'/{path}')}" for path in origin.value_files)]
        return ["  source:", *_indented("    ", [*here, f"path: {quoted(origin.path)}", *helm])]
    if isinstance(origin, Overlay):
        more = [*_optional("", "kustomize", options.kustomize), *_optional("", "directory", options.directory)]
        return ["  source:", *_indented("    ", [*here, f"path: {quoted(origin.path)}", *more])]
    ref = options.ref or REF
    chart = [
        f"- repoURL: {quoted(origin.repo)}",
        f"  chart: {quoted(origin.name)}",
        f"  targetRevision: {quoted(origin.version)}",
        "  helm:",
        "    valueFiles:",
        *(f"      - {quoted(f'${ref}/{path}')}" for path in origin.value_files),
        f"- {here[0]}",
        f"  {here[1]}",
        f"  ref: {quoted(ref)}",
    ]
    return ["  sources:", *_indented("    ", chart)]


def _watched(origin: Origin) -> tuple[str, ...]:
    if isinstance(origin, ChartHere):
        return (origin.path, *origin.value_files)
    return origin.value_files if isinstance(origin, ChartElsewhere) else origin.reads


def _optional(indent: str, name: str, value: Any) -> list[str]:
    return [] if value is None else [f"{indent}{key(name)}: {flow(value)}"]


def _indented(indent: str, lines: list[str]) -> list[str]:
    return [f"{indent}{line}" for line in lines]
