"""Comparing an Application again: when, against what, and what is written of it.

Argo CD's `processAppRefreshQueueItem`: levels of comparison, conditions, auto-sync, status, and at last the refresh annotation.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from backends.engine import in_thread
from backends.sandbox.applications import Applications
from backends.sandbox.autosync import decide
from backends.sandbox.clock import Clock
from backends.sandbox.comparison import Comparison, compare
from backends.sandbox.fleet import Fleet
from backends.sandbox.live import LiveView
from backends.sandbox.objects import REFRESH, Manifest, annotation, dig, uid_of
from backends.sandbox.projects import sources_of, spec_problems, windows_of
from backends.sandbox.repository import Generated, RepositoryServer
from backends.sandbox.sources import GenerationError
from backends.sandbox.tree import summary_of, tree_of

POLL, POLL_JITTER = 120.0, 60.0
REPO_ERROR_GRACE = 180.0
_COMPARED = ("ComparisonError", "SharedResourceWarning", "RepeatedResourceWarning")
_SPEC_ERRORS = ("InvalidSpecError", "UnknownError")


class Level(enum.IntEnum):
    """How much is compared: only the tree, live state at the known revision, the newest known revision, the newest there is."""

    TREE = 0
    RECENT = 1
    LATEST = 2
    FORCED = 3


class Refresher:
    """Compares Applications.

    Args:
        again: asks for another refresh of an Application after some seconds.
        operate: wakes the operation of an Application.
    """

    def __init__(
        self,
        fleet: Fleet,
        applications: Applications,
        repository: RepositoryServer,
        view: Callable[[str], LiveView],
        *,
        again: Callable[[str, float], None],
        operate: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._applications = applications
        self._repository = repository
        self._view = view
        self._again = again
        self._operate = operate
        self._clock: Clock = fleet.world.clock
        self._requested: dict[str, Level] = {}
        self._repo_errors: dict[str, float] = {}
        self._compared_at: dict[str, float] = {}
        self._jitter: dict[str, float] = {}
        self.finished_at: dict[str, float] = {}
        """When the last operation of an Application (by uid) ended, in simulated seconds."""

    def request(self, name: str, level: Level) -> None:
        """The next refresh of an Application compares at least this much."""
        self._requested[name] = max(level, self._requested.get(name, Level.TREE))

    def due_in(self, name: str) -> float:
        """Simulated seconds until an Application is compared without being asked."""
        jitter = self._jitter.setdefault(name, self._fleet.world.fraction() * POLL_JITTER)
        return max(0.0, POLL + jitter - (self._clock.mark() - self._compared_at.get(name, self._clock.mark())))

    async def refresh(self, name: str) -> None:
        application = self._applications.get(name)
        if application is None:
            return
        asked = annotation(application, REFRESH)
        level = self._level(application, name, asked=bool(asked))
        if level is None:
            return
        cluster = self._fleet.find(dig(application, "spec", "destination", default={}))
        if level is Level.TREE and cluster is not None and name in self._applications.managed:
            self._update_tree(application, name)
            return
        self._compared_at[name] = self._clock.mark()
        project = self._fleet.project(str(dig(application, "spec", "project", default="default")))
        problems = self._spec_conditions(application, project)
        if problems or cluster is None or project is None:
            await self._refuse(application, problems)
        else:
            view = self._view(cluster.name)
            generated = await self._generate(application, level, hard=asked == "hard")
            if generated is None:
                return
            comparison = compare(application, project, view, generated, self._revisions(application, level))
            await self._write(application, project, comparison, level)
        if asked:
            await self._clock.tick(0.012)
            current = self._applications.get(name)
            if current is not None and annotation(current, REFRESH) == asked:
                self._applications.annotate(name, {REFRESH: None})
            elif current is not None and annotation(current, REFRESH):
                self._again(name, 0.0)
        if not self._clock.playing:
            self._again(name, self.due_in(name))

    def _level(self, application: Manifest, name: str, *, asked: bool) -> Level | None:
        requested = self._requested.pop(name, None)
        if asked:
            return Level.FORCED
        compared = dig(application, "status", "sync", "comparedTo", default={})
        spec = application["spec"]
        same = compared.get("sources") == spec["sources"] if spec.get("sources") else compared.get("source") == sources_of(spec)[0]
        if not same:
            return Level.FORCED
        expired = not dig(application, "status", "reconciledAt") or (self.due_in(name) <= 0.001 and not self._clock.playing)
        moved = compared.get("destination") != spec.get("destination") or (compared.get("ignoreDifferences") or []) != (
            spec.get("ignoreDifferences") or []
        )
        if expired or moved:
            return Level.LATEST
        return requested

    def _revisions(self, application: Manifest, level: Level) -> list[str]:
        sources = sources_of(application["spec"])
        if level is Level.RECENT:
            known = dig(application, "status", "sync", "revisions") or [dig(application, "status", "sync", "revision", default="")]
            if len(known) == len(sources):
                return [str(one) for one in known]
        return [str(one.get("targetRevision") or "") for one in sources]

    async def _generate(self, application: Manifest, level: Level, *, hard: bool) -> Generated | str | None:
        """Manifests, or why there are none; None when trouble with the repository is not told yet."""
        name, sources = str(application["metadata"]["name"]), sources_of(application["spec"])
        forced = level is Level.FORCED
        try:
            generated = await in_thread(
                self._repository.generate, application, sources, self._revisions(application, level), no_cache=hard, force=forced
            )
        except GenerationError as error:
            since = self._repo_errors.setdefault(name, self._clock.mark())
            if not forced and self._clock.mark() - since <= REPO_ERROR_GRACE:
                return None
            return str(error)
        self._repo_errors.pop(name, None)
        return generated

    def _spec_conditions(self, application: Manifest, project: Manifest | None) -> list[tuple[str, str]]:
        spec = application["spec"]
        if project is None:
            return [("InvalidSpecError", f"Application referencing project {spec.get('project', 'default')} which does not exist")]
        cluster = self._fleet.find(spec.get("destination") or {})
        return [("InvalidSpecError", text) for text in spec_problems(spec, project, cluster)]

    async def _refuse(self, application: Manifest, problems: list[tuple[str, str]]) -> None:
        """A spec that may not be: nothing can be said of it."""
        name = str(application["metadata"]["name"])
        await self._clock.tick(0.015)

        def change(current: Manifest) -> Manifest:
            status = dict(current.get("status") or {})
            self._set_conditions(status, problems, _SPEC_ERRORS)
            status["sync"] = status.get("sync", {"comparedTo": {"source": {"repoURL": ""}, "destination": {}}}) | {"status": "Unknown"}
            status["health"] = self._health(status, "Unknown", "")
            return current | {"status": status}

        self._applications.set_tree(name, {"nodes": []}, ())
        self._persist(name, application, change)

    async def _write(self, application: Manifest, project: Manifest, comparison: Comparison, level: Level) -> None:
        name, reconciled = str(application["metadata"]["name"]), self._clock.stamp()
        cluster = self._fleet.find(application["spec"]["destination"])
        if cluster is None:
            return
        tree = tree_of(comparison.managed, cluster)
        self._applications.set_tree(name, tree, comparison.managed)
        windows = windows_of(project, application, self._clock.now())
        sync_errors: list[tuple[str, str]] | None = None
        if windows.can_sync(manual=False):
            sync_errors = await self._auto_sync(application, comparison)
        await self._clock.tick(0.015)

        def change(current: Manifest) -> Manifest:
            status = dict(current.get("status") or {})
            self._set_conditions(status, comparison.conditions, (*_COMPARED, *_SPEC_ERRORS))
            if sync_errors is not None:
                self._set_conditions(status, sync_errors, ("SyncError",))
            status |= {
                "resources": comparison.resources or None,
                "sync": comparison.sync,
                "health": self._health(status, comparison.health, comparison.health_message),
                "summary": summary_of(self._applications.trees.get(name, tree)),
                "resourceHealthSource": "appTree",
                "controllerNamespace": "argocd",
            }
            if len(comparison.kinds) > 1:
                status["sourceTypes"] = list(comparison.kinds)
            elif comparison.kinds:
                status["sourceType"] = comparison.kinds[0]
            if level >= Level.LATEST or "reconciledAt" not in status:
                status["reconciledAt"] = reconciled
            return current | {"status": _ordered(status)}

        self._persist(name, application, change)

    async def _auto_sync(self, application: Manifest, comparison: Comparison) -> list[tuple[str, str]]:
        name = str(application["metadata"]["name"])
        ended = self.finished_at.get(uid_of(application))
        if ended is None and (stamp := dig(application, "status", "operationState", "finishedAt")):
            ended = self._clock.mark() - self._clock.since(str(stamp))
        decision = decide(application, comparison, since_finished=None if ended is None else self._clock.mark() - ended)
        if decision.again is not None:
            self.request(name, Level.LATEST)
            self._again(name, decision.again)
        if decision.operation is not None and self._applications.set_operation(name, decision.operation) is not None:
            self._audit(application, "OperationStarted", f"Initiated automated sync to '{', '.join(comparison.revisions)}'")
            self._operate(name)
            await self._clock.tick(0.015)  # the operation is taken up before the comparison is written
        return [("SyncError", decision.error)] if decision.error else []

    def _update_tree(self, application: Manifest, name: str) -> None:
        cluster = self._fleet.find(application["spec"]["destination"])
        if cluster is None:
            return
        view = self._view(cluster.name)
        managed = tuple(one._replace(live=view.get(one.key)) for one in self._applications.managed[name])
        tree = tree_of(managed, cluster)
        self._applications.set_tree(name, tree)
        summary = summary_of(tree)
        if dig(application, "status", "summary") != summary:
            self._applications.change(name, lambda app: app | {"status": _ordered((app.get("status") or {}) | {"summary": summary})})

    def _persist(self, name: str, before: Manifest, change: Callable[[Manifest], Manifest]) -> None:
        after = self._applications.change(name, change)
        if after is None:
            return
        for what, word in (("sync", "sync status"), ("health", "health status")):
            old, new = (str(dig(app, "status", what, "status", default="")) for app in (before, after))
            if old != new:
                cause = str(dig(after, "status", "health", "message", default="")) if what == "health" else ""
                self._audit(after, "ResourceUpdated", f"Updated {word}: {old} -> {new}" + (f" ({cause})" if cause else ""))

    def _health(self, status: Manifest, health: str, message: str) -> Manifest:
        old = status.get("health") or {}
        since = old.get("lastTransitionTime") if old.get("status") == health else self._clock.stamp()
        out = {"status": health} | ({"lastTransitionTime": since} if since else {})
        return out | ({"message": message} if message else {})

    def _set_conditions(self, status: Manifest, found: list[tuple[str, str]], evaluated: tuple[str, ...]) -> None:
        """Replace the conditions of these types; one that stays keeps its time."""
        old = status.get("conditions") or []
        kept = [one for one in old if one["type"] not in evaluated]
        for kind, message in found:
            same = next((one for one in old if one["type"] == kind and one["message"] == message), None)
            kept.append(same or {"type": kind, "message": message, "lastTransitionTime": self._clock.stamp()})
        kept.sort(key=lambda one: str(one["type"]))
        if kept:
            status["conditions"] = kept
        else:
            status.pop("conditions", None)

    def _audit(self, application: Manifest, reason: str, message: str) -> None:
        audit(self._fleet, application, reason, message)


def audit(fleet: Fleet, application: Manifest, reason: str, message: str, *, kind: str = "Normal", user: str = "") -> None:
    """Write the Kubernetes event that Argo CD writes about an Application."""
    destination = dig(application, "spec", "destination", default={})
    notes = {"dest-namespace": str(destination.get("namespace", "")), "dest-server": str(destination.get("server", ""))}
    if user:
        notes["user"] = user
    component = "argocd-server" if user else "argocd-application-controller"
    fleet.home.events.audit(application, reason, message, kind=kind, component=component, annotations=notes)


_ORDER = (
    "resources",
    "sync",
    "health",
    "history",
    "conditions",
    "reconciledAt",
    "operationState",
    "sourceType",
    "summary",
    "resourceHealthSource",
    "sourceTypes",
    "controllerNamespace",
    "sourceHydrator",
)


def _ordered(status: Manifest) -> Manifest:
    """Status in the order of Argo CD's type."""
    return {key: status[key] for key in _ORDER if key in status} | status
