"""A workspace: one Git repository and one Argo CD, as `tiphys.yaml` and `bootstrap/root.yaml` name them."""

from __future__ import annotations

import msgspec

SCHEMA_VERSION = 1


class ArgoHint(msgspec.Struct, frozen=True, kw_only=True):
    """Which Argo CD a workspace means. The URL is a hint from a repository: shown, never contacted before the user has confirmed it."""

    namespace: str = "argocd"
    url: str = ""


class Workspace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Identity is `id` (a ULID), not the URL of the repository; `slug` names the workspace in Argo CD."""

    schema_version: int
    id: str
    slug: str
    argocd: ArgoHint = ArgoHint()
    subject: str = ""
    """Another form for commit subjects: a text with `{op}`, `{scope}`, `{detail}` or `{subject}` in it."""
    repo_url: str = ""
    """Where Argo CD reads the repository; it may differ from where we push. From bootstrap/root.yaml."""
    revision: str = ""
    """What Argo CD tracks: the branch. From bootstrap/root.yaml."""

    @property
    def root_name(self) -> str:
        """The Application that keeps control/ in step, and its AppProject."""
        return f"tiphys-{self.slug}"

    def manager_name(self, environment: str) -> str:
        """The Application that keeps an environment's children in step, and its AppProject."""
        return f"tiphys-{self.slug}--{environment}"

    def project_name(self, environment: str) -> str:
        """The AppProject of an environment's deployments."""
        return f"{self.slug}--{environment}"
