"""The kubelets and the scheduler of one simulated cluster: what a pod does is decided by the tag of its first container's image.

…crash… crash-loops, …pull… cannot be pulled, …never… runs and never gets ready, …slow… is ready after 20 s, anything else after about
2 s. Pods of Jobs end about 3 s after they started (…slow…: 20 s); with "fail" in the image they fail. Requests that no node can hold leave a pod
pending. Delays are those of the recorded server's simulated kubelets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backends.sandbox.admission import quantity
from backends.sandbox.cluster import Change, Cluster
from backends.sandbox.objects import Key, Manifest, condition, dig, find_condition, is_deleting, key_of

NODE_CPU, NODE_MEMORY = 64_000, 256 * 2**30
_MOST_RESTARTS = 6


class _Step(NamedTuple):
    """What a pod does next: after so many simulated seconds (plus up to `jitter`)."""

    delay: float
    jitter: float
    act: Callable[[Manifest], None]


class Pods:
    """Runs the pods of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._clock = cluster.world.clock
        self._waiting: dict[Key, str] = {}
        cluster.watch(self._on_change)

    def resume(self) -> None:
        """After a restart: every pod goes on from where it stands."""
        for pod in self._cluster.of_kind("Pod"):
            self._plan(pod)

    def _on_change(self, change: Change) -> None:
        if change.key.kind == "Pod" and change.after is not None:
            self._plan(change.after)
        elif change.key.kind == "Pod":
            self._waiting.pop(change.key, None)
            for pod in self._cluster.of_kind("Pod"):
                if _is_stuck(pod):  # room was made
                    self._waiting.pop(key_of(pod), None)
                    self._schedule(pod)

    def _plan(self, pod: Manifest) -> None:
        """Have the pod's next step run once; a step that became wrong meanwhile does nothing."""
        key, step = key_of(pod), self._next(pod)
        if step is None:
            return
        marker = f"{step.act.__name__}:{dig(pod, 'status', 'containerStatuses', 0, 'restartCount', default=0)}"
        if self._waiting.get(key) == marker:
            return
        self._waiting[key] = marker

        def run() -> None:
            current = self._cluster.get(key)
            if self._waiting.get(key) != marker or current is None:
                return
            del self._waiting[key]
            planned = self._next(current)
            if planned is not None and planned.act == step.act:
                step.act(current)

        self._clock.later(step.delay + step.jitter * self._cluster.world.fraction(), run)

    def _next(self, pod: Manifest) -> _Step | None:
        status, phase = pod.get("status") or {}, dig(pod, "status", "phase")
        first = dig(status, "containerStatuses", 0, default={})
        tag = behaviour(pod)
        if is_deleting(pod):
            return _Step(1.5, 0.0, self._stop)
        if phase in ("Succeeded", "Failed"):
            return None
        if not dig(pod, "spec", "nodeName"):
            return _Step(60.0 if _is_stuck(pod) else 0.05, 0.0, self._schedule)
        if phase == "Pending":
            if tag == "pull":
                return _Step(10.0, 5.0, self._pull_again) if _backs_off(pod) else _Step(1.5, 0.0, self._pull_fails)
            return _Step(0.7, 1.2, self._start)
        if _is_of_job(pod):
            return _Step(20.0 if tag == "slow" else 2.0, 1.5, self._finish)
        if tag == "crash":
            return _Step(2.5, 0.0, self._crash) if int(first.get("restartCount", 0)) < _MOST_RESTARTS else None
        if tag == "never" or dig(find_condition(status.get("conditions"), "Ready"), "status") == "True":
            return None
        return _Step(20.0, 0.0, self._ready) if tag == "slow" else _Step(0.6, 1.5, self._ready)

    def _schedule(self, pod: Manifest) -> None:
        cpu, memory = requests(pod)
        for node in sorted(self._cluster.nodes, key=self._load):
            used_cpu, used_memory = self._used(node)
            if used_cpu + cpu <= NODE_CPU and used_memory + memory <= NODE_MEMORY:
                name = f"{dig(pod, 'metadata', 'namespace')}/{dig(pod, 'metadata', 'name')}"
                self._say(pod, "Scheduled", f"Successfully assigned {name} to {node}", component="default-scheduler")
                held = [condition("PodScheduled", "True", self._clock.stamp())]
                self._cluster.put(
                    pod
                    | {
                        "spec": pod["spec"] | {"nodeName": node},
                        "status": {"phase": "Pending", "conditions": held, "qosClass": "BestEffort"},
                    }
                )
                return
        count = len(self._cluster.nodes)
        lacks = " ".join(f"{count} Insufficient {what}{end}" for what, end in _lacks(cpu, memory))
        text = (
            f"0/{count} nodes are available: {lacks} no new claims to deallocate, preemption: 0/{count} nodes are available: "
            f"{count} Preemption is not helpful for scheduling."
        )
        self._say(pod, "FailedScheduling", text, kind="Warning", component="default-scheduler")
        held = [condition("PodScheduled", "False", self._clock.stamp(), reason="Unschedulable", message=text)]
        if not _is_stuck(pod):
            self._cluster.put(pod | {"status": {"phase": "Pending", "conditions": held, "qosClass": "Burstable"}})

    def _start(self, pod: Manifest) -> None:
        for image in _images(pod):
            self._say(pod, "Pulled", f'Container image "{image}" already present on machine')
        for name in _names(pod):
            self._say(pod, "Created", f"Created container: {name}")
            self._say(pod, "Started", f"Started container {name}")
        now = self._clock.stamp()
        self._status(pod, "Running", _ready(now, False), {"running": {"startedAt": now}}, started=True)

    def _ready(self, pod: Manifest) -> None:
        began = dig(pod, "status", "containerStatuses", 0, "state", "running", "startedAt", default=self._clock.stamp())
        self._status(pod, "Running", _ready(self._clock.stamp(), True), {"running": {"startedAt": began}}, started=True, ready=True)

    def _crash(self, pod: Manifest) -> None:
        now, first = self._clock.stamp(), dig(pod, "status", "containerStatuses", 0, default={})
        restarts, name = int(first.get("restartCount", 0)) + 1, _names(pod)[0]
        pause = min(300, 10 * 2 ** (restarts - 1))
        where = f"pod={dig(pod, 'metadata', 'name')}_{dig(pod, 'metadata', 'namespace')}({dig(pod, 'metadata', 'uid')})"
        text = f"back-off {_duration(pause)} restarting failed container={name} {where}"
        self._say(pod, "BackOff", f"Back-off restarting failed container {name} in {where[4:]}", kind="Warning")
        ended = {"exitCode": 1, "reason": "Error", "startedAt": dig(first, "state", "running", "startedAt", default=now), "finishedAt": now}
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
        self._status(pod, "Running", _ready(now, False), waiting, restarts=restarts, last={"terminated": ended})

    def _pull_fails(self, pod: Manifest) -> None:
        image = _images(pod)[0]
        self._say(pod, "Pulling", f'Pulling image "{image}"')
        self._say(pod, "Failed", f'Failed to pull image "{image}": manifest unknown: manifest unknown', kind="Warning")
        self._say(pod, "Failed", "Error: ErrImagePull", kind="Warning")
        self._pull_again(pod)

    def _pull_again(self, pod: Manifest) -> None:
        image = _images(pod)[0]
        text = f'Back-off pulling image "{image}"'
        self._say(pod, "BackOff", text, kind="Warning")
        if not _backs_off(pod):
            self._status(pod, "Pending", _ready(self._clock.stamp(), False), {"waiting": {"reason": "ImagePullBackOff", "message": text}})
        current = self._cluster.get(key_of(pod))
        if current is not None:
            self._plan(current)

    def _finish(self, pod: Manifest) -> None:
        failed, now = "fail" in _images(pod)[0], self._clock.stamp()
        began = dig(pod, "status", "containerStatuses", 0, "state", "running", "startedAt", default=now)
        ended = {"exitCode": int(failed), "reason": "Error" if failed else "Completed", "startedAt": began, "finishedAt": now}
        self._status(pod, "Failed" if failed else "Succeeded", _ready(now, False), {"terminated": ended})

    def _stop(self, pod: Manifest) -> None:
        self._cluster.remove_pod(key_of(pod))

    def _status(
        self,
        pod: Manifest,
        phase: str,
        conditions: list[Manifest],
        state: Manifest,
        *,
        started: bool = False,
        ready: bool = False,
        restarts: int = 0,
        last: Manifest | None = None,
    ) -> None:
        containers = [
            {
                "name": one.get("name", ""),
                "image": one.get("image", ""),
                "ready": ready,
                "started": started,
                "restartCount": restarts,
                "state": state,
                "lastState": last or {},
            }
            for one in dig(pod, "spec", "containers", default=[])
        ]
        uid = str(dig(pod, "metadata", "uid", default=""))
        address = f"10.244.{int(uid[:2] or '0', 16)}.{int(uid[2:4] or '0', 16)}"
        kept = {key: value for key, value in (pod.get("status") or {}).items() if key in ("startTime", "qosClass")}
        status = {"startTime": self._clock.stamp()} | kept | {"phase": phase, "conditions": conditions, "containerStatuses": containers}
        if phase == "Running":
            status |= {"podIP": address, "podIPs": [{"ip": address}], "hostIP": "127.0.0.1"}
        self._cluster.put(pod | {"status": status})

    def _say(self, pod: Manifest, reason: str, message: str, *, kind: str = "Normal", component: str = "kubelet") -> None:
        host = str(dig(pod, "spec", "nodeName", default="")) if component == "kubelet" else ""
        self._cluster.events.record(pod, reason, message, kind=kind, component=component, host=host)

    def _load(self, node: str) -> tuple[int, str]:
        return sum(1 for pod in self._cluster.of_kind("Pod") if dig(pod, "spec", "nodeName") == node), node

    def _used(self, node: str) -> tuple[int, int]:
        held = [requests(pod) for pod in self._cluster.of_kind("Pod") if dig(pod, "spec", "nodeName") == node]
        return sum(cpu for cpu, _ in held), sum(memory for _, memory in held)


