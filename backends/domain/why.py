"""Why a deployment waits or fails: one sentence, what it rests on, and what could be done.

The sentence is the cause, not the symptom: where the root or an environment's Manager is in trouble, that comes first. Evidence is typed,
so that a screen can lead to the object; actions are ids of the action table, the likeliest first.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from backends.domain import facts, upkeep
from backends.domain.evidence import Evidence, Kind, gather
from backends.domain.ids import DeploymentId, Sha, is_sha
from backends.domain.remedies import remedies
from backends.domain.rollout import derive
from backends.domain.stage import ContainsCommit, FeedState, Rollout, Seen, Stage, Wanted
from backends.text import clean

__all__ = ["Evidence", "Kind", "Why", "unmanaged", "why"]

_PLAIN = {
    Stage.LIVE: "it is Live",
    Stage.GONE: "it is gone",
    Stage.DRAFT: "it is not pushed yet",
    Stage.ROLLED_OUT: "its pods are not all ready yet",
    Stage.SYNCING: "it is being synced",
    Stage.DEGRADED: "Argo CD says Degraded and no more",
}


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to "why is it waiting?"; every text is cleaned."""

    sentence: str
    evidence: tuple[Evidence, ...] = ()
    actions: tuple[str, ...] = ()
    """Ids of actions ("deployment.sync"), the likeliest to help first."""


def why(wanted: Wanted, seen: Seen, rollout: Rollout, *, now: datetime, contains: ContainsCommit | None = None) -> Why:
    """Say why a deployment stands where it does.

    `contains` is that of `derive`; without it only equal revisions count, which is enough for everything but the Manager's revision.
    """
    holds = contains or (lambda revision, commit: revision == commit)
    app = seen.application
    known = facts.read(app, wanted, holds, rollout) if app and not app.partial else None
    held = upkeep.holdup(seen, wanted.commit, holds, now=now) if seen.manager or seen.root or rollout.stage is Stage.COMMITTED else None
    cause = held if held and _is_the_cause(rollout, known, wanted) else None
    evidence = tuple(gather(wanted, seen, rollout, known, cause, now=now))
    sentence = cause.text if cause else rollout.reason or _PLAIN.get(rollout.stage, f"Argo CD says {rollout.stage}")
    if seen.feed in (FeedState.STALE, FeedState.FAILED) and app:
        heard = next((one.text for one in evidence if one.kind is Kind.FEED), "")
        sentence = f"{heard}; before that: {sentence}"
    actions = remedies(seen, rollout, known, cause, frozenset(one.kind for one in evidence))
    return Why(sentence=clean(sentence, limit=500), evidence=evidence, actions=actions)


def unmanaged(seen: Seen, *, now: datetime) -> tuple[Rollout, Why]:
    """The same for an Application that no workspace names: what it compared last counts as wanted, and its own spec."""
    app = seen.application
    revision = facts.revision_of(app) if app else ""
    commit = Sha(revision) if is_sha(revision) else Sha("0" * 40)
    name = DeploymentId(app.metadata.name if app else "")
    wanted = Wanted(id=name, commit=commit, specs=(app.spec,) if app else (), has_hooks=False)
    rollout = derive(wanted, seen, contains=lambda one, other: one == other, now=now)
    return rollout, why(wanted, seen, rollout, now=now)


def _is_the_cause(rollout: Rollout, known: facts.Facts | None, wanted: Wanted) -> bool:
    """The commit has not come through the Manager: no Application, a removal, or the old spec."""
    if rollout.stage is not Stage.COMMITTED:
        return False
    return known is None or wanted.removed or (known.holds is True and not facts.spec_applied(known, wanted))
