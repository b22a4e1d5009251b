"""The Deployment controller of one simulated cluster: ReplicaSets by template, rolling updates, progress deadlines."""

from __future__ import annotations

from backends.sandbox import replicas
from backends.sandbox.cluster import Cluster
from backends.sandbox.objects import Key, Manifest, condition, dig, find_condition, is_deleting, key_of, uid_of, with_

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


class Deployments:
    """Brings Deployments, with their ReplicaSets and pods, nearer to what they ask for, a step a call."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._clock = cluster.world.clock
        self._deadlines: set[str] = set()
        self._moved: dict[str, float] = {}

    def reconcile(self, key: Key) -> None:
        deployment = self._cluster.get(key)
        if deployment is None or is_deleting(deployment):
            return
        old, new = self._replica_sets(deployment)
        if not dig(deployment, "spec", "paused"):
            self._roll(deployment, old, new)
        for replica_set in self._cluster.dependents(deployment):
            self._keep_pods(replica_set)
        self._clean_up(deployment)
        self._tell_status(key)

    def _replica_sets(self, deployment: Manifest) -> tuple[list[Manifest], Manifest]:
        template = dig(deployment, "spec", "template", default={})
        digest = replicas.revision_of(template)
        owned = [one for one in self._cluster.dependents(deployment) if one.get("kind") == "ReplicaSet"]
        last = max((int(dig(one, "metadata", "annotations", REVISION, default=0)) for one in owned), default=0)
        new = next((one for one in owned if dig(one, "metadata", "labels", HASH) == digest), None)
        if new is None:
            new = self._create(deployment, template, digest, last + 1)
        elif int(dig(new, "metadata", "annotations", REVISION, default=0)) < last:  # back to an older template: its number moves to the top
            new = self._cluster.put(with_(new, str(last + 1), "metadata", "annotations", REVISION))
        revision = dig(new, "metadata", "annotations", REVISION)
        current = self._cluster.get(key_of(deployment))
        if current is not None and dig(current, "metadata", "annotations", REVISION) != revision:
            self._cluster.put(with_(current, revision, "metadata", "annotations", REVISION))
        return [one for one in owned if uid_of(one) != uid_of(new)], new

    def _create(self, deployment: Manifest, template: Manifest, digest: str, revision: int) -> Manifest:
        labels = dig(template, "metadata", "labels", default={}) | {HASH: digest}
        selector = dig(deployment, "spec", "selector", "matchLabels", default={}) | {HASH: digest}
        meta = {
            "name": f"{dig(deployment, 'metadata', 'name')}-{digest}",
            "namespace": dig(deployment, "metadata", "namespace", default=""),
            "labels": labels,
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [replicas.owner_reference(deployment)],
        }
        inner = template | {"metadata": (template.get("metadata") or {}) | {"labels": labels}}
        spec = {"replicas": 0, "selector": {"matchLabels": selector}, "template": inner}
        created = self._cluster.put(
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec, "status": {"replicas": 0}}
        )
        self._progress(deployment, "NewReplicaSetCreated", f'Created new replica set "{meta["name"]}"')
        return created

    def _roll(self, deployment: Manifest, old: list[Manifest], new: Manifest) -> None:
        wanted = int(dig(deployment, "spec", "replicas", default=1))
        most, least = replicas.rolling_limits(dig(deployment, "spec", default={}), wanted)
        held = {uid_of(one): self._pods(one) for one in (*old, new)}
        total = sum(int(dig(one, "spec", "replicas", default=0)) for one in (*old, new))
        size = int(dig(new, "spec", "replicas", default=0))
        recreating = dig(deployment, "spec", "strategy", "type") == "Recreate" and any(held[uid_of(one)] for one in old)
        target = size if recreating else max(0, min(wanted, size + most - total)) if size < wanted else wanted
        if target != size:
            self._scale(deployment, new, target)
            size = target
        available = sum(1 for pods in held.values() for pod in pods if replicas.is_ready(pod))
        spare = available - least
        for replica_set in sorted(old, key=lambda one: int(dig(one, "metadata", "annotations", REVISION, default=0))):
            size_now = int(dig(replica_set, "spec", "replicas", default=0))
            pods = held[uid_of(replica_set)]
            broken = sum(1 for pod in pods if not replicas.is_ready(pod))
            ready = len(pods) - broken
            drop = min(size_now, broken + max(0, min(ready, spare)) + max(0, size_now - len(pods)))
            if drop:
                spare -= max(0, min(ready, spare))
                self._scale(deployment, replica_set, size_now - drop)

    def _scale(self, deployment: Manifest, replica_set: Manifest, size: int) -> None:
        before = int(dig(replica_set, "spec", "replicas", default=0))
        word = "up" if size > before else "down"
        name = dig(replica_set, "metadata", "name")
        self._say(deployment, "ScalingReplicaSet", f"Scaled {word} replica set {name} from {before} to {size}")
        current = self._cluster.get(key_of(replica_set))
        if current is not None:
            self._cluster.put(with_(current, size, "spec", "replicas"))

    def _keep_pods(self, replica_set: Manifest) -> None:
        current = self._cluster.get(key_of(replica_set))
        if current is None or is_deleting(current):
            return
        pods, wanted = self._pods(current), int(dig(current, "spec", "replicas", default=0))
        for pod in replicas.surplus(pods, len(pods) - wanted):
            self._say(current, "SuccessfulDelete", f"Deleted pod: {dig(pod, 'metadata', 'name')}", component="replicaset-controller")
            self._cluster.delete(key_of(pod))
        for _ in range(wanted - len(pods)):
            name = f"{dig(current, 'metadata', 'name')}-{self._cluster.world.suffix()}"
            self._cluster.put(replicas.new_pod(current, name, dig(current, "spec", "template", default={}), {}))
            self._say(current, "SuccessfulCreate", f"Created pod: {name}", component="replicaset-controller")
        pods = self._pods(current)
        ready = sum(map(replicas.is_ready, pods))
        status: Manifest = {"replicas": len(pods), "observedGeneration": dig(current, "metadata", "generation", default=1)}
        if pods:
            status["fullyLabeledReplicas"] = len(pods)
        if ready:
            status |= {"readyReplicas": ready, "availableReplicas": ready}
        self._cluster.set_status(key_of(current), status)

    def _clean_up(self, deployment: Manifest) -> None:
        keep = int(dig(deployment, "spec", "revisionHistoryLimit", default=10))
        owned = [one for one in self._cluster.dependents(deployment) if one.get("kind") == "ReplicaSet"]
        idle = [one for one in owned if not dig(one, "spec", "replicas") and not self._cluster.dependents(one)]
        ordered = sorted(idle, key=lambda one: int(dig(one, "metadata", "annotations", REVISION, default=0)))
        for replica_set in ordered[: max(0, len(owned) - 1 - keep)]:
            self._cluster.delete(key_of(replica_set), foreground=False)

    def _tell_status(self, key: Key) -> None:
        deployment = self._cluster.get(key)
        if deployment is None:
            return
        digest, wanted = (
            replicas.revision_of(dig(deployment, "spec", "template", default={})),
            int(dig(deployment, "spec", "replicas", default=1)),
        )
        owned = [one for one in self._cluster.dependents(deployment) if one.get("kind") == "ReplicaSet"]
        pods = [pod for one in owned for pod in self._pods(one)]
        updated = [pod for one in owned if dig(one, "metadata", "labels", HASH) == digest for pod in self._pods(one)]
        ready = sum(map(replicas.is_ready, pods))
        before = deployment.get("status") or {}
        status: Manifest = {"observedGeneration": dig(deployment, "metadata", "generation", default=1)}
        counts = {"replicas": len(pods), "updatedReplicas": len(updated), "readyReplicas": ready, "availableReplicas": ready}
        status |= {name: number for name, number in counts.items() if number}
        if wanted > ready:
            status["unavailableReplicas"] = wanted - ready
        complete = len(updated) == wanted == ready == len(pods)
        moved = any(before.get(name, 0) < status.get(name, 0) for name in ("updatedReplicas", "readyReplicas")) or len(pods) < int(
            before.get("replicas", 0)
        )
        status["conditions"] = self._conditions(
            deployment,
            complete=complete,
            moved=moved,
            enough=ready >= replicas.rolling_limits(dig(deployment, "spec", default={}), wanted)[1],
        )
        self._cluster.set_status(key, status)

    def _conditions(self, deployment: Manifest, *, complete: bool, moved: bool, enough: bool) -> list[Manifest]:
        now, held = self._clock.stamp(), dig(deployment, "status", "conditions", default=[])
        available, progressing = find_condition(held, "Available"), find_condition(held, "Progressing")
        word = "True" if enough else "False"
        if available is None or available["status"] != word:
            reason = (
                ("MinimumReplicasAvailable", "Deployment has minimum availability.")
                if enough
                else ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
            )
            available = condition("Available", word, now, reason=reason[0], message=reason[1], updated=True)
        digest = replicas.revision_of(dig(deployment, "spec", "template", default={}))
        name = f"{dig(deployment, 'metadata', 'name')}-{digest}"
        if complete:
            if dig(progressing, "reason") != "NewReplicaSetAvailable" or name not in str(dig(progressing, "message")):
                text = f'ReplicaSet "{name}" has successfully progressed.'
                progressing = condition("Progressing", "True", now, reason="NewReplicaSetAvailable", message=text, updated=True)
        elif moved or progressing is None:
            self._moved[uid_of(deployment)] = self._clock.mark()
            progressing = condition(
                "Progressing", "True", now, reason="ReplicaSetUpdated", message=f'ReplicaSet "{name}" is progressing.', updated=True
            )
        elif self._is_late(deployment, progressing):
            text = f'ReplicaSet "{name}" has timed out progressing.'
            progressing = condition("Progressing", "False", now, reason="ProgressDeadlineExceeded", message=text, updated=True)
        if not complete:
            self._watch_deadline(deployment)
        return [available, progressing] if progressing else [available]

    def _is_late(self, deployment: Manifest, progressing: Manifest) -> bool:
        if progressing.get("reason") in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
            return False
        limit = float(dig(deployment, "spec", "progressDeadlineSeconds", default=600))
        began = self._moved.setdefault(uid_of(deployment), self._clock.mark() - self._clock.since(str(progressing["lastUpdateTime"])))
        return self._clock.mark() - began >= limit

    def _watch_deadline(self, deployment: Manifest) -> None:
        key, limit = key_of(deployment), float(dig(deployment, "spec", "progressDeadlineSeconds", default=600))
        marker = uid_of(deployment)
        if marker not in self._deadlines:
            self._deadlines.add(marker)

            def look() -> None:
                self._deadlines.discard(marker)
                self.reconcile(key)

            self._clock.later(limit / 8 + 0.1, look)

    def _progress(self, deployment: Manifest, reason: str, message: str) -> None:
        """Begin the deadline of a new rollout."""
        self._moved[uid_of(deployment)] = self._clock.mark()
        current = self._cluster.get(key_of(deployment))
        if current is None:
            return
        held = [one for one in dig(current, "status", "conditions", default=[]) if one.get("type") != "Progressing"]
        entry = condition("Progressing", "True", self._clock.stamp(), reason=reason, message=message, updated=True)
        self._cluster.put(current | {"status": (current.get("status") or {}) | {"conditions": [*held, entry]}})

    def _pods(self, owner: Manifest) -> list[Manifest]:
        return replicas.active(self._cluster.dependents(owner))

    def _say(self, about: Manifest, reason: str, message: str, *, component: str = "deployment-controller") -> None:
        self._cluster.events.record(about, reason, message, component=component)
