"""What the smaller controllers of a cluster write into an object's status, once and for all: claims are bound, balancers get an address.

CronJobs never fire, autoscalers never scale and disruption budgets are never exhausted here.
"""

from __future__ import annotations

from collections.abc import Callable

from backends.sandbox.objects import Manifest, condition, dig

_ADDRESS = {"ingress": [{"ip": "203.0.113.10"}]}


def status_of(obj: Manifest, now: str) -> Manifest | None:
    """The status that an object without one, or a pending one, gets at a time; None where it has one."""
    if "status" in obj and dig(obj, "status", "phase") != "Pending":
        return None
    return KINDS[str(obj.get("kind"))](obj, now)


def _claim(claim: Manifest, _: str) -> Manifest:
    return {"phase": "Bound", "accessModes": dig(claim, "spec", "accessModes", default=[])}


def _balanced(obj: Manifest, _: str) -> Manifest:
    outside = obj.get("kind") == "Ingress" or dig(obj, "spec", "type") == "LoadBalancer"
    return {"loadBalancer": _ADDRESS if outside else {}}


def _autoscaler(obj: Manifest, now: str) -> Manifest:
    least = dig(obj, "spec", "minReplicas", default=1)
    able = condition("AbleToScale", "True", now, reason="ReadyForNewScale", message="recommended size matches current size")
    text = "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)"
    active = condition("ScalingActive", "True", now, reason="ValidMetricFound", message=text)
    return {"conditions": [able, active], "currentReplicas": least, "desiredReplicas": least, "currentMetrics": None}


def _budget(obj: Manifest, now: str) -> Manifest:
    allowed = condition("DisruptionAllowed", "True", now, reason="SufficientPods")
    return {"conditions": [allowed], "observedGeneration": dig(obj, "metadata", "generation", default=1)}


def _namespace(_: Manifest, __: str) -> Manifest:
    return {"phase": "Active"}


def _cron_job(_: Manifest, __: str) -> Manifest:
    return {}


KINDS: dict[str, Callable[[Manifest, str], Manifest]] = {
    "PersistentVolumeClaim": _claim,
    "Service": _balanced,
    "Ingress": _balanced,
    "Namespace": _namespace,
    "CronJob": _cron_job,
    "HorizontalPodAutoscaler": _autoscaler,
    "PodDisruptionBudget": _budget,
}
"""The kinds that have one, and how it is made."""
