"""What Argo CD can do with one resource of an Application, and what a chart says of itself: values beside `types`."""

from __future__ import annotations

from backends.argocd.types import Value


class ActionParameter(Value, frozen=True):
    name: str = ""
    value: str = ""


class ResourceAction(Value, frozen=True):
    """One thing Argo CD can do with a resource ("restart", "scale")."""

    name: str = ""
    params: tuple[ActionParameter, ...] | None = None
    disabled: bool = False
    display_name: str = ""


class ChartDetails(Value, frozen=True):
    """What a Helm repository says of one chart version."""

    description: str = ""
    home: str = ""
    maintainers: tuple[str, ...] | None = None
