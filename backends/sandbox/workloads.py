"""The other controllers of one simulated cluster: Jobs, StatefulSets, DaemonSets; and who is called when.

A change of an object calls the controller of its owner a moment later, once for any number of changes.
"""

from __future__ import annotations

from collections.abc import Callable

from backends.sandbox import replicas, statuses
from backends.sandbox.cluster import Change, Cluster
from backends.sandbox.deployments import Deployments
from backends.sandbox.objects import Key, Manifest, condition, dig, is_deleting, key_of
from backends.sandbox.pods import Pods

_MOMENT = 0.04
_REVISION = "controller-revision-hash"


class Workloads:
    """Everything that runs in one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._clock = cluster.world.clock
        self._pods = Pods(cluster)
        self._called: set[Key] = set()
        self._controllers: dict[str, Callable[[Key], None]] = {
            "Deployment": Deployments(cluster).reconcile,
            "Job": self._job,
            "StatefulSet": self._stateful_set,
            "DaemonSet": self._daemon_set,
            **dict.fromkeys(statuses.KINDS, self._status),
        }
        cluster.watch(self._on_change)

    def resume(self) -> None:
        self._pods.resume()
        for key in list(self._cluster.objects):
            self._call(key)

    def _on_change(self, change: Change) -> None:
        if change.after is not None:
            self._call(change.key)
        obj = change.after or change.before
        for owner in dig(obj, "metadata", "ownerReferences", default=()):
            group = str(owner.get("apiVersion", "")).rpartition("/")[0]
            above = Key(group, str(owner.get("kind")), change.key.namespace, str(owner.get("name")))
            if above.kind != "ReplicaSet":
                self._call(above)
            elif (owned := self._cluster.get(above)) is not None:
                for top in dig(owned, "metadata", "ownerReferences", default=()):
                    self._call(Key("apps", str(top.get("kind")), change.key.namespace, str(top.get("name"))))

    def _call(self, key: Key) -> None:
        controller = self._controllers.get(key.kind)
        if controller is None or key in self._called:
            return
        self._called.add(key)

        def run() -> None:
            self._called.discard(key)
            controller(key)

        self._clock.soon(_MOMENT, run)

    def _live(self, key: Key) -> Manifest | None:
        obj = self._cluster.get(key)
        return None if obj is None or is_deleting(obj) else obj

    def _job(self, key: Key) -> None:
        job = self._live(key)
        if job is None or dig(job, "status", "conditions"):
            return
        pods, now = self._cluster.dependents(job), self._clock.stamp()
        done = sum(1 for pod in pods if dig(pod, "status", "phase") == "Succeeded")
        failed = sum(1 for pod in pods if dig(pod, "status", "phase") == "Failed")
        running = len(replicas.active(pods))
        wanted, limit = int(dig(job, "spec", "completions", default=1)), int(dig(job, "spec", "backoffLimit", default=6))
        status: Manifest = {"startTime": dig(job, "status", "startTime", default=now)}
        status |= {name: n for name, n in (("active", running), ("succeeded", done), ("failed", failed)) if n}
        if done >= wanted:
            text = "Reached expected number of succeeded pods"
            status |= {"completionTime": now, "conditions": [condition("Complete", "True", now, reason="CompletionsReached", message=text)]}
            self._say(job, "Completed", "Job completed")
        elif failed > limit:
            text = "Job has reached the specified backoff limit"
            status["conditions"] = [condition("Failed", "True", now, reason="BackoffLimitExceeded", message=text)]
            self._say(job, "BackoffLimitExceeded", text, kind="Warning")
        elif running < min(int(dig(job, "spec", "parallelism", default=1)), wanted - done):
            uid, name = str(dig(job, "metadata", "uid")), key.name
            labels = {
                "batch.kubernetes.io/controller-uid": uid,
                "batch.kubernetes.io/job-name": name,
                "controller-uid": uid,
                "job-name": name,
            }
            pod = f"{name}-{self._cluster.world.suffix()}"
            self._cluster.put(replicas.new_pod(job, pod, dig(job, "spec", "template", default={}), labels))
            self._say(job, "SuccessfulCreate", f"Created pod: {pod}")
            status["active"] = running + 1
        self._cluster.set_status(key, status)

    def _stateful_set(self, key: Key) -> None:
        stateful = self._live(key)
        if stateful is None:
            return
        template, wanted = dig(stateful, "spec", "template", default={}), int(dig(stateful, "spec", "replicas", default=1))
        digest = replicas.revision_of(template)
        self._revision(stateful, digest, template)
        revision = f"{key.name}-{digest}"
        pods = {str(dig(pod, "metadata", "name")): pod for pod in self._pods_of(stateful)}
        names = [f"{key.name}-{index}" for index in range(wanted)]
        settled = all(replicas.is_ready(pods[name]) for name in names if name in pods)
        missing = next((name for name in names if name not in pods), None)
        old = [name for name in names if name in pods and dig(pods[name], "metadata", "labels", _REVISION) != revision]
        extra = [name for name in pods if name not in names]
        if missing is not None and settled:
            index = missing.rpartition("-")[2]
            labels = {_REVISION: revision, "statefulset.kubernetes.io/pod-name": missing, "apps.kubernetes.io/pod-index": index}
            self._cluster.put(replicas.new_pod(stateful, missing, template, labels))
            self._say(stateful, "SuccessfulCreate", f"Create Pod {missing} in StatefulSet {key.name} successful")
        elif missing is None and extra:
            self._cluster.delete(key_of(pods[extra[-1]]))
        elif missing is None and old and (settled or not replicas.is_ready(pods[old[-1]])):
            self._say(stateful, "SuccessfulDelete", f"Delete Pod {old[-1]} in StatefulSet {key.name} successful")
            self._cluster.delete(key_of(pods[old[-1]]))
        held = replicas.active(self._pods_of(stateful))
        new = [pod for pod in held if dig(pod, "metadata", "labels", _REVISION) == revision]
        ready = sum(map(replicas.is_ready, held))
        current = revision if len(new) == wanted else dig(stateful, "status", "currentRevision", default=revision)
        status: Manifest = {
            "observedGeneration": dig(stateful, "metadata", "generation", default=1),
            "replicas": len(held),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": len(new),
            "currentReplicas": len(new) if current == revision else len(held) - len(new),
            "currentRevision": current,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        self._cluster.set_status(key, status)

    def _daemon_set(self, key: Key) -> None:
        daemon = self._live(key)
        if daemon is None:
            return
        template = dig(daemon, "spec", "template", default={})
        revision = replicas.revision_of(template)
        self._revision(daemon, revision, template)
        generation = str(dig(daemon, "metadata", "generation", default=1))
        held = replicas.active(self._pods_of(daemon))
        old = [pod for pod in held if dig(pod, "metadata", "labels", _REVISION) != revision]
        if old and all(replicas.is_ready(pod) for pod in held if pod not in old):
            self._cluster.delete(key_of(old[0]))
        for _ in range(len(self._cluster.nodes) - len(held)):
            name = f"{key.name}-{self._cluster.world.suffix()}"
            self._cluster.put(replicas.new_pod(daemon, name, template, {_REVISION: revision, "pod-template-generation": generation}))
            self._say(daemon, "SuccessfulCreate", f"Created pod: {name}")
        held = replicas.active(self._pods_of(daemon))
        ready = sum(map(replicas.is_ready, held))
        status = {
            "observedGeneration": dig(daemon, "metadata", "generation", default=1),
            "desiredNumberScheduled": len(self._cluster.nodes),
            "currentNumberScheduled": len(held),
            "updatedNumberScheduled": sum(1 for pod in held if dig(pod, "metadata", "labels", _REVISION) == revision),
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
        }
        self._cluster.set_status(key, status)

    def _status(self, key: Key) -> None:
        obj = self._live(key)
        status = None if obj is None else statuses.status_of(obj, self._clock.stamp())
        if status is not None:
            self._cluster.set_status(key, status)

    def _revision(self, owner: Manifest, revision: str, template: Manifest) -> None:
        """The ControllerRevision that keeps a template of a StatefulSet or DaemonSet."""
        name, namespace = str(dig(owner, "metadata", "name")), str(dig(owner, "metadata", "namespace", default=""))
        kept = [one for one in self._cluster.dependents(owner) if one.get("kind") == "ControllerRevision"]
        if any(dig(one, "metadata", "labels", _REVISION) == revision for one in kept):
            return
        number = max((int(one.get("revision", 0)) for one in kept), default=0) + 1
        meta = {
            "name": f"{name}-{revision}",
            "namespace": namespace,
            "labels": dig(template, "metadata", "labels", default={}) | {_REVISION: revision},
            "ownerReferences": [replicas.owner_reference(owner)],
        }
        data = {"spec": {"template": template}}
        self._cluster.put({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": meta, "data": data, "revision": number})

    def _pods_of(self, owner: Manifest) -> list[Manifest]:
        return [one for one in self._cluster.dependents(owner) if one.get("kind") == "Pod"]

    def _say(self, about: Manifest, reason: str, message: str, *, kind: str = "Normal") -> None:
        component = f"{str(about.get('kind', '')).lower()}-controller"
        self._cluster.events.record(about, reason, message, kind=kind, component=component)
