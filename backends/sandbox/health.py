"""How healthy one object is: the checks that are built into Argo CD (gitops-engine, pkg/health)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backends.sandbox.objects import HOOK_FINALIZER, Manifest, dig, find_condition, group_of, is_deleting, is_hook

ORDER = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")


class Health(NamedTuple):
    status: str
    message: str = ""

    def json(self) -> dict[str, str]:
        return {"status": self.status} | ({"message": self.message} if self.message else {})


def is_worse(current: str, new: str) -> bool:
    return ORDER.index(new) > ORDER.index(current)


def health_of(manifest: Manifest) -> Health | None:
    """None where Argo CD has no check for the kind: such objects do not count."""
    if is_deleting(manifest) and HOOK_FINALIZER not in dig(manifest, "metadata", "finalizers", default=[]):
        return Health("Progressing", "Pending deletion")
    check = _CHECKS.get((group_of(manifest), str(manifest.get("kind"))))
    return None if check is None else check(manifest)


def _deployment(obj: Manifest) -> Health:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    name, wanted = dig(obj, "metadata", "name"), int(spec.get("replicas", 1))
    updated, total, available = (int(status.get(field, 0)) for field in ("updatedReplicas", "replicas", "availableReplicas"))
    if spec.get("paused"):
        return Health("Suspended", "Deployment is paused")
    if int(dig(obj, "metadata", "generation", default=0)) > int(status.get("observedGeneration", 0)):
        return Health("Progressing", "Waiting for rollout to finish: observed deployment generation less than desired generation")
    if dig(find_condition(status.get("conditions"), "Progressing"), "reason") == "ProgressDeadlineExceeded":
        return Health("Degraded", f'Deployment "{name}" exceeded its progress deadline')
    if updated < wanted:
        return Health("Progressing", f"Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated...")
    if total > updated:
        return Health("Progressing", f"Waiting for rollout to finish: {total - updated} old replicas are pending termination...")
    if available < updated:
        return Health("Progressing", f"Waiting for rollout to finish: {available} of {updated} updated replicas are available...")
    return Health("Healthy")


def _replica_set(obj: Manifest) -> Health:
    status = obj.get("status") or {}
    wanted, available = int(dig(obj, "spec", "replicas", default=1)), int(status.get("availableReplicas", 0))
    if int(dig(obj, "metadata", "generation", default=0)) > int(status.get("observedGeneration", 0)):
        return Health("Progressing", "Waiting for rollout to finish: observed replica set generation less than desired generation")
    failure = find_condition(status.get("conditions"), "ReplicaFailure")
    if failure is not None and failure.get("status") == "True":
        return Health("Degraded", str(failure.get("message", "")))
    if available < wanted:
        return Health("Progressing", f"Waiting for rollout to finish: {available} out of {wanted} new replicas are available...")
    return Health("Healthy")


def _stateful_set(obj: Manifest) -> Health:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wanted, ready, updated = int(spec.get("replicas", 1)), int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0))
    observed = int(status.get("observedGeneration", 0))
    if not observed or int(dig(obj, "metadata", "generation", default=0)) > observed:
        return Health("Progressing", "Waiting for statefulset spec update to be observed...")
    if ready < wanted:
        return Health("Progressing", f"Waiting for {wanted - ready} pods to be ready...")
    partition = dig(spec, "updateStrategy", "rollingUpdate", "partition")
    if partition is not None:
        if updated < wanted - int(partition):
            return Health(
                "Progressing",
                f"Waiting for partitioned roll out to finish: {updated} out of {wanted - int(partition)} new pods have been updated...",
            )
        return Health("Healthy", f"partitioned roll out complete: {updated} new pods have been updated...")
    return Health("Healthy", f"statefulset has {ready} ready pods")


def _daemon_set(obj: Manifest) -> Health:
    status, name = obj.get("status") or {}, dig(obj, "metadata", "name")
    fields = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    desired, updated, available = (int(status.get(field, 0)) for field in fields)
    if int(dig(obj, "metadata", "generation", default=0)) > int(status.get("observedGeneration", 0)):
        return Health("Progressing", "Waiting for rollout to finish: observed daemon set generation less than desired generation")
    if updated < desired:
        return Health(
            "Progressing", f'Waiting for daemon set "{name}" rollout to finish: {updated} out of {desired} new pods have been updated...'
        )
    if available < desired:
        return Health(
            "Progressing", f'Waiting for daemon set "{name}" rollout to finish: {available} of {desired} updated pods are available...'
        )
    return Health("Healthy")


def _pod(obj: Manifest) -> Health:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase, message = status.get("phase"), str(status.get("message", ""))
    containers = status.get("containerStatuses") or []
    lives_on = spec.get("restartPolicy", "Always") == "Always" and not is_hook(obj)
    if lives_on:
        waiting = [dig(one, "state", "waiting", default={}) for one in containers]
        bad = [one for one in waiting if _is_bad(str(one.get("reason", "")))]
        if bad:
            return Health("Degraded", ", ".join(str(one.get("message", "")) for one in bad))
    if phase == "Pending":
        return Health("Progressing", message)
    if phase == "Succeeded":
        return Health("Healthy", message)
    if phase == "Failed":
        return Health("Degraded", message or _exit(containers))
    if phase == "Running" and lives_on:
        if dig(find_condition(status.get("conditions"), "Ready"), "status") == "True":
            return Health("Healthy", message)
        died = any(dig(one, "lastState", "terminated") for one in containers)
        return Health("Degraded" if died else "Progressing", message)
    return Health("Progressing" if phase == "Running" else "Unknown", message)


def _is_bad(reason: str) -> bool:
    return reason.startswith("Err") or reason.endswith(("Error", "BackOff"))


def _exit(containers: list[Manifest]) -> str:
    for one in containers:
        ended = dig(one, "state", "terminated", default={})
        if ended.get("message") or ended.get("reason") == "OOMKilled":
            return str(ended.get("message") or ended["reason"])
        if ended.get("exitCode"):
            return f'container "{one.get("name")}" failed with exit code {ended["exitCode"]}'
    return ""


def _job(obj: Manifest) -> Health:
    conditions = dig(obj, "status", "conditions")
    failed, complete, suspended = (find_condition(conditions, kind) for kind in ("Failed", "Complete", "Suspended"))
    if failed is not None:
        return Health("Degraded", str(failed.get("message", "")))
    if suspended is not None and suspended.get("status") == "True":
        return Health("Suspended", str(suspended.get("message", "")))
    return Health("Progressing") if complete is None else Health("Healthy", str(complete.get("message", "")))


def _service(obj: Manifest) -> Health:
    waits = dig(obj, "spec", "type") == "LoadBalancer" and not dig(obj, "status", "loadBalancer", "ingress")
    return Health("Progressing" if waits else "Healthy")


def _claim(obj: Manifest) -> Health:
    return Health({"Lost": "Degraded", "Pending": "Progressing", "Bound": "Healthy"}.get(str(dig(obj, "status", "phase")), "Unknown"))


def _ingress(obj: Manifest) -> Health:
    return Health("Healthy" if dig(obj, "status", "loadBalancer", "ingress") else "Progressing")


def _autoscaler(obj: Manifest) -> Health:
    conditions = dig(obj, "status", "conditions", default=[])
    bad = next((one for one in conditions if str(one.get("reason", "")).startswith(("FailedGet", "FailedUpdate", "FailedCompute"))), None)
    if bad is not None:
        return Health("Degraded", str(bad.get("message", "")))
    good = (one for one in conditions if one.get("type") in ("AbleToScale", "ScalingLimited") and one.get("status") == "True")
    return next((Health("Healthy", str(one.get("message", ""))) for one in good), Health("Progressing", "Waiting to Autoscale"))


def _budget(obj: Manifest) -> Health:
    conditions = dig(obj, "status", "conditions", default=[])
    if not conditions:
        return Health("Progressing", "Waiting for status")
    bad = next((one for one in conditions if one.get("status") == "False" and one.get("reason") != "InsufficientPods"), None)
    return Health("Healthy" if bad is None else "Degraded", f"PodDisruptionBudget has {(bad or conditions[-1]).get('reason', '')}")


def _cron_job(obj: Manifest) -> Health:
    return Health("Healthy", "CronJob is Suspended" if dig(obj, "spec", "suspend") else "CronJob has not been scheduled yet")


_CHECKS: dict[tuple[str, str], Callable[[Manifest], Health]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("", "Pod"): _pod,
    ("batch", "Job"): _job,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("policy", "PodDisruptionBudget"): _budget,
    ("batch", "CronJob"): _cron_job,
}
