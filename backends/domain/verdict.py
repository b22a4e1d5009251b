"""When a wait is over, and with which exit code (contract/rollout.md, *Verdicts of `--wait`*).

A verdict is final for its waiter, not for the deployment: a crash loop may recover, and nobody is kept waiting for that. None means: wait
on. What a follower has to ask for first (a hard refresh, a sync that gets a stuck auto-sync going) is no verdict either.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from backends.argocd.types import Application
from backends.domain import specs, upkeep
from backends.domain.ids import Sha
from backends.domain.stage import ContainsCommit, FeedState, Flag, Rollout, Seen, Stage, Wanted
from backends.text import clean

OK, FAILED, REFUSED, TIMED_OUT, UNREACHABLE = 0, 1, 3, 4, 5
_WORST_FIRST = (UNREACHABLE, FAILED, REFUSED, TIMED_OUT)
_FAILED = (Stage.SYNC_FAILED, Stage.DEGRADED, Stage.MISSING, Stage.SUPERSEDED)
_WAITS_FOR_PEOPLE = (Stage.BLOCKED, Stage.PAUSED, Stage.SUSPENDED)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a wait: an exit code of contract/cli.md and one cleaned sentence; `warning` is said beside a good one."""

    exit_code: int
    sentence: str
    warning: str = ""

    @property
    def good(self) -> bool:
        return self.exit_code == OK


def verdict(rollout: Rollout, wanted: Wanted, seen: Seen, *, full_sync: bool = False, may_refresh: bool = True) -> Verdict | None:
    """The verdict on a release, on values or on a removal, from what is shown (settled, not one look).

    Args:
        full_sync: hooks that were skipped are waited for; somebody asks for the sync.
        may_refresh: somebody can ask for the hard refresh that an unproven Live needs; if not, it stays unproven and ends the wait.
    """
    if seen.feed is FeedState.FAILED:
        return unreachable(seen.feed_error)
    if Flag.STALE in rollout.flags or rollout.undecided:
        return None
    said = f"{rollout.stage}: {rollout.reason}" if rollout.reason else str(rollout.stage)
    if rollout.stage is Stage.GONE and wanted.removed:
        return Verdict(exit_code=OK, sentence=said)
    if rollout.stage is Stage.LIVE:
        return _live(rollout, said, full_sync, may_refresh)
    if rollout.stage in _FAILED:
        return Verdict(exit_code=FAILED, sentence=said)
    if rollout.stage is Stage.DRIFTED and seen.application and not specs.automation(seen.application.spec).self_heal:
        return Verdict(exit_code=FAILED, sentence=f"{said}; self-heal is off")
    if rollout.stage in _WAITS_FOR_PEOPLE or Flag.NEEDS_YOU in rollout.flags:
        return Verdict(exit_code=REFUSED, sentence=said)
    if rollout.stage is Stage.UNKNOWN and seen.forbidden:
        return Verdict(exit_code=REFUSED, sentence=said)
    return None


def spec_verdict(wanted: Wanted, seen: Seen) -> Verdict | None:
    """The verdict on a pause or resume: the live spec equals application.yaml, whatever the health."""
    if seen.feed is FeedState.FAILED:
        return unreachable(seen.feed_error)
    app = seen.application
    if app is None:
        return Verdict(exit_code=REFUSED, sentence="you may not see it") if seen.forbidden else None
    if app.partial or seen.feed is not FeedState.LIVE or not specs.matches(wanted.specs, app.spec):
        return None
    state = "paused" if specs.automation(app.spec).paused or wanted.paused else "not paused"
    return Verdict(exit_code=OK, sentence=f"its application.yaml is in Argo CD: {state}")


def environment_verdict(seen: Seen, commit: Sha, contains: ContainsCommit) -> Verdict | None:
    """The verdict on a new or changed environment: root and Manager Synced and Healthy at a revision with the commit."""
    if seen.feed is FeedState.FAILED:
        return unreachable(seen.feed_error)
    if seen.feed is not FeedState.LIVE or not all(_in_step(one, commit, contains) for one in (seen.root, seen.manager)):
        return None
    return Verdict(exit_code=OK, sentence="the root and the environment's Manager are in step with the commit")


def timed_out(rollout: Rollout | None, seconds: float) -> Verdict:
    """The verdict after waiting for `seconds` without one, saying where it stands."""
    where = f"{rollout.stage}{f': {rollout.reason}' if rollout.reason else ''}" if rollout else "nothing was seen"
    return Verdict(exit_code=TIMED_OUT, sentence=f"not there after {seconds:.0f} s; {where}")


def unreachable(error: str) -> Verdict:
    """The verdict when Argo CD cannot be reached."""
    return Verdict(exit_code=UNREACHABLE, sentence=clean(error, limit=300) or "Argo CD is not reachable")


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """The exit code of several targets: the first of 5, 1, 3, 4 that occurs, else 0."""
    codes = {one.exit_code for one in verdicts}
    return next((code for code in _WORST_FIRST if code in codes), OK)


def _live(rollout: Rollout, said: str, full_sync: bool, may_refresh: bool) -> Verdict | None:
    if Flag.UNPROVEN in rollout.flags:
        return None if may_refresh else Verdict(exit_code=REFUSED, sentence=said)
    if Flag.HOOKS_SKIPPED in rollout.flags:
        return None if full_sync else Verdict(exit_code=OK, sentence="Live", warning=rollout.reason)
    if Flag.ATTENTION in rollout.flags:
        return Verdict(exit_code=OK, sentence="Live", warning=rollout.reason)
    return Verdict(exit_code=OK, sentence=said)


def _in_step(keeper: Application | None, commit: Sha, contains: ContainsCommit) -> bool:
    return keeper is not None and keeper.status.health.status == "Healthy" and upkeep.past(keeper, commit, contains)
