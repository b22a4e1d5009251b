"""What a close look at Applications needs beyond the feed: trees, sync windows, events, and whether an absent one is there at all.

Asked for where it can change the answer and nowhere else (contract/rollout.md, *Trees, sparingly*): a tree while something rolls out, windows
of what is OutOfSync without an operation, events of a pod that finds no node, the Application by name when its Manager has synced it and it
is not there. Answers are kept in the `Target`; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from datetime import datetime

import msgspec

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import Application, Node, ResourceTree
from backends.domain import operation, pods, upkeep
from backends.domain.ids import AppKey
from backends.domain.rollout import ContainsCommit, FeedState, Seen
from backends.errors import BackendError, Forbidden, NotFound
from backends.live.errands import Errands
from backends.live.following import FollowOptions
from backends.live.snapshot import FeedStatus, TreeView
from backends.live.store import Row, Store
from backends.live.target import Target

FEW = 8
"""Targets whose trees are read at the usual pace; of more, each is read the more rarely."""
PODS = 2
"""Pods without a node whose events are asked for: those of one ReplicaSet wait for the same reason."""


class Looks:
    """Closer looks at the targets of one follower.

    Args:
        feeds: names of the feeds in `store` that answer for the targets.
        told: called with the key of a target that an answer came for.
    """

    def __init__(
        self,
        argocd: ArgoCD,
        store: Store,
        errands: Errands,
        *,
        feeds: tuple[str, ...],
        options: FollowOptions,
        now: Callable[[], datetime],
        told: Callable[[AppKey], None] = lambda _: None,
    ) -> None:
        self._told = told
        self._argocd, self._store, self._errands = argocd, store, errands
        self._feeds, self._options, self._now = feeds, options, now
        self._targets: dict[AppKey, Target] = {}
        self.refresh_forbidden: dict[str, str] = {}
        """Name of a root or Manager → why we may not refresh it."""
        self._end = store.observe(self._observed)

    def add(self, target: Target) -> None:
        self._targets[target.key] = target

    def rest(self, target: Target) -> None:
        """Nobody waits for this one any more: its stream is another's."""
        self._errands.stop(("stream", target.key))

    def close(self) -> None:
        self._end()

    def feed(self) -> FeedStatus:
        """How far the rows can be believed: as the worst of the feeds."""
        order = (FeedState.FAILED, FeedState.CONNECTING, FeedState.STALE, FeedState.LIVE)
        found = [feed for feed in self._store.feeds if feed.name in self._feeds]
        return min(found, key=lambda feed: order.index(feed.state), default=FeedStatus(name="", state=FeedState.CONNECTING))

    def application(self, key: AppKey | None) -> Application | None:
        row = self._store.row(key) if key else None
        return row.application if row else None

    def seen(self, target: Target, *, manager: AppKey | None = None, root: AppKey | None = None) -> Seen:
        """What is known of a target now."""
        app, feed = self.application(target.key), self.feed()
        if app is not None and app.status.resources is None and target.resources is not None:
            app = msgspec.structs.replace(app, status=msgspec.structs.replace(app.status, resources=target.resources))
        forbidden = self.refresh_forbidden
        return Seen(
            feed=feed.state,
            application=app,
            gone=app is None and (target.deleted or target.not_found),
            forbidden=target.forbidden,
            not_found=target.not_found,
            tree=target.tree,
            windows=target.windows,
            manager=self.application(manager),
            root=self.application(root),
            scheduling=target.scheduling,
            hard_refreshed=target.hard_refreshed,
            refresh_forbidden=next((forbidden[key.name] for key in (manager, root) if key and key.name in forbidden), ""),
            feed_error=feed.error,
            feed_since=feed.since,
        )

    def ask(self, target: Target, seen: Seen, contains: ContainsCommit, *, followed: bool = True) -> None:
        """Start the questions whose answers matter for what was just seen, unless they were put lately.

        Args:
            followed: it is looked at again and again, so its tree may have a stream of its own and its absence may pass.
        """
        app = seen.application
        self._ask_tree(target, app, followed)
        self._ask_windows(target, app)
        self._ask_resources(target, app)
        self._ask_events(target)
        if app is None and seen.feed is FeedState.LIVE and not (target.deleted or target.not_found or target.forbidden):
            self._ask_absent(target, seen, contains, self._options.times.absent if followed else 0.0)

    def tree_now(self, target: Target) -> bool:
        """Whether a bad verdict may be given: the tree that tells why is here, or could not be had. Asks for it if nobody has."""
        if target.tree is not None or self.application(target.key) is None:
            return True
        asked = target.asked.get("evidence")
        now = _time()
        if asked is None:
            target.asked["evidence"] = now
            self._errands.start(("tree", target.key), functools.partial(self.get_tree, target))
            return False
        return not self._errands.running(("tree", target.key)) or now - asked >= self._options.times.evidence

    # the questions

    async def get_tree(self, target: Target) -> None:
        project = target.project_of(self.application(target.key))
        try:
            self._take_tree(target, await self._argocd.resource_tree(target.key, project=project))
        except BackendError:  # without a tree the row still tells Argo CD's own word
            return

    async def get_windows(self, target: Target) -> None:
        project = target.project_of(self.application(target.key))
        try:
            target.windows = await self._argocd.sync_windows(target.key, project=project)
        except BackendError:  # not allowed or not now: nobody says that it is blocked
            target.windows = None
        self._told(target.key)

    async def get_resources(self, target: Target) -> None:
        try:
            answer = await self._argocd.get_application(target.key, project=target.project_of(self.application(target.key)))
        except BackendError:  # the row still tells that something differs or is left
            return
        target.resources = answer.status.resources
        self._told(target.key)

    async def get_events(self, target: Target, node: Node) -> None:
        project = target.project_of(self.application(target.key))
        try:
            found = await self._argocd.events(target.key, project=project, node=node)
        except BackendError:  # events are kept for an hour and by no promise
            return
        known = {event.metadata.uid for event in target.scheduling}
        target.scheduling += tuple(event for event in found if event.metadata.uid not in known)
        self._told(target.key)

    async def get_absent(self, target: Target) -> None:
        """404 means that it is not there, 403 that we may not see it (contract/argocd-live.md, *403 and 404*)."""
        ticket = self._store.begin_list()
        try:
            self._store.apply_get(await self._argocd.get_application(target.key, project=target.project), ticket)
        except NotFound:
            target.not_found = self.application(target.key) is None
        except Forbidden:
            target.forbidden = self.application(target.key) is None
        except BackendError:  # asked again; the feed says how Argo CD does
            return
        self._told(target.key)

    # when to ask them

    def _ask_tree(self, target: Target, app: Application | None, followed: bool) -> None:
        name, stream = ("tree", target.key), ("stream", target.key)
        if app is None or not rolls_out(app):
            self._errands.stop(stream)
            return
        every = self._options.times.tree * max(1.0, len(self._targets) / FEW)
        if followed and not self._errands.running(stream) and self._errands.count("stream") < self._options.streams:
            self._errands.start(stream, functools.partial(self._stream_tree, target), counts=False)
        if self._errands.running(stream):
            every = self._options.times.tree_streamed
        if target.due("tree", now := _time(), every) and self._errands.start(name, functools.partial(self.get_tree, target)):
            target.asked["tree"] = now

    async def _stream_tree(self, target: Target) -> None:
        """Every change of a tree; a stream says nothing when it opens, so each opening has the tree asked for."""
        while True:
            target.asked.pop("tree", None)
            stream = self._argocd.watch_tree(target.key, project=target.project_of(self.application(target.key)))
            try:
                async for tree in stream:
                    if tree is not None:
                        self._take_tree(target, tree)
            except BackendError:  # the feed tells when Argo CD is away
                pass
            finally:
                close = getattr(stream, "aclose", None)
                if close is not None:
                    await close()
            await asyncio.sleep(self._options.times.tree)

    def _take_tree(self, target: Target, tree: ResourceTree) -> None:
        target.tree = tree
        self._told(target.key)
        if self._store.row(target.key) is not None:
            self._store.put_tree(target.key, TreeView(tree, self._now()))
        if not self._unplaced(target):
            target.scheduling = ()

    def _ask_windows(self, target: Target, app: Application | None) -> None:
        if app is None or app.partial:
            return
        if app.status.sync.status != "OutOfSync" or _busy(app):
            target.windows = None
            target.asked.pop("windows", None)
            return
        if target.due("windows", now := _time(), self._options.times.windows) and self._errands.start(
            ("windows", target.key), functools.partial(self.get_windows, target)
        ):
            target.asked["windows"] = now

    def _ask_resources(self, target: Target, app: Application | None) -> None:
        """Which resources differ, are left of what is deleted, or of which wave a sync waits for one: feeds do without the longest part of an
        Application.
        """
        if app is None or app.partial:
            return
        running = operation.current(app, None)
        busy = running is not None and running.active
        waits = running is not None and busy and operation.waited_for(running)[0] == "resource"
        if app.metadata.deletion_timestamp is None and not waits and (app.status.sync.status != "OutOfSync" or busy):
            target.resources = None
            target.asked.pop("resources", None)
            return
        if target.due("resources", now := _time(), self._options.times.resources) and self._errands.start(
            ("resources", target.key), functools.partial(self.get_resources, target)
        ):
            target.asked["resources"] = now

    def _ask_events(self, target: Target) -> None:
        for node in self._unplaced(target)[:PODS]:
            if target.due(f"events {node.uid}", now := _time()) and self._errands.start(
                ("events", node.uid), functools.partial(self.get_events, target, node)
            ):
                target.asked[f"events {node.uid}"] = now

    def _ask_absent(self, target: Target, seen: Seen, contains: ContainsCommit, grace: float) -> None:
        wanted, now = target.wanted, _time()
        if wanted is None:
            return
        if not wanted.removed and upkeep.holdup(seen, wanted.commit, contains, now=self._now()) is not None:
            target.asked.pop("absent", None)
            return
        since = target.asked.setdefault("absent", now)
        if now - since >= grace and target.due("get", now, self._options.times.absent_again):
            target.asked["get"] = now
            self._errands.start(("absent", target.key), functools.partial(self.get_absent, target))

    def _unplaced(self, target: Target) -> tuple[Node, ...]:
        """Pods of the release that have waited for a node for 10 s."""
        if target.tree is None:
            return ()
        release = pods.of_release(target.tree)
        names = {one.name for one in pods.troubles(release, now=self._now()) if one.kind is pods.Kind.UNSCHEDULED}
        return tuple(node for node in release if node.name in names)

    def _observed(self, before: Row | None, after: Row | None) -> None:
        row = after or before
        target = self._targets.get(row.application.key) if row else None
        if target is None:
            return
        if after is None or before is None:
            target.heard(after.application if after else None)


def rolls_out(app: Application) -> bool:
    """Whether its tree can tell more than its row: something is on its way, or failed on it."""
    return app.metadata.deletion_timestamp is None and (app.status.health.status in ("Progressing", "Degraded") or _busy(app))


def _busy(app: Application) -> bool:
    running = operation.current(app, None)
    return running is not None and running.active


def _time() -> float:
    return asyncio.get_running_loop().time()
