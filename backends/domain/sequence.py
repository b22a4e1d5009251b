"""Whether the stages that a follower said were in an order that contract/rollout.md allows."""

from __future__ import annotations

from collections.abc import Sequence

from backends.domain.stage import Stage

_FORWARD = (Stage.COMMITTED, Stage.DETECTED, Stage.SYNCING, Stage.ROLLED_OUT, Stage.LIVE)
_TROUBLE = frozenset((Stage.DEGRADED, Stage.SYNC_FAILED, Stage.DRIFTED, Stage.MISSING, Stage.BLOCKED, Stage.PAUSED, Stage.UNKNOWN))


def fault(stages: Sequence[Stage], *, end: Stage) -> str:
    """What is wrong with a followed release's stages, "" when nothing is.

    A follower is monotone: Committed comes first, the end last, those between may be absent and never come again after a later one;
    trouble may stand anywhere between.
    """
    if not stages or stages[0] is not Stage.COMMITTED:
        return f"it began with {stages[0] if stages else 'nothing'}, not with {Stage.COMMITTED}"
    if stages[-1] is not end:
        return f"it ended with {stages[-1]}, not with {end}"
    furthest = 0
    for stage in stages:
        if stage in _FORWARD:
            rank = _FORWARD.index(stage)
            if rank < furthest:
                return f"{stage} came after {_FORWARD[furthest]}"
            furthest = rank
        elif stage not in _TROUBLE:
            return f"{stage} has no place in a release that was followed"
    return ""
