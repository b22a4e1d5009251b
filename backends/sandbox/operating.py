"""Running operations: requested, Running, waiting, retried, terminated, done (`processRequestedAppOperation`, `SyncAppState`)."""

from __future__ import annotations

from collections.abc import Callable

from backends.engine import in_thread
from backends.sandbox.applications import Applications
from backends.sandbox.autosync import retry_pause
from backends.sandbox.clock import Clock, parse
from backends.sandbox.comparison import Comparison, compare
from backends.sandbox.fleet import Fleet
from backends.sandbox.live import LiveView
from backends.sandbox.objects import Manifest, dig, uid_of, with_
from backends.sandbox.projects import unknown_cluster, windows_of
from backends.sandbox.refreshing import Level, Refresher, audit
from backends.sandbox.repository import RepositoryServer
from backends.sandbox.sources import GenerationError
from backends.sandbox.syncing import Step, Sync, shares_resources

WAVE_PAUSE = 2.0
"""Seconds that Argo CD waits between two waves (ARGOCD_SYNC_WAVE_DELAY)."""
REHEARSAL = 0.06
"""Seconds of a sync before its first object is applied: everything is tried without effect first."""
POLL = 1.0
HISTORY = 10
_FINAL = ("Succeeded", "Failed", "Error")


class Operator:
    """Runs the operations of Applications, a step a call."""

    def __init__(
        self,
        fleet: Fleet,
        applications: Applications,
        repository: RepositoryServer,
        view: Callable[[str], LiveView],
        *,
        refresher: Refresher,
        again: Callable[[str, float], None],
        refresh: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._applications = applications
        self._repository = repository
        self._view = view
        self._refresher = refresher
        self._again = again
        self._refresh = refresh
        self._clock: Clock = fleet.world.clock
        self._failed_at: dict[str, float] = {}

    async def operate(self, name: str) -> None:
        application = self._applications.get(name)
        if application is None or not application.get("operation"):
            return
        state = dig(application, "status", "operationState")
        if state is None or state.get("phase") in _FINAL:
            await self._clock.tick(0.012)
            state = {"operation": application["operation"], "phase": "Running", "startedAt": self._clock.stamp()}
            self._store(name, state)
        elif state.get("phase") == "Running" and state.get("finishedAt"):
            pause = retry_pause(state["operation"].get("retry") or {}, int(state.get("retryCount", 0)))
            left = pause - (self._clock.mark() - self._failed_since(application, state))
            if left > 0.001:
                self._again(name, left)
                return
            kept = {key: value for key, value in state.items() if key not in ("finishedAt", "syncResult")}
            state = kept | {"message": f"Retrying operation. Attempt #{state.get('retryCount', 0)}"}
            self._store(name, state)
        terminating = state.get("phase") == "Terminating"
        state = await self._sync(name, state)
        if state["phase"] == "Running":
            fresh = dig(self._applications.get(name), "status", "operationState", "phase")
            if fresh == "Terminating":
                state |= {"phase": "Terminating", "message": "operation is terminating"}
        elif state["phase"] in ("Failed", "Error"):
            state = self._retry_or_end(application, state, terminating=terminating)
        if state["phase"] in _FINAL:
            await self._finish(name, state)
        else:
            self._store(name, state)
            self._again(name, 0.02 if state["phase"] == "Terminating" else POLL)

    async def _sync(self, name: str, state: Manifest) -> Manifest:
        """One step; gives the state after it, not stored."""
        application = self._applications.get(name)
        if application is None:
            return state
        sync = state["operation"].get("sync") or {}
        state = dict(state)
        result = dict(state.get("syncResult") or self._new_result(application, sync))
        project = self._fleet.project(str(dig(application, "spec", "project", default="default")))
        if project is None:
            name_of = dig(application, "spec", "project", default="default")
            return state | {
                "phase": "Error",
                "message": f'Failed to load application project: appproject.argoproj.io "{name_of}" not found',
            }
        windows = windows_of(project, application, self._clock.now())
        if not windows.can_sync(manual=not dig(state, "operation", "initiatedBy", "automated")):
            blocked = {"message": "Sync operation blocked by sync window"} if state["phase"] == "Running" else {}
            return state | blocked | {"syncResult": result}
        cluster = self._fleet.find(application["spec"].get("destination") or {})
        if cluster is None:
            return state | {
                "phase": "Error",
                "message": f"Failed to get destination cluster: {unknown_cluster(application['spec']['destination'])}",
            }
        view = self._view(cluster.name)
        if not result.get("resources"):
            await self._clock.tick(REHEARSAL)
        comparison = await self._compare(application, project, view, result)
        result |= self._revisions(result, comparison)
        state["syncResult"] = result
        errors = self._errors(application, comparison)
        if errors:
            return state | {"phase": "Error", "message": errors}
        if "FailOnSharedResource=true" in (sync.get("syncOptions") or []) and (shared := shares_resources(application)):
            return state | {"phase": "Failed", "message": f"Shared resource found: {shared}"}
        run = Sync(comparison, view, project, sync, list(result.get("resources") or []))
        started, revision = int(parse(state["startedAt"]).timestamp()), comparison.revisions[0]
        if state["phase"] == "Terminating":
            step = run.terminate(revision=revision, started=started)
        else:
            step = run.step(str(dig(application, "spec", "destination", "namespace", default="")), revision=revision, started=started)
        if step.waits:
            await self._clock.sleep(WAVE_PAUSE)
        if step.phase == "Succeeded" and not sync.get("dryRun") and not sync.get("resources"):
            await self._clock.tick(0.012)
            self._remember(name, comparison, state)
        return state | {"phase": step.phase, "message": step.message, "syncResult": _with_resources(result, step)}

    async def _compare(self, application: Manifest, project: Manifest, view: LiveView, result: Manifest) -> Comparison:
        sources = list(result.get("sources") or [result.get("source") or {}])
        revisions = [str(one) for one in (result.get("revisions") or [result.get("revision", "")])]
        if len(revisions) != len(sources):
            revisions = [""] * len(sources)
        frozen = (
            with_(application, result["sources"], "spec", "sources")
            if result.get("sources")
            else with_(application, sources[0], "spec", "source")
        )
        try:
            generated = await in_thread(self._repository.generate, frozen, sources, revisions, no_cache=False, force=True)
        except GenerationError as error:
            return compare(frozen, project, view, str(error), revisions)
        return compare(frozen, project, view, generated, revisions)

    def _errors(self, application: Manifest, comparison: Comparison) -> str:
        """Conditions that keep an operation from running, as Argo CD joins them."""
        held = [(one["type"], one["message"]) for one in dig(application, "status", "conditions", default=[])]
        found = [one for one in held if one[0] in ("ComparisonError", "InvalidSpecError")]
        found = [one for one in comparison.conditions if one[0] == "ComparisonError"] or found
        return ";".join(f"{kind}: {message}" for kind, message in found)

    def _retry_or_end(self, application: Manifest, state: Manifest, *, terminating: bool) -> Manifest:
        retry, count = state["operation"].get("retry") or {}, int(state.get("retryCount", 0))
        limit = int(retry.get("limit", 0))
        if not terminating and (count < limit or limit < 0):
            pause = retry_pause(retry, count)
            at = self._clock.now().timestamp() + pause / self._clock.speed
            when = parse(self._clock.stamp()).fromtimestamp(at).strftime("%I:%M%p").lstrip("0")
            self._failed_at[uid_of(application)] = self._clock.mark()
            message = f"{state['message']}. Retrying attempt #{count + 1} at {when}."
            return state | {"phase": "Running", "finishedAt": self._clock.stamp(), "retryCount": count + 1, "message": message}
        if count:
            return state | {"message": f"{state['message']} (retried {count} times)."}
        return state

    async def _finish(self, name: str, state: Manifest) -> None:
        """Done: the operation is cleared with its last state, in one write; then a comparison follows."""
        await self._clock.tick(0.012)
        state = state | {"finishedAt": self._clock.stamp()}

        def change(current: Manifest) -> Manifest:
            return with_(with_(current, state, "status", "operationState"), None, "operation")

        application = self._applications.change(name, change)
        if application is None:
            return
        self._refresher.finished_at[uid_of(application)] = self._clock.mark()
        sync, ok = state["operation"].get("sync") or {}, state["phase"] == "Succeeded"
        words = ["Partial sync operation" if sync.get("resources") else "Sync operation"]
        if state.get("syncResult") is not None:
            words.append(f"to {state['syncResult'].get('revision', '')}")
        words.append("succeeded" if ok else f"failed: {state.get('message', '')}")
        audit(self._fleet, application, "OperationCompleted", " ".join(words), kind="Normal" if ok else "Warning")
        if not sync.get("dryRun"):
            automated = dig(state, "operation", "initiatedBy", "automated")
            self._refresher.request(name, Level.LATEST if automated else Level.FORCED)
            self._refresh(name)

    def _new_result(self, application: Manifest, sync: Manifest) -> Manifest:
        """`syncResult` of an operation that begins: the sources and revisions that it asks for."""
        spec = application["spec"]
        sources = sync.get("sources") or (None if sync.get("source") else spec.get("sources"))
        result: Manifest = {"revision": sync.get("revision", ""), "source": sync.get("source") or (spec.get("source") or {"repoURL": ""})}
        if sources:
            result |= {"source": {"repoURL": ""}, "sources": sources, "revisions": list(sync.get("revisions") or [])}
        return result

    def _revisions(self, result: Manifest, comparison: Comparison) -> Manifest:
        if result.get("sources"):
            return {"revision": "", "revisions": comparison.revisions}
        return {"revision": comparison.sync.get("revision", "")}

    def _remember(self, name: str, comparison: Comparison, state: Manifest) -> None:
        """Add to the history: only full syncs that succeeded, the last ten."""
        several = bool(comparison.sync["comparedTo"].get("sources"))

        def change(current: Manifest) -> Manifest:
            old = dig(current, "status", "history", default=[])
            entry: Manifest = {} if several else {"revision": comparison.sync["revision"]}
            entry |= {"deployedAt": self._clock.stamp(), "id": (old[-1]["id"] + 1) if old else 0}
            entry |= {"source": comparison.sync["comparedTo"]["source"], "deployStartedAt": state["startedAt"]}
            if several:
                entry |= {"sources": comparison.sync["comparedTo"]["sources"], "revisions": comparison.revisions}
            entry["initiatedBy"] = state["operation"].get("initiatedBy") or {}
            limit = int(dig(current, "spec", "revisionHistoryLimit", default=HISTORY))
            return with_(current, [*old, entry][-limit:] if limit else None, "status", "history")

        self._applications.change(name, change)

    def _store(self, name: str, state: Manifest) -> None:
        self._applications.change(name, lambda app: with_(app, state, "status", "operationState"))

    def _failed_since(self, application: Manifest, state: Manifest) -> float:
        known = self._failed_at.get(uid_of(application))
        return known if known is not None else self._clock.mark() - self._clock.since(str(state["finishedAt"]))


def _with_resources(result: Manifest, step: Step) -> Manifest:
    kept = {key: value for key, value in result.items() if key != "resources"}
    return ({"resources": step.resources} if step.resources else {}) | kept
