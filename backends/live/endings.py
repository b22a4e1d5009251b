"""When the wait for one target is over: `domain.verdict`, and what a follower knows beside it.

A bad verdict waits for the tree that tells why, for what the follower has asked Argo CD to do, and for the Manager's new spec; a wait without
one ends with the time allowed, or when Argo CD never answered.
"""

from __future__ import annotations

from backends.domain import conditions, specs
from backends.domain.ids import AppKey, Sha
from backends.domain.rollout import ContainsCommit, FeedState, Flag, Rollout, Seen, Stage, Wanted
from backends.domain.upkeep import Holdup
from backends.domain.verdict import FAILED, OK, REFUSED, Verdict, environment_verdict, spec_verdict, timed_out, unreachable, verdict
from backends.live.following import FollowKind, FollowOptions
from backends.live.interventions import Interventions
from backends.live.looks import Looks
from backends.live.target import Target

_EVIDENT = (Stage.DEGRADED, Stage.MISSING)
"""Bad stages of which a tree tells why."""


class Endings:
    """The verdicts of one follower.

    Args:
        opened: the loop's time at which the feed was opened.
    """

    def __init__(self, kind: FollowKind, options: FollowOptions, looks: Looks, interventions: Interventions, *, opened: float) -> None:
        self._kind, self._options, self._looks, self._interventions = kind, options, looks, interventions
        self._opened = opened
        self.deadline = float("inf")
        """The loop's time at which the wait ends without a verdict."""

    def begin(self, at: float) -> None:
        self.deadline = at + self._options.timeout

    def of(self, target: Target, wanted: Wanted, seen: Seen, shown: Rollout, manager: AppKey | None, at: float) -> Verdict | None:
        """The verdict on a deployment, from what is shown of it."""
        if self._kind is FollowKind.SPEC:
            found = spec_verdict(wanted, seen)
        else:
            refused = self._interventions.verdict(target, shown, manager)
            found = refused or verdict(shown, wanted, seen, full_sync=self._options.full_sync, may_refresh=target.may_refresh)
        if found is None and wanted.removed and seen.forbidden and seen.application is None:
            found = Verdict(exit_code=REFUSED, sentence="you may not see it, so nobody can say that it is gone")
        if found is not None and found.exit_code != OK and self._too_early(target, wanted, seen, shown, manager):
            found = None
        return found or self._out_of_time(target, at)

    def of_environment(
        self, target: Target, seen: Seen, commit: Sha, held: Holdup | None, contains: ContainsCommit, at: float
    ) -> Verdict | None:
        """The verdict on root and Manager; an error of theirs counts once it has lasted, since older ones go with the first comparison."""
        if held is not None and held.error and not held.missing:
            since = target.asked.setdefault("trouble", at)
            if at - since >= self._options.times.trouble:
                return Verdict(exit_code=FAILED, sentence=held.text)
        else:
            target.asked.pop("trouble", None)
        return environment_verdict(seen, commit, contains) or self._out_of_time(target, at)

    def _too_early(self, target: Target, wanted: Wanted, seen: Seen, shown: Rollout, manager: AppKey | None) -> bool:
        """Whether a bad verdict would rest on what is about to change, or would not tell why although that can be known."""
        if seen.feed is FeedState.FAILED:
            return False
        if shown.pending is not None:
            return True  # what is shown is over already; what comes next must only last
        app = seen.application
        if wanted.removed and Flag.NEEDS_YOU in shown.flags and self._options.prune_manager:
            return self._interventions.verdict(target, shown, manager) is None
        if shown.stage is Stage.SYNC_FAILED and app is not None and conditions.comparison_error(app):
            return not specs.matches(wanted.specs, app.spec)  # rendered under its old spec, which the Manager is about to replace
        return shown.stage in _EVIDENT and app is not None and not self._looks.tree_now(target)

    def _out_of_time(self, target: Target, at: float) -> Verdict | None:
        feed = self._looks.feed()
        if feed.state is FeedState.CONNECTING and at - self._opened >= self._options.times.unreachable:
            return unreachable(feed.error or "Argo CD has not answered yet")
        if at < self.deadline:
            return None
        if feed.state is not FeedState.LIVE:
            return unreachable(feed.error or "Argo CD is not reachable")
        return timed_out(target.shown, self._options.timeout)
