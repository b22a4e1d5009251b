"""Applications watched without end, and looked at once: no commit is followed, nothing is asked of Argo CD but to tell.

For an Application of the workspace what is wanted is its newest release; for any other what it compared last and its own spec
(`domain.why.unmanaged`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, cast

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import Application, WatchEvent
from backends.domain.ids import AppKey, DeploymentId, Sha
from backends.domain.milestones import Milestones, observe, seeded
from backends.domain.rollout import Rollout, Seen, Stage, Wanted, derive, settle
from backends.domain.why import Why, unmanaged, why
from backends.domain.workspace import Workspace
from backends.engine import in_thread
from backends.gitops.repo import Repo
from backends.live.branch import Branch
from backends.live.errands import Errands
from backends.live.feed_news import FeedNews
from backends.live.following import Followed, FollowOptions, Looked
from backends.live.looks import Looks
from backends.live.store import Row, Store
from backends.live.target import Target

Read = Callable[[], dict[DeploymentId, Wanted]]
"""What is wanted of each deployment by what was fetched last; blocking."""


class Watching:
    """Close looks at some Applications of one store, on one event loop. An asynchronous context manager.

    Args:
        repo, workspace: None for Applications that no workspace names.
        read: what is wanted of the targets; called again when the branch has moved.
    """

    def __init__(
        self,
        argocd: ArgoCD,
        store: Store,
        *,
        repo: Repo | None,
        workspace: Workspace | None,
        read: Read,
        feeds: tuple[str, ...],
        options: FollowOptions,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._repo, self._workspace, self._read = store, repo, workspace, read
        self._options, self._now = options, now
        self._woken = asyncio.Event()
        self._errands = Errands(options.requests, self._woken.set)
        self._looks = Looks(argocd, store, self._errands, feeds=feeds, options=options, now=now)
        self._targets: dict[AppKey, Target] = {}
        self._notes: list[str] = []
        self._news = FeedNews()
        told = self._notes.append
        self._branch = Branch(repo, self._errands, times=options.times, moved=self._take, failed=told) if repo is not None else None
        self._ends: tuple[Callable[[], Any], ...] = ()

    async def __aenter__(self) -> Watching:
        self._ends = (self._store.observe(self._observed), self._store.subscribe(lambda _: self._woken.set()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for end in self._ends:
            end()
        self._looks.close()
        await self._errands.close()

    async def add(self, places: Mapping[AppKey, str]) -> None:
        """Look at these; the environment of each deployment, "" for what no workspace names."""
        for key, environment in places.items():
            project = self._workspace.project_name(environment) if self._workspace and environment else ""
            self._targets[key] = target = Target(key, project=project, environment=environment)
            self._looks.add(target)
        await self._take()

    async def steps(self) -> AsyncGenerator[Followed, None]:
        """Each change of what is shown of the targets, beginning with what is there; never ends by itself."""
        while True:
            self._woken.clear()
            self._errands.check()
            for target in self._targets.values():
                before = target.shown
                looked = self._look(target, settled=True)
                if before is None or _shown(before) != _shown(looked.rollout):
                    yield Followed(
                        at=self._now(), deployment=target.id, rollout=looked.rollout, why=looked.why, milestones=target.milestones
                    )
            if self._branch is not None:
                self._branch.tend()
            for text in self._told():
                shown = next((target.shown for target in self._targets.values() if target.shown), Rollout(stage=Stage.UNKNOWN))
                yield Followed(at=self._now(), deployment=None, rollout=shown, note=text)
            held = any(t.shown is not None and (t.shown.pending or t.shown.held) for t in self._targets.values())
            await self._rest(self._options.times.tick if held else self._options.times.idle)

    def _told(self) -> list[str]:
        """What there is to tell beside where Applications stand."""
        if news := self._news.heard(self._looks.feed(), self._now()):
            self._notes.append(news)
        notes = self._notes.copy()
        self._notes.clear()
        return notes

    async def once(self) -> dict[AppKey, Looked]:
        """One look at each: what the feed shows, and beside it what the first derivation says matters."""
        found = self._all()
        if self._branch is not None and self._branch.incomplete:
            await self._branch.bring()
            found = self._all()
        rest = [key for key in found if self._targets[key].asked]
        if rest:
            deadline = asyncio.get_running_loop().time() + self._options.times.look
            for _ in range(2):  # the tree first, then the events of pods that find no node
                await self._errands.idle(deadline)
                found |= {key: self._look(self._targets[key]) for key in rest}
        return found

    def _all(self) -> dict[AppKey, Looked]:
        return {key: self._look(target) for key, target in self._targets.items()}

    def _look(self, target: Target, *, settled: bool = False) -> Looked:
        now, before = self._now(), target.shown
        seen = self._seen(target)
        wanted = target.wanted
        if wanted is None:
            derived, _ = unmanaged(seen, now=now)
        else:
            derived = derive(wanted, seen, contains=self._contains, now=now, previous=before)
        shown = settle(before, derived, now=now) if settled else derived
        target.shown = shown
        self._looks.ask(target, seen, self._contains, followed=settled)
        if wanted is not None and target.milestones is not None:
            if before is None and seen.application is not None:
                target.milestones = seeded(target.milestones, seen.application, _yes(self._contains), ref_index=wanted.ref_index)
            target.milestones = observe(target.milestones, shown, seen, now=now)
        return Looked(wanted=wanted, seen=seen, rollout=shown, why=self._why(wanted, seen, shown, now))

    def _why(self, wanted: Wanted | None, seen: Seen, shown: Rollout, now: datetime) -> Why:
        if wanted is None:
            return unmanaged(seen, now=now)[1]
        return why(wanted, seen, shown, now=now, contains=self._contains)

    def _seen(self, target: Target) -> Seen:
        workspace = self._workspace
        if workspace is None or not target.environment:
            return self._looks.seen(target)
        namespace = workspace.argocd.namespace
        manager, root = AppKey(namespace, workspace.manager_name(target.environment)), AppKey(namespace, workspace.root_name)
        return self._looks.seen(target, manager=manager, root=root)

    def _contains(self, revision: str, commit: Sha) -> bool | None:
        return self._branch.contains(revision, commit) if self._branch is not None else revision == commit

    async def _take(self) -> None:
        if self._branch is not None and self._repo is not None:
            self._branch.head = self._repo.head()
        wanted = await in_thread(self._read)
        for target in self._targets.values():
            target.wanted = one = wanted.get(target.id)
            if one is not None and (target.milestones is None or target.milestones.commit != one.commit):
                target.milestones = Milestones(commit=one.commit, push=one.committed_at)

    def _observed(self, before: Row | None, after: Row | None) -> None:
        row = after or before
        if row is not None and row.application.key in self._targets:
            self._woken.set()

    async def _rest(self, pause: float) -> None:
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            return


class OneApplication:
    """Of an Argo CD what a feed needs, for one name alone: no selector finds an Application by its name.

    Args:
        name: of the Application; namespaces may hold several of one name, and all are heard of.
    """

    def __init__(self, argocd: ArgoCD, name: str) -> None:
        self._argocd, self._name = argocd, name

    @classmethod
    def of(cls, argocd: ArgoCD, name: str) -> ArgoCD:
        return cast(ArgoCD, cls(argocd, name))

    def watch_applications(self, *, selector: str = "", rows: bool = False) -> AsyncGenerator[WatchEvent | None, None]:
        return cast(AsyncGenerator[WatchEvent | None, None], self._argocd.watch_applications(selector=selector, name=self._name, rows=rows))

    def list_applications(self, *, selector: str = "", full: bool = False) -> Awaitable[tuple[Application, ...]]:
        return self._argocd.list_applications(selector=selector, name=self._name, full=full)

    def get_application(self, key: AppKey, *, project: str = "") -> Awaitable[Application]:
        return self._argocd.get_application(key, project=project)


def _shown(rollout: Rollout) -> tuple[object, ...]:
    return (rollout.stage, rollout.flags, rollout.reason, rollout.progress)


def _yes(contains: Callable[[str, Sha], bool | None]) -> Callable[[str, Sha], bool]:
    return lambda revision, commit: contains(revision, commit) is True
