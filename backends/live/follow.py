"""Following a commit until its pods are ready or it is known why they are not; and looking closely without a commit.

    async with Follower(argocd=…, repo=…, workspace=…) as follower:
        await follower.ready()                    # watches before the push
        written = await in_thread(write, repo, intent, change=…)
        async for step in follower.follow(written.commit, kind=FollowKind.RELEASE, targets=[…]):
            …
        follower.exit_code

A follower opens the feed, or reads a store that somebody else feeds. What it decides is decided by `domain.rollout` and `domain.verdict`; the
loop is `pursuit`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType

from backends.argocd.protocol import ArgoCD
from backends.domain.ids import AppKey, DeploymentId, Sha
from backends.domain.rollout import FeedState, Wanted
from backends.domain.verdict import Verdict, exit_code
from backends.domain.workspace import Workspace
from backends.engine import in_thread
from backends.errors import Invalid
from backends.gitops.layout import Layout
from backends.gitops.repo import Repo
from backends.gitops.workspace_layout import LAYOUT
from backends.live.feeds import ApplicationsFeed
from backends.live.following import Ask, Followed, FollowKind, FollowOptions, FollowTimes, Looked
from backends.live.pace import TIMES as FEED_TIMES
from backends.live.pace import FeedTimes
from backends.live.pursuit import Pursuit
from backends.live.snapshot import FeedStatus
from backends.live.store import Store
from backends.live.wanted import wanted_now
from backends.live.watching import OneApplication, Watching

__all__ = ["FollowKind", "FollowOptions", "FollowTimes", "Followed", "Follower", "Looked"]

WORKSPACE_LABEL = "tiphys.dev/workspace"
OPTIONS = FollowOptions()


class Follower:
    """Follows commits of one workspace, or any Application of one Argo CD.

    Args:
        repo: None where there is no workspace repository: then only `watch` of single Applications works.
        store: rows that somebody else's feeds keep; None: a store and a feed of our own, opened on entering.
        feeds: with `store`, the names of the feeds in it that answer for this workspace.
        selector: which Applications our own feed asks for; "" for those of the workspace.
        application: ask for this one alone, which no workspace names: it can only be watched.
    """

    def __init__(
        self,
        *,
        argocd: ArgoCD,
        repo: Repo | None = None,
        workspace: Workspace | None = None,
        options: FollowOptions = OPTIONS,
        store: Store | None = None,
        feeds: Sequence[str] = ("applications",),
        selector: str = "",
        application: AppKey | None = None,
        feed_times: FeedTimes = FEED_TIMES,
        layout: Layout = LAYOUT,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._argocd, self._repo, self._workspace, self._options = argocd, repo, workspace, options
        self._owns = store is None
        self.store = store if store is not None else Store()
        self._feeds, self._selector, self._feed_times = tuple(feeds), selector, feed_times
        self._layout, self._now, self._application = layout, now, application
        self._feed: asyncio.Task[None] | None = None
        self._opened = 0.0
        self._before: Mapping[AppKey, datetime | None] = {}
        self._pursuits: list[Pursuit] = []

    async def __aenter__(self) -> Follower:
        self._opened = asyncio.get_running_loop().time()
        if self._owns:
            alone = self._application
            source = OneApplication.of(self._argocd, alone.name) if alone else self._argocd
            selector = self._selector or (f"{WORKSPACE_LABEL}={self._workspace.id}" if self._workspace and not alone else "")
            feed = ApplicationsFeed(source, self.store, selector=selector, name=self._feeds[0], times=self._feed_times, now=self._now)
            self._feed = asyncio.ensure_future(feed.run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._feed is not None:
            self._feed.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._feed

    async def ready(self) -> FeedStatus:
        """Wait until the feed is live, has failed or says an error, and remember what is there before the push. Raises nothing."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        end = self.store.subscribe(lambda _: changed.set())
        deadline = loop.time() + self._options.times.ready
        try:
            while True:
                status = self._status()
                if status.state in (FeedState.LIVE, FeedState.FAILED) or status.error:
                    break
                changed.clear()
                try:
                    async with asyncio.timeout_at(deadline):
                        await changed.wait()
                except TimeoutError:
                    break
        finally:
            end()
        self.mark()
        return status

    def mark(self) -> None:
        """Remember when each Application was compared last: to be called right before the push, if `ready` is long ago."""
        rows = self.store.publish().rows
        self._before = {key: row.application.status.reconciled_at for key, row in rows.items()}

    async def follow(
        self,
        commit: Sha,
        *,
        kind: FollowKind = FollowKind.RELEASE,
        targets: Iterable[DeploymentId] = (),
        environment: str = "",
        changed_paths: Iterable[str] = (),
        has_hooks: Mapping[DeploymentId, bool] | None = None,
    ) -> AsyncGenerator[Followed, None]:
        """Each change of what is shown, until every target has its verdict. Committed comes first, the last stage last.

        Args:
            targets: the deployments to wait for; none with `FollowKind.ENVIRONMENT`.
            environment: whose Manager is waited for with `FollowKind.ENVIRONMENT`.
            changed_paths: what the commit changed; asked of git when not given.
            has_hooks: of what was rendered for the plan.

        Raises `Invalid` (no repository), `NotFound` (a target that the commit does not know), `GitError`.
        """
        if self._repo is None or self._workspace is None:
            raise Invalid("following a commit needs the workspace repository", hint="tiphys open REPO_URL --argocd URL")
        ask = Ask(
            commit=commit,
            kind=kind,
            targets=tuple(dict.fromkeys(targets)),
            environment=environment,
            paths=tuple(changed_paths),
            before=self._before,
            has_hooks=has_hooks or {},
        )
        pursuit = Pursuit(
            ask,
            argocd=self._argocd,
            repo=self._repo,
            workspace=self._workspace,
            store=self.store,
            feeds=self._feeds,
            options=self._options,
            layout=self._layout,
            opened=self._opened,
            now=self._now,
        )
        self._pursuits.append(pursuit)
        async with contextlib.aclosing(pursuit.steps()) as steps:
            async for step in steps:
                yield step

    async def watch(self, key: AppKey) -> AsyncGenerator[Followed, None]:
        """Each change of one Application, without end: of a deployment's newest release, or of what it compared where no workspace names it.

        The Application must be among those that the feed answers for (`Follower(application=…)` for any other). Raises `GitError`.
        """
        async with self._watching([key.name]) as watching:
            await watching.add({key: (await self._environments([key.name])).get(key.name, "")})
            async with contextlib.aclosing(watching.steps()) as steps:
                async for step in steps:
                    yield step

    async def look(self, ids: Iterable[DeploymentId]) -> dict[DeploymentId, Looked]:
        """One honest look at some deployments: the feed's burst, and trees, windows and events where they can change the answer.

        Raises `Invalid` (no repository), `GitError`. What Argo CD does not answer is Unknown, not an error.
        """
        if self._repo is None or self._workspace is None:
            raise Invalid("this needs the workspace repository", hint="tiphys open REPO_URL --argocd URL")
        chosen = list(dict.fromkeys(ids))
        await self.ready()
        namespace, environments = self._workspace.argocd.namespace, await self._environments(chosen)
        async with self._watching(chosen) as watching:
            await watching.add({AppKey(namespace, id): environments.get(id, "") for id in chosen})
            return {DeploymentId(key.name): one for key, one in (await watching.once()).items()}

    def _watching(self, names: Sequence[str]) -> Watching:
        repo = self._repo if self._application is None else None

        def read() -> dict[DeploymentId, Wanted]:
            return wanted_now(repo, [DeploymentId(name) for name in names]) if repo is not None else {}

        return Watching(
            self._argocd,
            self.store,
            repo=repo,
            workspace=self._workspace,
            read=read,
            feeds=self._feeds,
            options=self._options,
            now=self._now,
        )

    async def _environments(self, names: Sequence[str]) -> dict[str, str]:
        """The environment of each deployment among these."""
        if self._repo is None or self._application is not None:
            return {}
        wanted = set(names)
        tree = await in_thread(self._repo.tree)
        return {place.id: place.environment for place in self._layout.deployments(tree) if place.id in wanted}

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those of everything that was followed so far."""
        return tuple(verdict for pursuit in self._pursuits for verdict in pursuit.verdicts)

    @property
    def exit_code(self) -> int:
        """The exit code of everything that was followed (contract/cli.md)."""
        return exit_code(self.verdicts)

    def _status(self) -> FeedStatus:
        return next((feed for feed in self.store.feeds if feed.name in self._feeds), FeedStatus(name=self._feeds[0]))
