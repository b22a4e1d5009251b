"""What a follower asks of Argo CD by itself so that a wait can end: never anything that a person has not confirmed with the change.

A hard refresh where what runs is not proven, one sync where an automated sync gave up on an older commit, the full sync and the Manager's
sync with prune where the options ask for them. A sync names no revision: Argo CD refuses one beside automated sync, and the branch's head
holds the commit.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import Application
from backends.domain import conditions, operation, specs
from backends.domain.ids import AppKey, Sha, is_sha
from backends.domain.rollout import ContainsCommit, FeedState, Flag, Rollout, Seen, Stage
from backends.domain.verdict import REFUSED, Verdict
from backends.errors import BackendError, Conflict, Forbidden, Refused
from backends.live.errands import Errands, Work
from backends.live.following import FollowOptions
from backends.live.store import Store
from backends.live.target import Target

Tell = Callable[[Target | None, str], None]
MOST_TRIES = 5
_AFTER = (Stage.ROLLED_OUT, Stage.LIVE, Stage.DEGRADED, Stage.DRIFTED, Stage.SUSPENDED, Stage.MISSING)


class Interventions:
    """The interventions of one follower; what came of each is told by `tell`."""

    def __init__(self, argocd: ArgoCD, store: Store, errands: Errands, *, options: FollowOptions, tell: Tell) -> None:
        self._argocd, self._store, self._errands = argocd, store, errands
        self._options, self._tell = options, tell
        self._managers: dict[AppKey, Target] = {}

    def consider(self, target: Target, seen: Seen, rollout: Rollout, contains: ContainsCommit, manager: AppKey | None) -> None:
        """Start what this look (settled or not) calls for, each once."""
        app = seen.application
        if seen.feed is not FeedState.LIVE or rollout.undecided:
            return
        if app is not None and Flag.UNPROVEN in rollout.flags and target.may_refresh:
            self._start(target, "hard refresh", functools.partial(self._hard_refresh, target, app))
        if app is not None and Flag.STUCK in rollout.flags and specs.automation(app.spec).enabled:
            text = "automated sync gave up on an older commit: asked for one sync"
            self._start(target, "sync", functools.partial(self._sync, target, app, "sync", text))
        skipped = Flag.HOOKS_SKIPPED in rollout.flags and rollout.stage in _AFTER
        if app is not None and skipped and self._options.full_sync and not _busy(app):
            self._start(
                target, "full sync", functools.partial(self._sync, target, app, "full sync", "hooks were skipped: asked for a full sync")
            )
        if self._options.prune_manager and target.wanted is not None and target.wanted.removed and manager is not None:
            self._prune(target.wanted.commit, seen, contains, manager)

    def verdict(self, target: Target, rollout: Rollout, manager: AppKey | None) -> Verdict | None:
        """The end of a wait that hangs on something Argo CD refused us."""
        if target.refused and rollout.flags & {Flag.STUCK, Flag.HOOKS_SKIPPED}:
            return Verdict(exit_code=REFUSED, sentence=target.refused)
        asked = self._managers.get(manager) if manager else None
        if asked is not None and asked.refused and rollout.stage is Stage.COMMITTED:
            return Verdict(exit_code=REFUSED, sentence=asked.refused)
        return None

    def _prune(self, commit: Sha, seen: Seen, contains: ContainsCommit, manager: AppKey) -> None:
        keeper = seen.manager
        refused = conditions.sync_error(keeper) if keeper else None
        if keeper is None or refused is None or conditions.WIPE_OUT not in refused.message or _busy(keeper):
            return
        named = [one for one in conditions.attempted(refused) if is_sha(one)]
        if named and not any(contains(one, commit) for one in named):
            return  # it speaks of an earlier commit
        target = self._managers.setdefault(manager, Target(manager, project=keeper.project))
        text = f"{manager.name} refuses to remove its last resources: asked for its sync with prune"
        self._start(target, "prune", functools.partial(self._sync, target, keeper, "prune", text))

    def _start(self, target: Target, what: str, work: Work) -> None:
        now = asyncio.get_running_loop().time()
        again = self._options.times.again if target.tries.get(what) else None
        if target.refused or not target.due(what, now, again):
            return
        if self._errands.start((what, target.key), work, counts=False):
            target.asked[what] = now

    async def _hard_refresh(self, target: Target, app: Application) -> None:
        ticket = self._store.begin_list()
        try:
            answer = await self._argocd.get_application(target.key, project=app.project, refresh="hard")
        except Forbidden as error:
            target.may_refresh = False
            self._tell(target, f"a hard refresh would tell, and you may not ask for one: {error.message}")
        except BackendError as error:
            self._again(target, "hard refresh", error)
        else:
            target.hard_refreshed = True
            self._store.apply_get(answer, ticket)
            self._tell(target, "manifest-generate-paths misses a file that changed: asked for a hard refresh")

    async def _sync(self, target: Target, app: Application, what: str, text: str) -> None:
        ticket = self._store.begin_list()
        try:
            answer = await self._argocd.sync(target.key, project=app.project, prune=what == "prune")
        except (Forbidden, Refused) as error:
            target.refused = f"{text}, which was refused: {error.message}"
            self._tell(target, target.refused)
        except Conflict:  # an operation runs: what it does is seen first
            target.tries[what] = 1
        except BackendError as error:
            self._again(target, what, error)
        else:
            self._store.apply_get(answer, ticket)
            self._tell(target, text)

    def _again(self, target: Target, what: str, error: BackendError) -> None:
        """It may work later; after some tries it is told as refused."""
        tries = target.tries[what] = target.tries.get(what, 0) + 1
        if tries >= MOST_TRIES or not error.retryable:
            target.refused = f"the {what} failed: {error.message}"
        self._tell(target, f"the {what} failed, will be tried again: {error.message}" if not target.refused else target.refused)


def _busy(app: Application) -> bool:
    running = operation.current(app, None)
    return running is not None and running.active
