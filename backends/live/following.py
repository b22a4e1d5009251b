"""What following a commit is asked for and what it tells: values only; `live.follow` follows."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

import msgspec

from backends.domain.ids import AppKey, DeploymentId, Sha
from backends.domain.milestones import Milestones
from backends.domain.rollout import Rollout, Seen, Wanted
from backends.domain.verdict import Verdict
from backends.domain.why import Why

__all__ = ["Ask", "FollowKind", "FollowOptions", "FollowTimes", "Followed", "Looked"]


class FollowKind(enum.StrEnum):
    """What is waited for (contract/rollout.md, *Verdicts of `--wait`*)."""

    RELEASE = "release"
    """A release or values: every deployment that reads what the commit changed."""
    SPEC = "spec"
    """A pause or resume: the live spec equals application.yaml, whatever the health."""
    ENVIRONMENT = "environment"
    """Root and the environment's Manager in step with the commit."""
    REMOVAL = "removal"
    """The deployments are gone."""


class FollowTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Every delay of a follower, in seconds."""

    tick: float = 0.25
    """Between two looks while something held back may become due."""
    idle: float = 1.0
    """The same while nothing is held back."""
    ready: float = 20.0
    """The longest that `ready` waits for a feed that is slow and says no error: a burst of thousands takes seconds."""
    unreachable: float = 15.0
    """A feed that never was live for this long: Argo CD cannot be reached."""
    windows: float = 60.0
    """Between two questions about sync windows while a row stays OutOfSync without an operation."""
    resources: float = 10.0
    """Between two questions about what differs, or is left of what is deleted."""
    tree: float = 2.0
    """Between two trees of a target that is followed without a stream of its own."""
    tree_streamed: float = 15.0
    """The same beside a stream, which says nothing of what changed while it opened."""
    evidence: float = 3.0
    """How long a bad verdict waits for the tree that tells why."""
    absent: float = 0.5
    """How long an Application may be absent, its Manager past the commit, before it is asked for by name."""
    absent_again: float = 5.0
    trouble: float = 5.0
    """How long root or Manager must be in trouble before a new environment has failed."""
    fetch: float = 0.5
    """Before the first fetch for a commit that is not known here, doubled with each fetch that did not bring it."""
    fetch_longest: float = 30.0
    look: float = 8.0
    """The longest that one look waits for trees, windows and events."""
    again: float = 10.0
    """Before a request that failed and can be repeated (a hard refresh, a sync) is made again."""


class FollowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody wants a commit followed."""

    timeout: float = 600.0
    """Seconds from the push to a verdict."""
    full_sync: bool = False
    """Ask for a full sync where hooks were skipped, and wait for it."""
    prune_manager: bool = False
    """The environment's name was typed: sync its Manager with prune when it refuses to remove the last deployments."""
    nudge: bool = True
    """Ask Argo CD to look now; off leaves it to its polling."""
    streams: int = 4
    """Resource trees that are streamed at once; the trees of more targets are asked for again and again."""
    requests: int = 4
    """Trees, windows and events that are asked for at once."""
    times: FollowTimes = FollowTimes()


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell: the shown stage, flags, reason or progress changed, or a note. Texts are cleaned."""

    at: datetime
    deployment: DeploymentId | None
    """None: it is about the root, a Manager or the feed."""
    rollout: Rollout
    """As it is shown now; with `deployment` None, that of the environment's root and Manager."""
    why: Why | None = None
    milestones: Milestones | None = None
    note: str = ""
    """"asked Argo CD to look at web-prod-k3x7qa"; "" when the rollout is what changed."""
    verdict: Verdict | None = None
    """The end of the wait for this deployment."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """One honest look at one deployment."""

    wanted: Wanted | None
    """None: no workspace names it, or the repository holds no release of it."""
    seen: Seen
    rollout: Rollout
    why: Why


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is followed: a commit, of which kind, for whom."""

    commit: Sha
    kind: FollowKind
    targets: tuple[DeploymentId, ...]
    environment: str = ""
    paths: tuple[str, ...] = ()
    """What the commit changed; empty: asked of git."""
    before: Mapping[AppKey, datetime | None] = {}
    """`reconciledAt` of each Application in the last look before the push."""
    has_hooks: Mapping[DeploymentId, bool] = {}
