"""The other controllers of one simulated cluster: Jobs, StatefulSets, DaemonSets, claims, load balancers; and who is called when.

A change of an object calls the controller of its owner a moment later, once for any number of changes.
"""

from __future__ import annotations

from collections.abc import Callable

from backends.sandbox import replicas
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
            "PersistentVolumeClaim": self._claim,
            "Service": self._balanced,
            "Ingress": self._balanced,
            "Namespace": self._namespace,
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
        revision = f"{key.name}-{replicas.revision_of(template)}"
        pods = {str(dig(pod, "metadata", "name")): pod for pod in self._cluster.dependents(stateful)}
        names = [f"{key.name}-{index}" for index in range(wanted)]
        settled = all(replicas.is_ready(pods[name]) for name in names if name in pods)
        missing = next((name for name in names if name not in pods), None)
        old = [name for name in names if name in pods and dig(pods[name], "metadata", "labels", _REVISION) != revision]
        extra = [name for name in pods if name not in names]
        if missing is not None and settled:
            labels = {_REVISION: revision, "statefulset.kubernetes.io/pod-name": missing}
            self._cluster.put(replicas.new_pod(stateful, missing, template, labels))
            self._say(stateful, "SuccessfulCreate", f"create Pod {missing} in StatefulSet {key.name} successful")
        elif missing is None and extra:
            self._cluster.delete(key_of(pods[extra[-1]]))
        elif missing is None and old and (settled or not replicas.is_ready(pods[old[-1]])):
            self._say(stateful, "SuccessfulDelete", f"delete Pod {old[-1]} in StatefulSet {key.name} successful")
            self._cluster.delete(key_of(pods[old[-1]]))
        held = replicas.active(self._cluster.dependents(stateful))
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
        held = replicas.active(self._cluster.dependents(daemon))
        old = [pod for pod in held if dig(pod, "metadata", "labels", _REVISION) != revision]
        if old and all(replicas.is_ready(pod) for pod in held if pod not in old):
            self._cluster.delete(key_of(old[0]))
        for _ in range(len(self._cluster.nodes) - len(held)):
            name = f"{key.name}-{self._cluster.world.suffix()}"
            self._cluster.put(replicas.new_pod(daemon, name, template, {_REVISION: revision}))
            self._say(daemon, "SuccessfulCreate", f"Created pod: {name}")
        held = replicas.active(self._cluster.dependents(daemon))
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

    def _claim(self, key: Key) -> None:
        claim = self._live(key)
        if claim is not None and not claim.get("status"):
            self._cluster.set_status(key, {"phase": "Bound", "accessModes": dig(claim, "spec", "accessModes", default=[])})

    def _balanced(self, key: Key) -> None:
        """A cloud gives load balancers and ingresses an address."""
        obj = self._live(key)
        if obj is None:
            return
        outside = key.kind == "Ingress" or dig(obj, "spec", "type") == "LoadBalancer"
        address = {"ingress": [{"ip": "203.0.113.10"}]} if outside else {}
        if not obj.get("status"):
            self._cluster.set_status(key, {"loadBalancer": address})

    def _namespace(self, key: Key) -> None:
        namespace = self._live(key)
        if namespace is not None and not namespace.get("status"):
            self._cluster.set_status(key, {"phase": "Active"})

    def _say(self, about: Manifest, reason: str, message: str, *, kind: str = "Normal") -> None:
        component = f"{str(about.get('kind', '')).lower()}-controller"
        self._cluster.events.record(about, reason, message, kind=kind, component=component)
