"""What application.yaml cannot guess: the `argocd:` block of app.yaml, environment.yaml and deployment.yaml, merged in that order."""

from __future__ import annotations

from typing import Any

import msgspec


class ApplicationOptions(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One `argocd:` block. The open shapes (`ignoreDifferences`, `kustomize` …) are an Application's own and are written as they stand."""

    sync_options: tuple[str, ...] = ()
    ignore_differences: tuple[dict[str, Any], ...] = ()
    retry: dict[str, Any] | None = None
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}
    managed_namespace_metadata: dict[str, dict[str, str]] | None = None
    revision_history_limit: int | None = None
    kustomize: dict[str, Any] | None = None
    directory: dict[str, Any] | None = None
    ref: str = ""
    """Name of the source that holds the values where a chart comes from elsewhere; "" is `values`."""

    def merged(self, later: ApplicationOptions) -> ApplicationOptions:
        """This block with a later one on top: maps merge by key, sync options by name, ignored differences add up, the rest is replaced."""
        return ApplicationOptions(
            sync_options=_by_name(self.sync_options, later.sync_options),
            ignore_differences=(*self.ignore_differences, *(d for d in later.ignore_differences if d not in self.ignore_differences)),
            retry=_merged(self.retry, later.retry),
            annotations={**self.annotations, **later.annotations},
            labels={**self.labels, **later.labels},
            managed_namespace_metadata=_merged(self.managed_namespace_metadata, later.managed_namespace_metadata),
            revision_history_limit=self.revision_history_limit if later.revision_history_limit is None else later.revision_history_limit,
            kustomize=_merged(self.kustomize, later.kustomize),
            directory=_merged(self.directory, later.directory),
            ref=later.ref or self.ref,
        )

    def sync_options_over(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """The sync options with these defaults below them: `CreateNamespace=false` replaces `CreateNamespace=true` in its place."""
        return _by_name(default, self.sync_options)


def _by_name(earlier: tuple[str, ...], later: tuple[str, ...]) -> tuple[str, ...]:
    chosen = {option.partition("=")[0]: option for option in earlier}
    chosen.update({option.partition("=")[0]: option for option in later})
    return tuple(chosen.values())


def _merged(earlier: dict[str, Any] | None, later: dict[str, Any] | None) -> dict[str, Any] | None:
    if earlier is None or later is None:
        return later if earlier is None else earlier
    result = dict(earlier)
    for name, value in later.items():
        before = result.get(name)
        result[name] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result
