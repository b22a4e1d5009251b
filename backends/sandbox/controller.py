"""The Application controller of the sandbox: what makes it look at an Application, and the end of one.

Comparing is `refreshing`'s work, syncing `operating`'s.
"""

from __future__ import annotations

from backends.sandbox.applications import Applications
from backends.sandbox.autosync import newly_automated
from backends.sandbox.cluster import Change
from backends.sandbox.fleet import Fleet
from backends.sandbox.health import health_of
from backends.sandbox.live import LiveView
from backends.sandbox.objects import ARGO, REFRESH, Key, Manifest, dig, is_deleting, tracked_by, with_
from backends.sandbox.operating import Operator
from backends.sandbox.queue import WorkQueue
from backends.sandbox.refreshing import Level, Refresher
from backends.sandbox.repository import RepositoryServer
from backends.sandbox.syncing import children_of

_CASCADE = "resources-finalizer.argocd.argoproj.io"
_MOMENT = 0.004
_PASSING = (REFRESH, "argocd.argoproj.io/hydrate", "argocd.argoproj.io/hydrate-timestamp")


class Controller:
    """Keeps the Applications of a fleet in step with their repositories."""

    def __init__(self, fleet: Fleet, applications: Applications, repository: RepositoryServer) -> None:
        clock = fleet.world.clock
        self._fleet = fleet
        self._applications = applications
        self._clock = clock
        self._views: dict[str, LiveView] = {}
        self.refreshes = WorkQueue(clock, self._compare)
        self.operations = WorkQueue(clock, self._operate)
        self.deletions = WorkQueue(clock, self._finalize)
        self._refresher = Refresher(fleet, applications, repository, self.view, again=self.refreshes.add, operate=self.operations.add)
        self._operator = Operator(
            fleet,
            applications,
            repository,
            self.view,
            refresher=self._refresher,
            again=self.operations.add,
            refresh=self._refresh_soon,
        )
        for cluster in fleet.clusters:
            self.view(cluster.name)
        fleet.home.watch(self._on_application)

    def view(self, cluster: str) -> LiveView:
        """What Argo CD has seen of a cluster; watching begins with the first question."""
        if cluster not in self._views:
            found = self._fleet.named(cluster)
            if found is None:
                raise KeyError(cluster)
            self._views[cluster] = LiveView(found, self._on_live)
        return self._views[cluster]

    def start(self) -> None:
        """Look at every Application: at the beginning, and after a restart on saved state."""
        for name in self._applications.names():
            self._take_up(name)

    @property
    def idle(self) -> bool:
        """Whether nothing is compared, synced or deleted at this moment, and nothing waits to be."""
        running = any(dig(self._applications.get(name), "operation") for name in self._applications.names())
        return not (self.refreshes.busy or self.operations.busy or self.deletions.busy or running)

    def compare_all(self) -> None:
        """Compare every Application against the newest commit, as if each had been refreshed."""
        for name in self._applications.names():
            self.refresh(name, Level.FORCED)

    def refresh(self, name: str, level: Level) -> None:
        self._refresher.request(name, level)
        self._refresh_soon(name)

    def close(self) -> None:
        for queue in (self.refreshes, self.operations, self.deletions):
            queue.close()

    async def _compare(self, name: str) -> None:
        await self._refresher.refresh(name)

    async def _operate(self, name: str) -> None:
        await self._operator.operate(name)

    def _refresh_soon(self, name: str) -> None:
        self._clock.soon(_MOMENT, lambda: self.refreshes.add(name))

    def _take_up(self, name: str) -> None:
        application = self._applications.get(name)
        if application is None:
            return
        self.refresh(name, Level.LATEST)
        if application.get("operation"):
            self.operations.add(name)
        if is_deleting(application):
            self.deletions.add(name)

    def _on_application(self, change: Change) -> None:
        """An Application was written: by the API, a Manager, or this controller itself."""
        if change.key.kind == "AppProject":
            self._end_project(change)
            return
        if change.key.kind != "Application" or change.key.group != ARGO or change.after is None:
            return
        name, before, after = change.key.name, change.before, change.after
        if is_deleting(after):
            self.deletions.add(name)
        if after.get("operation") and (before is None or not before.get("operation") or _phase(before) != _phase(after)):
            self._clock.soon(_MOMENT, lambda: self.operations.add(name))
        if before is not None and newly_automated(before, after):
            self.refresh(name, Level.LATEST)
        elif (
            before is None
            or before["spec"] != after["spec"]
            or (dig(after, "metadata", "annotations", REFRESH) and not dig(before, "metadata", "annotations", REFRESH))
        ):
            self._refresh_soon(name)

    def _on_live(self, change: Change) -> None:
        """A live object changed: the Application that it belongs to is looked at again."""
        managed = tracked_by(change.after or change.before or {})
        if managed:
            if _matters(change):
                self._seen(managed, Level.RECENT)
            elif change.key.kind != "Application":
                self._seen(managed, Level.TREE)
            return
        owner = self._root_owner(change)
        if owner:
            self._seen(owner, Level.TREE)

    def _seen(self, name: str, level: Level) -> None:
        application = self._applications.get(name)
        if application is None:
            return
        self.refresh(name, level)
        if application.get("operation") and level > Level.TREE:
            self._clock.soon(_MOMENT * 2, lambda: self.operations.add(name))
        if is_deleting(application):
            self.deletions.add(name)

    def _root_owner(self, change: Change) -> str:
        obj = change.after or change.before
        for _ in range(5):
            owner = next(iter(dig(obj, "metadata", "ownerReferences", default=())), None)
            if owner is None:
                return ""
            group = str(owner.get("apiVersion", "")).rpartition("/")[0]
            obj = change.cluster.get(Key(group, str(owner["kind"]), change.key.namespace, str(owner["name"])))
            if obj is None:
                return ""
            if name := tracked_by(obj):
                return name
        return ""

    async def _finalize(self, name: str) -> None:
        """Go on with the deletion of an Application: its resources first, if it cascades, then itself."""
        application = self._applications.get(name)
        if application is None or not is_deleting(application) or application.get("operation"):
            return
        held = dig(application, "metadata", "finalizers", default=[])
        if any(str(one).startswith(_CASCADE) for one in held):
            await self._clock.tick(0.03)
            cluster = self._fleet.find(dig(application, "spec", "destination", default={}))
            if cluster is not None:
                view = self.view(cluster.name)
                children = children_of(view, name)
                going = [key for key in children if is_deleting(cluster.get(key) or {})]
                if not going:
                    for key in children:
                        cluster.delete(key)
                if children_of(view, name):
                    self.deletions.add(name, 1.0)
                    return
            self._fleet.home.drop_finalizer(Applications.key(name), *[one for one in held if str(one).startswith(_CASCADE)])

    def _end_project(self, change: Change) -> None:
        """A project's finalizer goes when no Application refers to it any more."""
        after = change.after
        if after is None or not is_deleting(after):
            return
        name = change.key.name
        used = any(dig(self._applications.get(one), "spec", "project") == name for one in self._applications.names())
        if used:
            self._clock.later(1.0, lambda: self._retry_project(change.key))
        else:
            self._clock.soon(_MOMENT, lambda: self._fleet.home.drop_finalizer(change.key, _CASCADE))

    def _retry_project(self, key: Key) -> None:
        project = self._fleet.home.get(key)
        if project is not None:
            self._end_project(Change(self._fleet.home, key, project, project))


def _phase(application: Manifest) -> object:
    return dig(application, "status", "operationState", "phase")


def _matters(change: Change) -> bool:
    """Whether a change of a managed object can change a comparison: Argo CD ignores updates of status alone, unless health moved."""
    if change.before is None or change.after is None:
        return True
    if change.key.kind == "Application" and change.key.group == ARGO:
        return _settled(change.before) != _settled(change.after)
    if {k: v for k, v in change.before.items() if k not in ("metadata", "status")} != {
        k: v for k, v in change.after.items() if k not in ("metadata", "status")
    }:
        return True
    if is_deleting(change.before) != is_deleting(change.after):
        return True
    return health_of(change.before) != health_of(change.after)


def _settled(application: Manifest) -> Manifest:
    """What of a child Application its Manager compares."""
    out: Manifest = {"spec": application.get("spec"), "metadata": dict(application["metadata"])}
    for field in ("resourceVersion", "generation", "managedFields"):
        out["metadata"].pop(field, None)
    for name in _PASSING:
        if dig(out, "metadata", "annotations", name) is not None:
            out = with_(out, None, "metadata", "annotations", name)
    if not dig(out, "metadata", "annotations", default={}):
        out["metadata"].pop("annotations", None)
    return out