def behaviour(pod: Manifest) -> str:
    """crash, pull, never, slow or "": by the tag of the first container's image."""
    image = (_images(pod) or [""])[0]
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return next((word for word in ("crash", "pull", "never", "slow") if word in tag), "")


def requests(pod: Manifest) -> tuple[int, int]:
    """Milli-CPUs and bytes that a pod asks for."""
    asked = [dig(one, "resources", "requests", default={}) for one in dig(pod, "spec", "containers", default=[])]
    return sum(round(quantity(one.get("cpu", 0)) * 1000) for one in asked), sum(round(quantity(one.get("memory", 0))) for one in asked)


def _is_stuck(pod: Manifest) -> bool:
    return bool(dig(pod, "status", "conditions", 0, "reason") == "Unschedulable")


def _backs_off(pod: Manifest) -> bool:
    return bool(dig(pod, "status", "containerStatuses", 0, "state", "waiting", "reason") == "ImagePullBackOff")


def _lacks(cpu: int, memory: int) -> list[tuple[str, str]]:
    short = [what for what, much in (("cpu", cpu > 0), ("memory", memory > 0)) if much]
    return [(what, "." if index == len(short) - 1 else ",") for index, what in enumerate(short)]


def _images(pod: Manifest) -> list[str]:
    return [str(one.get("image", "")) for one in dig(pod, "spec", "containers", default=[])]


def _names(pod: Manifest) -> list[str]:
    return [str(one.get("name", "")) for one in dig(pod, "spec", "containers", default=[])] or ["main"]


def _is_of_job(pod: Manifest) -> bool:
    return any(owner.get("kind") == "Job" for owner in dig(pod, "metadata", "ownerReferences", default=()))


def _ready(now: str, ready: bool) -> list[Manifest]:
    word, reason = ("True", "") if ready else ("False", "ContainersNotReady")
    return [
        condition("PodScheduled", "True", now),
        condition("Initialized", "True", now),
        condition("Ready", word, now, reason=reason),
        condition("ContainersReady", word, now, reason=reason),
    ]


def _duration(seconds: int) -> str:
    return f"{seconds}s" if seconds < 60 else f"{seconds // 60}m{seconds % 60}s"
