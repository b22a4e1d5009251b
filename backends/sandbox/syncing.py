"""One step of a sync operation: what gitops-engine's `Sync` and `Terminate` do each time they are called.

State is the operation's own (`operationState`), so an operation can be taken up again after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backends.sandbox.admission import Refused, unknown
from backends.sandbox.cluster import Cluster
from backends.sandbox.comparison import Comparison
from backends.sandbox.health import health_of
from backends.sandbox.live import LiveView
from backends.sandbox.objects import ARGO, HOOK_FINALIZER, Key, Manifest, annotation, dig, is_deleting, key_of
from backends.sandbox.projects import resource_problem
from backends.sandbox.tasks import Task, named, tasks_of

_STATES = {"Synced": "Running", "SyncFailed": "Failed", "Pruned": "Succeeded", "PruneSkipped": "Succeeded"}


class Step(NamedTuple):
    """Where an operation stands after a step; `waits` when the pause between two waves follows."""

    phase: str
    message: str
    resources: list[Manifest]
    waits: bool = False


class Sync:
    """A sync of one Application, at one step.

    Args:
        sync: the operation's `sync` part.
        before: `syncResult.resources` of the steps before.
    """

    def __init__(self, comparison: Comparison, view: LiveView, project: Manifest, sync: Manifest, before: list[Manifest]) -> None:
        self._comparison = comparison
        self._view = view
        self._cluster: Cluster = view.cluster
        self._project = project
        self._options = [str(one) for one in sync.get("syncOptions") or []]
        self._prune = bool(sync.get("prune"))
        self._dry = bool(sync.get("dryRun"))
        self._only = named(sync.get("resources"))
        if dig(sync, "syncStrategy", "apply") is not None:
            self._only = self._only or {(m.key.group, m.key.kind, m.key.name) for m in comparison.managed}
        self._results: dict[str, Manifest] = {_result_key(one): one for one in before}

    def step(self, namespace: str, *, revision: str, started: int) -> Step:
        """Go on as far as possible without waiting."""
        tasks = tasks_of(self._comparison, self._view, self._only, revision=revision, started=started, home=namespace)
        tasks = self._with_namespace(tasks, namespace)
        for task in tasks:
            known = self._results.get(task.result_key)
            if known is not None:
                task.status, task.state, task.message = (str(known.get(field, "")) for field in ("status", "hookPhase", "message"))
        problems = {text for task in tasks if (text := self._refused(task))}
        if problems:
            return self._end("Failed", f"one or more synchronization tasks are not valid: {'; '.join(sorted(problems))}")
        if not self._results:
            first = next((task for task in tasks if task.key == Key("", "Namespace", "", namespace) and task.live is None), None)
            if first is not None:
                self._apply(first)
            if self._dry:
                for task in self._out_of_sync(tasks):
                    self._rehearse(task)
        self._look(tasks)
        several = bool(tasks) and tasks[0].place != tasks[-1].place
        running = [task for task in tasks if task.running and (several or task.hook)]
        if running:
            return self._wait(running)
        going = [task for task in tasks if task.status == "Pruned" and task.live is not None and is_deleting(task.live)]
        if going:
            return self._wait(going, deletion=True)
        for task in tasks:
            if task.hook and task.completed and task.live is not None:
                self._cluster.drop_finalizer(task.key, HOOK_FINALIZER)
        fail_hooks = [task for task in tasks if task.phase == "SyncFail"]
        tasks = [task for task in tasks if task.phase != "SyncFail"]
        if any(task.completed and task.state != "Succeeded" for task in tasks):
            self._delete(task for task in tasks if task.live is not None and task.keeps_to("HookFailed"))
            return self._fail(fail_hooks, tasks, "one or more synchronization tasks completed unsuccessfully")
        done = [task for task in tasks if task.hook and task.live is not None and not task.pending and task.keeps_to("HookSucceeded")]
        tasks = self._out_of_sync([task for task in tasks if task.pending])
        if not tasks:
            self._delete(done)
            return self._end("Succeeded", "successfully synced (no more tasks)")
        return self._run(tasks, done, fail_hooks)

    def terminate(self, *, revision: str, started: int) -> Step:
        """End what runs: hooks that are not over are deleted."""
        for task in tasks_of(self._comparison, self._view, self._only, revision=revision, started=started):
            known = self._results.get(task.result_key)
            if known is None or not task.hook or known.get("hookPhase") != "Running":
                continue
            task.status, task.message = str(known.get("status", "")), "Terminated"
            task.state = "Failed" if task.live is not None else "Succeeded"
            if task.live is not None:
                self._cluster.drop_finalizer(task.key, HOOK_FINALIZER)
                self._cluster.delete(task.key)
            self._note(task)
        return self._end("Failed", "Operation terminated")

    def _run(self, tasks: list[Task], done: list[Task], fail_hooks: list[Task]) -> Step:
        """Apply the first phase and wave of what is pending."""
        place, last = tasks[0].place, tasks[-1].place
        now, later = [task for task in tasks if task.place == place], [task for task in tasks if task.place != place]
        for task in now:
            if task.hook and task.live is not None:
                self._cluster.drop_finalizer(task.key, HOOK_FINALIZER)
        for task in now:
            if task.prunes:
                self._drop(task)
        old = [task for task in now if task.replaces]
        if old:
            self._delete(old)
            return self._wait(old, deletion=True, waits=place != last)
        for task in now:
            if not task.prunes:
                self._apply(task)
        failed, text = [task for task in now if task.status == "SyncFailed"], "one or more objects failed to apply"
        if failed:
            running = [task for task in now if task.running]
            fails = self._fail(fail_hooks, failed, text)
            return fails if not running else self._wait([*running, *(task for task in fail_hooks if task.running)])
        if not later and not any(task.hook for task in now):
            self._delete(done)
            return self._end("Succeeded", "successfully synced (all tasks run)")
        return self._wait(now, waits=place != last)

    def _apply(self, task: Task) -> None:
        target = task.target or {}
        if task.hook:
            held = dig(target, "metadata", "finalizers", default=[])
            target = target | {"metadata": target["metadata"] | {"finalizers": [*held, HOOK_FINALIZER]}}
        server_side = "ServerSideApply=true" in self._options or "ServerSideApply=true" in annotation(
            target, "argocd.argoproj.io/sync-options"
        )
        replace = "Replace=true" in self._options or "Replace=true" in annotation(target, "argocd.argoproj.io/sync-options")
        try:
            task.message = self._cluster.apply(target, server_side=server_side, replace=replace)
            task.status = "Synced"
        except Refused as refused:
            task.status, task.message = "SyncFailed", str(refused)
        task.state = _STATES[task.status]
        self._note(task)

    def _rehearse(self, task: Task) -> None:
        """A dry run: nothing is written, everything is said."""
        if task.prunes:
            task.status, task.message = ("Pruned", "pruned (dry run)") if self._prune else ("PruneSkipped", "ignored (requires pruning)")
        else:
            server_side = "ServerSideApply=true" in self._options
            text = self._cluster.apply(task.target or {}, server_side=server_side, dry_run=True)
            task.status, task.message = "Synced", f"{text} (dry run)" if not server_side else f"{text} (server dry run)"
        task.state = "Succeeded"
        self._note(task)

    def _drop(self, task: Task) -> None:
        if not self._prune:
            task.status, task.message = "PruneSkipped", "ignored (requires pruning)"
        elif "Prune=false" in annotation(task.obj, "argocd.argoproj.io/sync-options"):
            task.status, task.message = "PruneSkipped", "ignored (no prune)"
        else:
            self._cluster.delete(task.key)
            task.status, task.message = "Pruned", "pruned"
        task.state = _STATES[task.status]
        self._note(task)

    def _look(self, tasks: list[Task]) -> None:
        """Bring the results of running tasks up to date with what is live."""
        for task in tasks:
            if not task.running or task.live is None:
                continue
            health = health_of(task.live)
            if task.hook:
                states = {"Healthy": "Succeeded", "Degraded": "Failed", "Unknown": "Failed"}
                task.state = "Succeeded" if health is None else states.get(health.status, "Running")
                task.message = (health.message if health else "") or task.message
            elif health is None:
                task.state = "Succeeded"
            elif health.status in ("Healthy", "Degraded"):
                task.state = "Succeeded" if health.status == "Healthy" else "Failed"
                task.message = health.message or task.message
            self._note(task)
        for task in tasks:
            if task.running and task.live is None and self._cluster.get(task.key) is None:
                task.status, task.state = "SyncFailed", "Error"
                task.message = f"Resource {task.key.group}/{task.key.kind}/{task.key.name} is missing, it might have been deleted"
                self._note(task)

    def _fail(self, hooks: list[Task], tasks: list[Task], text: str) -> Step:
        """End as failed, after the hooks for that case."""
        message = _with_reasons(text, tasks)
        message += _with_reasons("\none or more SyncFail hooks failed", hooks) if any(one.status == "SyncFailed" for one in hooks) else ""
        pending = [task for task in hooks if task.pending]
        if not hooks or all(task.completed for task in hooks):
            return self._end("Failed", message)
        for task in pending:
            self._apply(task)
        return self._wait([task for task in hooks if not task.completed])

    def _wait(self, tasks: list[Task], *, deletion: bool = False, waits: bool = False) -> Step:
        hooks, rest = [task for task in tasks if task.hook], [task for task in tasks if not task.hook]
        first, reason = (hooks or rest)[0], "completion of hook" if hooks else "healthy state of"
        if deletion:
            reason = "deletion of hook" if hooks else "deletion of"
        text = f"waiting for {reason} {first.key.group}/{first.key.kind}/{first.key.name}"
        if len(tasks) > 1:
            text += f" and {len(tasks) - 1} more {'resources' if rest else 'hooks'}"
        return Step("Running", text, list(self._results.values()), waits)

    def _end(self, phase: str, message: str) -> Step:
        return Step(phase, message, list(self._results.values()))

    def _refused(self, task: Task) -> str:
        text = said = resource_problem(self._project, task.obj, self._cluster)
        missing = None if self._defined(task) else unknown(task.obj, self._cluster.definitions)
        if missing is not None:
            text, said = missing
        if text:
            task.status, task.message = "SyncFailed", said
            self._note(task)
        return text

    def _defined(self, task: Task) -> bool:
        """Whether a kind that is not there yet is no problem: this sync brings it, or the object says so."""
        if "SkipDryRunOnMissingResource=true" in [*self._options, *annotation(task.obj, "argocd.argoproj.io/sync-options").split(",")]:
            return True
        targets = [one.target for one in self._comparison.managed if one.target is not None]
        crds = [one for one in targets if one.get("kind") == "CustomResourceDefinition"]
        return any(dig(one, "spec", "group") == task.key.group and dig(one, "spec", "names", "kind") == task.key.kind for one in crds)

    def _with_namespace(self, tasks: list[Task], namespace: str) -> list[Task]:
        """`CreateNamespace=true`: the destination's namespace comes first, while it is missing."""
        key = Key("", "Namespace", "", namespace)
        if "CreateNamespace=true" not in self._options or not namespace or self._cluster.get(key) is not None:
            return tasks
        if any(task.key == key for task in tasks):
            return tasks
        home: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        return [Task("PreSync", home, None), *tasks]

    def _out_of_sync(self, tasks: list[Task]) -> list[Task]:
        if "ApplyOutOfSyncOnly=true" not in self._options:
            return tasks
        return [task for task in tasks if task.hook or task.prunes or task.modified]

    def _delete(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self._cluster.drop_finalizer(task.key, HOOK_FINALIZER)
            self._cluster.delete(task.key)

    def _note(self, task: Task) -> None:
        self._results[task.result_key] = self._results.get(task.result_key, {}) | task.result()


def _with_reasons(text: str, tasks: list[Task]) -> str:
    reasons = [task.message for task in tasks if task.status == "SyncFailed"]
    return f"{text}, reason: {','.join(reasons)}" if reasons else text


def shares_resources(application: Manifest) -> str:
    """The text of a SharedResourceWarning, for `FailOnSharedResource=true`."""
    conditions = dig(application, "status", "conditions", default=[])
    return next((str(one["message"]) for one in conditions if one.get("type") == "SharedResourceWarning"), "")


def children_of(view: LiveView, application: str) -> list[Key]:
    """What a cascading deletion has to remove first."""
    return [
        key_of(obj) for obj in view.tracked(application).values() if not (key_of(obj).group == ARGO and key_of(obj).name == application)
    ]


def _result_key(result: Manifest) -> str:
    key = Key(*(str(result.get(field, "")) for field in ("group", "kind", "namespace", "name")))
    return f"{key}:{result.get('syncPhase', 'Sync')}"
