"""A deployment: one app in one environment on one cluster. Its id is its Argo CD Application's name and its Helm release's."""

from __future__ import annotations

from typing import Any

import msgspec

from backends.domain.environment import Pause
from backends.domain.ids import DeploymentId
from backends.domain.options import ApplicationOptions
from backends.domain.record import Record


class Deployment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What deployment.yaml says, with what release.yaml beside it records."""

    id: DeploymentId
    app: str
    environment: str
    cluster: str
    namespace: str
    adopted: bool = False
    """An Application that was there before: it keeps its name, release name and finalizers."""
    secrets: tuple[dict[str, Any], ...] = ()
    """References and key names, never values."""
    paused: Pause | None = None
    argocd: ApplicationOptions = ApplicationOptions()
    record: Record = Record()
