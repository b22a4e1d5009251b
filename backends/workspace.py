"""The one object that a screen or a command is given: a workspace's repository, its Argo CD, and what is known of both.

Either may be absent: an Argo CD alone is looked at and synced, a repository alone is read, planned and written. Nothing is contacted
before the first call that needs it. Blocking work runs on daemon threads (`engine.in_thread`) and is stopped when its caller is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backends.engine import Cancel, in_thread
from backends.errors import Refused

if TYPE_CHECKING:
    from backends.argocd.protocol import ArgoCD
    from backends.domain.ids import AppKey, ChangeId, DeploymentId, Sha
    from backends.domain.release import Release
    from backends.gitops.catalog import Catalog
    from backends.gitops.intent import Intent
    from backends.gitops.journal import Entry, Journal, Outcome
    from backends.gitops.layout import Place
    from backends.gitops.plan import Observed, Plan
    from backends.gitops.progress import OnProgress
    from backends.gitops.repo import Repo
    from backends.gitops.tree import Tree
    from backends.gitops.writer import Written
    from backends.live.follow import Follower
    from backends.live.following import FollowOptions, Looked
    from backends.live.nudge import Notice
    from backends.live.observations import Observations
    from backends.live.snapshot import FeedStatus
    from backends.render.renderer import Renderer


class Workspace:
    """One workspace, opened.

    Args:
        name: what the user calls it; "" when it is not remembered.
        repo: our clone of its repository; None without one.
        argocd: its Argo CD; None without one.
        readonly: refuse every write, here and in the writer.
        cache_dir, state_dir: folders of Tiphys' own.
    """

    def __init__(
        self, *, name: str = "", repo: Repo | None, argocd: ArgoCD | None, readonly: bool = False, cache_dir: Path, state_dir: Path
    ) -> None:
        self.name = name
        self.readonly = readonly
        self.cache_dir = cache_dir
        self.state_dir = state_dir
        self._repo = repo
        self._argocd = argocd
        self._renderer: Renderer | None = None

    @property
    def server(self) -> ArgoCD:
        """Its Argo CD. Raises `Refused` without one."""
        if self._argocd is None:
            raise Refused("no Argo CD was named", hint="--argocd URL, or tiphys open --argocd URL once")
        return self._argocd

    @property
    def repo(self) -> Repo:
        """Our clone. Raises `Refused` without one."""
        if self._repo is None:
            raise Refused("this needs the workspace repository", hint="--repo URL, or tiphys open REPO_URL --argocd URL once")
        return self._repo

    @property
    def has_server(self) -> bool:
        return self._argocd is not None

    @property
    def has_repo(self) -> bool:
        return self._repo is not None

    # ── reading Git ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch(self, *, progress: OnProgress | None = None) -> Tree:
        """Bring the branch here and give its tree (empty where there is no such branch yet). Raises `GitError`, `TimedOut`."""
        cancel = Cancel()
        await in_thread(partial(self.repo.fetch, progress=progress, cancel=cancel), cancel=cancel)
        return await in_thread(self.repo.tree)

    def tree(self, commit: Sha | None = None) -> Tree:
        """The tree of a commit that is here; by default of the branch's head."""
        return self.repo.tree(commit)

    async def catalog(self, *, progress: Callable[[int, int], None] | None = None) -> Catalog:
        """The whole repository as typed values, with what is wrong in it."""
        from backends.gitops import catalog

        cancel = Cancel()
        read = partial(catalog.read, self.tree(), cache_dir=self.cache_dir, progress=progress, cancel=cancel)
        return await in_thread(read, cancel=cancel)

    async def managed(self) -> frozenset[str]:
        """The names of Applications that this workspace's repository is about, by what was fetched last: deployments, root, Managers."""
        from backends.gitops import files
        from backends.gitops.workspace_layout import LAYOUT

        def read() -> frozenset[str]:
            if self.repo.head() is None:
                self.repo.fetch()
            tree = self.repo.tree()
            root = files.workspace(tree).root_name
            managers = {f"{root}--{environment}" for environment in files.environments(tree)}
            return frozenset({root, *managers, *(place.id for place in LAYOUT.deployments(tree))})

        return await in_thread(read)

    async def has_deployment(self, name: str) -> bool:
        """Whether the repository, as fetched last, names a deployment of that id."""
        from backends.gitops.workspace_layout import LAYOUT

        return await in_thread(lambda: any(place.id == name for place in LAYOUT.deployments(self.tree())))

    async def history(
        self, *, deployment: DeploymentId | None = None, app: str | None = None, environment: str | None = None, limit: int | None = None
    ) -> tuple[Release, ...]:
        """Releases, newest first, by what was fetched last."""
        from backends.gitops import history

        def read() -> tuple[Release, ...]:
            return tuple(history.history(self.repo, deployment=deployment, app=app, environment=environment, limit=limit))

        return await in_thread(read)

    async def last_changes(self) -> Mapping[DeploymentId, Release]:
        """The newest release of every deployment."""
        from backends.gitops import history

        return await in_thread(history.last_changes, self.repo)

    async def earlier(self, place: Place, releases: Sequence[Release]) -> list[Release]:
        """The releases that a rollback can go back to, newest first; those known never to have been Live are left out."""
        from backends.gitops import earlier

        observations = self.observations()

        def was_live(commit: Sha) -> bool | None:
            seen = observations.of(place.id, commit)
            return seen.was_live if seen else None

        return await in_thread(lambda: list(earlier.earlier(self.repo, self.tree(), place, releases, was_live)))

    # ── writing Git ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def plan(self, intent: Intent, *, observed: Observed | None = None) -> Plan:
        """What an intent would do to the head that was fetched last: nothing is written.

        Raises what the intent raises; what does not render is a warning of the plan, since capabilities differ from the cluster's.
        """
        from backends.gitops import plan

        cancel = Cancel()
        work = partial(plan.plan, intent, self.tree(), renderer=partial(self.renderer.render, cancel=cancel), observed=observed)
        return await in_thread(work, cancel=cancel)

    async def observed(self) -> Observed:
        """What Argo CD shows of this workspace's Applications now, for a plan's warnings. Raises `BackendError`."""
        from backends.gitops import files
        from backends.gitops.plan import Observed

        identity = files.workspace(self.tree()).id
        rows = await self.server.list_applications(selector=f"tiphys.dev/workspace={identity}")
        return Observed(applications={row.metadata.name: row for row in rows})

    async def run(
        self,
        plan: Plan,
        *,
        change: ChangeId,
        shown: bool,
        reason: str = "",
        progress: OnProgress | None = None,
    ) -> Written:
        """Carry out a confirmed plan: journal, commit, push, again when somebody was first. Raises what `writer.write` raises.

        `shown`: somebody has seen the plan, so it is bound to what it showed; else it is bound by locks alone.
        """
        intent, expects = (plan.bound, plan.expects) if shown else (plan.intent, {})
        return await self.write(intent, change=change, expects=expects, reason=reason, progress=progress)

    async def write(
        self,
        intent: Intent,
        *,
        change: ChangeId,
        expects: Mapping[str, str | None] | None = None,
        reason: str = "",
        progress: OnProgress | None = None,
    ) -> Written:
        """Carry out a confirmed intent, a new one or one of the journal."""
        from backends.gitops import writer

        cancel = Cancel()
        work = partial(
            writer.write,
            self.repo,
            intent,
            change=change,
            expects=expects,
            reason=reason,
            progress=progress,
            cancel=cancel,
            journal=self.journal,
            readonly=self.readonly,
        )
        return await in_thread(work, cancel=cancel)

    # ── live ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def nudge(self, written: Written) -> tuple[Notice, ...]:
        """Ask Argo CD to look at what a commit concerns, for a caller that does not follow it. What only a follower can time is left."""
        from backends.gitops import files
        from backends.gitops.tree import Tree
        from backends.live import nudge

        if written.commit is None:
            return ()
        paths = await in_thread(lambda commit: next(self.repo.commits([commit], names=True)).paths, written.commit)
        after = self.tree(written.commit)
        before = self.tree(written.parent) if written.parent else Tree.of({})
        workspace = files.workspace(after)
        found = [one for one in nudge.nudges(paths, before, after, workspace) if one.when is nudge.When.NOW]
        return await nudge.run(found, self.server, workspace.argocd.namespace)

    def follower(self, options: FollowOptions) -> Follower:
        """Follows commits of this workspace; open it before the push."""
        from backends.gitops import files
        from backends.live.follow import Follower

        return Follower(argocd=self.server, repo=self.repo, workspace=files.workspace(self.tree()), options=options)

    async def watcher(self, key: AppKey) -> Follower:
        """Follows one Application without a commit of ours, whether a directory of the workspace names it or not."""
        from backends.live.follow import Follower
        from backends.live.following import FollowOptions

        options = FollowOptions(nudge=False)
        if self.has_repo and await self.has_deployment(key.name):
            return self.follower(options)
        return Follower(argocd=self.server, application=key, options=options)

    def observations(self) -> Observations:
        """What was seen of releases: a cache."""
        from backends.gitops import files
        from backends.live.observations import Observations

        return Observations(self.state_dir / "observations" / f"{files.workspace(self.tree()).id}.json")

    async def look(self, ids: Sequence[DeploymentId]) -> tuple[Mapping[DeploymentId, Looked], FeedStatus]:
        """One honest look at deployments: the feed's burst, and trees, windows and events where they matter."""
        from backends.live.following import FollowOptions

        async with self.follower(FollowOptions(nudge=False)) as follower:
            status = await follower.ready()
            return await follower.look(ids), status

    @property
    def journal(self) -> Journal:
        """The journal of this workspace's unfinished changes."""
        from backends.gitops.intents import encode
        from backends.gitops.journal import Journal

        return Journal(self.state_dir / "journal" / self.repo.folder.name, encode)

    def pending(self) -> list[tuple[Entry, Outcome]]:
        """Unfinished changes of this repository and branch and what became of each, by what was fetched last."""
        entries, _ = self.journal.entries()
        ours = [one for one in entries if (one.url, one.branch) == (self.repo.url, self.repo.branch)]
        return [(one, self.journal.outcome(one, self.repo)[0]) for one in ours]

    @property
    def renderer(self) -> Renderer:
        """The warm renderer; its process starts with the first chart."""
        if self._renderer is None:
            from backends.render.renderer import Renderer

            self._renderer = Renderer()
        return self._renderer

    async def close(self) -> None:
        """Close connections and end child processes."""
        if self._argocd is not None:
            await self._argocd.close()
        if self._renderer is not None:
            self._renderer.close()
        if self._repo is not None:
            self._repo.close()
