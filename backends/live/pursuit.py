"""One commit followed to its end: look, derive, settle, tell, ask, until every target has its verdict.

The loop of `Follower.follow`. It decides nothing about stages (`domain.rollout`) or verdicts (`domain.verdict`); it knows when to look again,
when somebody has to be asked, and when what is known is too little to end a wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from backends.argocd.protocol import ArgoCD
from backends.domain import specs, upkeep
from backends.domain.facts import revision_of
from backends.domain.ids import AppKey, DeploymentId, Sha, is_sha
from backends.domain.milestones import Milestones, observe
from backends.domain.rollout import FeedState, Rollout, Seen, Stage, Wanted, derive, settle
from backends.domain.verdict import Verdict
from backends.domain.why import why
from backends.domain.workspace import Workspace
from backends.engine import in_thread
from backends.gitops.layout import Layout
from backends.gitops.repo import Repo
from backends.live import nudge
from backends.live.branch import Branch
from backends.live.endings import Endings
from backends.live.errands import Errands
from backends.live.feed_news import FeedNews
from backends.live.following import Ask, Followed, FollowKind, FollowOptions
from backends.live.interventions import Interventions
from backends.live.looks import Looks
from backends.live.nudge import Notice, Nudge, When
from backends.live.nudging import Nudging, unnamed
from backends.live.store import Row, Store
from backends.live.target import Target, after_push, told
from backends.live.wanted import changed_by, places_at, wanted_at

MANY = 10
"""More targets than this are looked at when something was heard of them, or once every `FollowTimes.idle`: a look costs 0.3 ms."""


class Pursuit:
    """One `follow`: used once, on one event loop.

    Args:
        opened: the loop's time at which the feed was opened.
        check: raises what ended the feed, if it was a fault of ours.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        argocd: ArgoCD,
        repo: Repo,
        workspace: Workspace,
        store: Store,
        feeds: tuple[str, ...],
        options: FollowOptions,
        layout: Layout,
        opened: float,
        check: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._check = check
        self._ask, self._argocd, self._repo, self._workspace, self._store = ask, argocd, repo, workspace, store
        self._options, self._layout, self._now = options, layout, now
        self._woken = asyncio.Event()
        self._notes: list[tuple[datetime, Target | None, str]] = []
        self._errands = Errands(options.requests, self._woken.set)
        self._looks = Looks(argocd, store, self._errands, feeds=feeds, options=options, now=now, told=self._touch)
        namespace = workspace.argocd.namespace
        self._nudging = Nudging(argocd, namespace, store, self._errands, again=options.times.again, heard=self._heard)
        self._looks.refresh_forbidden = self._nudging.forbidden
        self._interventions = Interventions(argocd, store, self._errands, options=options, tell=self._tell)
        self._endings = Endings(ask.kind, options, self._looks, self._interventions, opened=opened)
        self._root = AppKey(workspace.argocd.namespace, workspace.root_name)
        self._concerns: dict[AppKey, list[Target]] = {self._root: []}
        """Root, Managers and Applications that are watched → the targets whose stage hangs on them."""
        self._touched: set[AppKey] = set()
        self._looked_at = float("-inf")
        self._targets: list[Target] = []
        self._environment: Target | None = None
        self._nudges: tuple[Nudge, ...] = ()
        self._branch = Branch(repo, self._errands, times=options.times, moved=self._renew, failed=lambda text: self._tell(None, text))
        self._news = FeedNews()
        self._ends: list[Callable[[], None]] = []

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        followed = [*self._targets, *([self._environment] if self._environment else [])]
        return tuple(target.verdict for target in followed if target.verdict is not None)

    async def steps(self) -> AsyncGenerator[Followed, None]:
        """Until every target has its verdict. Ending the iteration ends every task of it."""
        loop = asyncio.get_running_loop()
        self._endings.begin(loop.time())
        self._ends = [self._store.observe(self._observed), self._store.subscribe(lambda _: self._woken.set())]
        try:
            await in_thread(self._prepare)
            self._nudging.begin(self._nudges)
            for target in self._targets:
                yield self._followed(target, None, self._first(target))
            while True:
                self._woken.clear()
                self._errands.check()
                self._check()
                for step in self._round(loop.time()):
                    yield step
                if all(target.verdict for target in (*self._targets, *([self._environment] if self._environment else []))):
                    return
                await self._rest(loop.time())
        finally:
            await self.close()

    async def close(self) -> None:
        """End every task of it; twice is once."""
        for end in self._ends:
            end()
        self._ends = []
        self._looks.close()
        await self._errands.close()

    # before the first look

    def _prepare(self) -> None:
        """Everything that git is asked for first; blocking."""
        ask, repo = self._ask, self._repo
        made, changed = changed_by(repo, ask.commit)
        paths = ask.paths or changed
        after = repo.tree(ask.commit)
        before = repo.tree(made.parents[0]) if made.parents else None
        if self._options.nudge and before is not None:
            self._nudges = nudge.nudges(paths, before, after, self._workspace, layout=self._layout)
        places = places_at(repo, ask.commit, layout=self._layout)
        for id in ask.targets:
            environment = places[id].environment if id in places else ask.environment
            key = AppKey(self._workspace.argocd.namespace, id)
            target = Target(key, project=self._workspace.project_name(environment), environment=environment)
            self._targets.append(target)
            self._looks.add(target)
            for watched in {key, self._manager(target) or key, self._root}:
                self._concerns.setdefault(watched, []).append(target)
        self._take(self._wanted())
        if self._options.nudge:
            self._nudges += tuple(
                unnamed(self._nudges, self._targets, self._workspace, ask.environment if ask.kind is FollowKind.ENVIRONMENT else "")
            )
        if ask.kind is FollowKind.ENVIRONMENT:
            key = AppKey(self._workspace.argocd.namespace, self._workspace.manager_name(ask.environment))
            self._environment = Target(key, project=key.name, environment=ask.environment)
            self._environment.shown = Rollout(stage=Stage.COMMITTED, since=made.at)
            self._concerns.setdefault(key, [])

    def _wanted(self) -> dict[DeploymentId, Wanted]:
        self._branch.head = self._repo.head()
        if not self._targets:
            return {}
        before = {target.id: self._before(target) for target in self._targets}
        found = wanted_at(
            self._repo,
            self._repo.tree(self._branch.head),
            [target.id for target in self._targets],
            self._ask.commit,
            before=before,
            layout=self._layout,
        )
        hooks = self._ask.has_hooks
        return {id: msgspec.structs.replace(one, has_hooks=hooks[id]) if id in hooks else one for id, one in found.items()}

    def _take(self, found: Mapping[DeploymentId, Wanted]) -> None:
        for target in self._targets:
            one, known = found[target.id], target.wanted
            target.wanted = one if known is None else msgspec.structs.replace(one, before=known.before)

    def _before(self, target: Target) -> datetime | None:
        return target.wanted.before if target.wanted is not None else self._ask.before.get(target.key)

    def _first(self, target: Target) -> Seen:
        """Every follower begins with Committed, whatever Argo CD shows already."""
        wanted = target.wanted
        assert wanted is not None  # noqa: S101 - `_prepare` gave each target one
        seen = self._seen(target)
        derived = derive(wanted, seen, contains=self._contains, now=self._now())
        target.shown = derived if derived.stage is Stage.COMMITTED else Rollout(stage=Stage.COMMITTED, since=wanted.committed_at)
        target.milestones = Milestones(commit=wanted.commit, push=wanted.committed_at)
        return seen

    # one look at everything

    def _round(self, at: float) -> Sequence[Followed]:
        steps: list[Followed] = []
        if news := self._news.heard(self._looks.feed(), self._now()):
            self._tell(None, news)
            self._looked_at = float("-inf")
        for target in self._due(at):
            steps += self._look(target, at)
        if self._environment is not None and self._environment.verdict is None:
            steps += self._look_environment(self._environment, at)
        notes, self._notes = self._notes, []
        steps[:0] = [self._noted(*one) for one in notes]
        self._nudging.tend(self._ready, self._unseen, live=self._news.state is FeedState.LIVE)
        self._branch.tend()
        return steps

    def _due(self, at: float) -> list[Target]:
        """The targets to look at now: all of a few; of many, those that something was heard of or that settle, and all now and then."""
        touched, self._touched = self._touched, set()
        open_ones = [target for target in self._targets if target.verdict is None]
        if len(self._targets) <= MANY or at - self._looked_at >= self._options.times.idle:
            self._looked_at = at
            return open_ones
        return [target for target in open_ones if target.key in touched or target.settles]

    def _look(self, target: Target, at: float) -> Sequence[Followed]:
        wanted, before, now = target.wanted, target.shown, self._now()
        assert wanted is not None  # noqa: S101
        assert before is not None  # noqa: S101
        seen = self._seen(target)
        derived = derive(wanted, seen, contains=self._contains, now=now, previous=before)
        target.shown = shown = settle(before, derived, now=now)
        if target.milestones is not None:
            target.milestones = observe(target.milestones, shown, seen, now=now)
        self._looks.ask(target, seen, self._contains)
        self._interventions.consider(target, seen, derived, self._contains, self._manager(target))
        target.verdict = self._endings.of(target, wanted, seen, shown, self._manager(target), at)
        if target.verdict is not None:
            self._looks.rest(target)
        elif told(before) == told(shown):
            return ()
        return (self._followed(target, target.verdict, seen),)

    def _look_environment(self, target: Target, at: float) -> Sequence[Followed]:
        """Root and Manager; there is no deployment to derive a stage of."""
        before, now, commit = target.shown, self._now(), self._ask.commit
        seen = self._looks.seen(target, manager=target.key, root=self._root)
        held = upkeep.holdup(seen, commit, self._contains, now=now)
        target.verdict = self._endings.of_environment(target, seen, commit, held, self._contains, at)
        good = target.verdict is not None and target.verdict.good
        reason = held.text if held else "" if good else "root and Manager are not both Healthy yet"
        stage = Stage.LIVE if good else Stage.COMMITTED
        target.shown = shown = Rollout(stage=stage, since=before.since if before and before.stage is stage else now, reason=reason)
        if target.verdict is None and before is not None and told(before) == told(shown):
            return ()
        return (Followed(at=now, deployment=None, rollout=shown, verdict=target.verdict),)

    # what it needs to know

    def _seen(self, target: Target) -> Seen:
        return self._looks.seen(target, manager=self._manager(target), root=self._root)

    def _manager(self, target: Target) -> AppKey | None:
        if not target.environment:
            return None
        return AppKey(self._workspace.argocd.namespace, self._workspace.manager_name(target.environment))

    def _contains(self, revision: str, commit: Sha) -> bool | None:
        return self._branch.contains(revision, commit)

    async def _renew(self) -> None:
        """The branch has moved: there may be later specs, and newer releases of what is followed."""
        self._take(await in_thread(self._wanted))

    # asking Argo CD to look

    def _ready(self, one: Nudge) -> bool:
        """Whether what a nudge waits for has happened."""
        if one.when is When.ROOT_SYNCED:
            return upkeep.past(self._looks.application(self._root), self._ask.commit, self._contains)
        target = next((target for target in self._targets if target.key.name == one.name), None)
        if target is not None and target.wanted is not None:
            app = self._looks.application(target.key)
            return app is not None and specs.matches(target.wanted.specs, app.spec)
        manager = AppKey(self._workspace.argocd.namespace, self._workspace.manager_name(one.environment))
        return upkeep.past(self._looks.application(manager), self._ask.commit, self._contains)

    def _unseen(self, one: Nudge) -> bool:
        """Whether its Application is there and has compared a revision that does not hold the commit."""
        app = self._looks.application(AppKey(self._workspace.argocd.namespace, one.name))
        revision = revision_of(app) if app is not None and not app.partial else ""
        return is_sha(revision) and self._contains(revision, self._ask.commit) is False

    def _heard(self, notice: Notice) -> None:
        target = next((target for target in self._targets if target.key.name == notice.name), None)
        if target is not None and target.wanted is not None and notice.application is not None:
            target.wanted = after_push(target.wanted, notice.application.status.reconciled_at)
        self._tell(target, notice.text)

    # telling

    def _tell(self, target: Target | None, text: str) -> None:
        self._notes.append((self._now(), target, text))
        if target is not None:
            self._touch(target.key)
        self._woken.set()

    def _touch(self, key: AppKey) -> None:
        self._touched.add(key)
        self._woken.set()

    def _followed(self, target: Target, found: Verdict | None, seen: Seen) -> Followed:
        assert target.wanted is not None  # noqa: S101
        assert target.shown is not None  # noqa: S101
        now = self._now()
        return Followed(
            at=now,
            deployment=target.id,
            rollout=target.shown,
            why=why(target.wanted, seen, target.shown, now=now, contains=self._contains),
            milestones=target.milestones,
            verdict=found,
        )

    def _noted(self, at: datetime, target: Target | None, text: str) -> Followed:
        about = target if target is not None else self._environment
        shown = about.shown if about is not None else None
        if shown is None:
            shown = self._targets[0].shown if self._targets else None
        return Followed(
            at=at,
            deployment=target.id if target is not None else None,
            rollout=shown or Rollout(stage=Stage.COMMITTED),
            milestones=target.milestones if target is not None else None,
            note=text,
        )

    # waiting

    def _observed(self, before: Row | None, after: Row | None) -> None:
        row = after or before
        if row is not None and (concerned := self._concerns.get(row.application.key)) is not None:
            self._touched.update(target.key for target in concerned)
            self._woken.set()

    async def _rest(self, at: float) -> None:
        """Until something is heard, or a look may show something else by the clock alone."""
        times = self._options.times
        busy = any(target.settles for target in self._targets)
        pause = min(times.tick if busy else times.idle, max(0.0, self._endings.deadline - at))
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            return
        if len(self._targets) > MANY:
            await asyncio.sleep(times.gather)
