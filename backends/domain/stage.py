"""What is wanted, what is seen, and where that leaves a deployment: the values that `domain.rollout` decides with.

Values only: `rollout.derive` and `rollout.settle` are the one place that makes a `Rollout` (contract/rollout.md).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from backends.argocd.types import Application, Event, ResourceTree, SyncWindows
from backends.domain.ids import DeploymentId, Sha

ContainsCommit = Callable[[str, Sha], bool | None]
"""`contains(revision, commit)`: does this revision's history hold the commit? None: not fetched yet."""


class Stage(enum.StrEnum):
    """The stages of contract/rollout.md; their values are what JSON output says."""

    DRAFT = "Draft"
    COMMITTED = "Committed"
    DETECTED = "Detected"
    SYNCING = "Syncing"
    ROLLED_OUT = "RolledOut"
    LIVE = "Live"
    SYNC_FAILED = "SyncFailed"
    DEGRADED = "Degraded"
    DRIFTED = "Drifted"
    BLOCKED = "Blocked"
    PAUSED = "Paused"
    SUSPENDED = "Suspended"
    MISSING = "Missing"
    DELETING = "Deleting"
    GONE = "Gone"
    SUPERSEDED = "Superseded"
    UNKNOWN = "Unknown"


class Flag(enum.StrEnum):
    """What stands beside a stage."""

    HOOKS_SKIPPED = "hooks_skipped"
    UNPROVEN = "unproven"
    STUCK = "stuck"
    NOTHING_TO_DO = "nothing_to_do"
    SELF_HEALING = "self_healing"
    RETRYING = "retrying"
    ATTENTION = "attention"
    PAUSED = "paused"
    DEGRADED = "degraded"
    STALE = "stale"
    NEEDS_YOU = "needs_you"


class FeedState(enum.StrEnum):
    """How far what was seen can be believed."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    FAILED = "failed"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What Git wants of one deployment: its newest release, or the commit that somebody follows."""

    id: DeploymentId
    commit: Sha
    committed_at: datetime | None = None
    draft: bool = False
    """Only planned, or still in the journal: nobody was told yet."""
    removed: bool = False
    """The commit deletes the deployment."""
    specs: tuple[dict[str, Any], ...] = ()
    """`spec` of application.yaml at the commit, then at each later commit of the branch that changed it."""
    files: tuple[str, ...] = ()
    """Repository paths (no leading slash) that the commit changed and that the Application's sources read."""
    ref_index: int | None = None
    """Index of the `ref` source among several sources; None with one source."""
    paused: bool = False
    paused_until: str = ""
    paused_reason: str = ""
    paused_by: str = ""
    automated: bool = True
    has_hooks: bool | None = None
    """Whether the rendered manifests hold sync hooks; None: not rendered."""
    superseded_by: Sha | None = None
    superseded_who: str = ""
    before: datetime | None = None
    """`reconciledAt` in the last look before the push; None: not known."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What Argo CD shows of one deployment."""

    feed: FeedState
    application: Application | None = None
    gone: bool = False
    """DELETED was seen, or a list begun after the burst lacks the Application."""
    forbidden: bool = False
    """Asked for by name and project, the answer was 403."""
    not_found: bool = False
    """Asked for by name and project, the answer was 404."""
    tree: ResourceTree | None = None
    windows: SyncWindows | None = None
    manager: Application | None = None
    root: Application | None = None
    scheduling: tuple[Event, ...] = ()
    """Events of pods that wait for a node (FailedScheduling)."""
    events: tuple[Event, ...] = ()
    """Other Kubernetes events of the deployment's objects, where somebody asked for them; `why` reads them."""
    hard_refreshed: bool = False
    """A hard refresh was answered since the push."""
    refresh_forbidden: str = ""
    """Who may not be refreshed by us (Manager or root), when that was refused."""
    feed_error: str = ""
    feed_since: datetime | None = None


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """Where one deployment stands on its way from commit to pods. Derived, never stored: `derive` and `settle` alone build one."""

    stage: Stage
    flags: frozenset[Flag] = frozenset()
    revision: str = ""
    """What Argo CD compared: a full commit id, or what it says instead (a branch name after a manifest error)."""
    since: datetime | None = None
    """When this stage began (UTC), from the data; None when no feed told us."""
    reason: str = ""
    """One cleaned line for people."""
    progress: str = ""
    """"2/3 ready", "wave 2", "attempt 2 of 5"; "" when there is none."""
    undecided: bool = False
    """Too little was given to decide (a commit not fetched yet, a row of a projected list): `settle` keeps what it showed."""
    pending: tuple[Rollout, datetime] | None = None
    """A look that `settle` holds back, and since when."""
    held: tuple[tuple[Flag, datetime], ...] = ()
    """Flags that `settle` holds back, and since when."""
