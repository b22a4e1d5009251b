"""An environment: dev, staging, prod, a preview; where its deployments go and who may change them when."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from backends.domain.cluster import IN_CLUSTER
from backends.domain.options import ApplicationOptions

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone, RFC 3339 in files."""


class EnvironmentKind(enum.StrEnum):
    DEVELOPMENT = "development"
    TESTING = "testing"
    STAGING = "staging"
    PRODUCTION = "production"
    PREVIEW = "preview"


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Refuses intents until then; Argo CD knows nothing of it."""

    by: str = ""
    reason: str = ""
    until: Instant | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Automation is off until then; who paused is in the commit."""

    until: Instant | None = None
    reason: str = ""


class GroupKind(msgspec.Struct, frozen=True, kw_only=True):
    group: str
    kind: str


class Allow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the environment's AppProject allows beyond its own destinations and this workspace's sources."""

    cluster_resources: tuple[GroupKind, ...] = ()
    source_repos: tuple[str, ...] = ()


class Environment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What environments/<name>/environment.yaml says, keys in the order in which they are written; `name` comes from the path."""

    name: str = ""
    kind: EnvironmentKind = EnvironmentKind.DEVELOPMENT
    order: int = 0
    cluster: str = IN_CLUSTER
    clusters: tuple[str, ...] = ()
    """Allowed clusters: the destinations of its AppProject, by name."""
    namespace: str = "{app}-{env}"
    promote_from: tuple[str, ...] = ()
    automated: bool = True
    protected: bool = False
    delivery: Literal["push", "pr"] = "push"
    locks: tuple[Lock, ...] = ()
    paused: Pause | None = None
    allow: Allow = Allow()
    ttl: str = ""
    gates: tuple[Any, ...] = ()
    argocd: ApplicationOptions = ApplicationOptions()

    @property
    def allowed_clusters(self) -> tuple[str, ...]:
        return self.clusters or (self.cluster,)

    @property
    def namespace_pattern(self) -> str:
        """The namespaces its AppProject allows: the template with `*` for the app."""
        return self.namespace_of("*")

    def namespace_of(self, app: str) -> str:
        return self.namespace.replace("{app}", app).replace("{env}", self.name)

    def lock_at(self, now: datetime) -> Lock | None:
        """The lock that refuses intents at this time."""
        return next((lock for lock in self.locks if lock.holds(now)), None)
