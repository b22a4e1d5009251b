"""One line of the event tail: something that happened to a deployment or to one of its objects.

Three sources are joined by `live.tail`: changes of Applications as Argo CD's stream showed them, Kubernetes events, commits of the
workspace repository. Texts are display copies (`backends.text.clean`). Not for the events of an API answer: those are `argocd.types.Event`.
"""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from backends.domain.ids import AppKey, DeploymentId


class EventSource(enum.StrEnum):
    """Who said it; the values are what JSON output says (contract/cli.md)."""

    ARGO = "argo"
    KUBERNETES = "kubernetes"
    GIT = "git"


NORMAL, WARNING = "Normal", "Warning"
"""The two usual values of `LiveEvent.type`, as Kubernetes has them; others are passed through."""


class LiveEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, when, and to what."""

    at: datetime
    source: EventSource
    application: AppKey | None = None
    deployment: DeploymentId | None = None
    """Set where the Application belongs to a deployment of the workspace."""
    kind: str = ""
    """Kind of the object it is about: Application, Pod, Job, Commit …"""
    name: str = ""
    type: str = NORMAL
    reason: str = ""
    """One word: Synced, OperationStarted, BackOff, FailedScheduling …"""
    message: str = ""
    """One cleaned line."""
    count: int = 1
    """How often it repeated until now; a later look at the same event has a higher one."""
