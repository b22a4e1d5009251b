"""Counting pods: how many of an owner's pods are there, ready, to be made and to be removed. Pure functions over manifests."""

from __future__ import annotations

import math

import msgspec

from backends.sandbox.objects import Manifest, dig, find_condition, is_deleting, uid_of
from backends.sandbox.world import template_hash


def is_ready(pod: Manifest) -> bool:
    return dig(find_condition(dig(pod, "status", "conditions"), "Ready"), "status") == "True" and not is_deleting(pod)


def is_over(pod: Manifest) -> bool:
    return dig(pod, "status", "phase") in ("Succeeded", "Failed")


def active(pods: list[Manifest]) -> list[Manifest]:
    """The pods that count for an owner that keeps a number of them: neither ended nor going."""
    return [pod for pod in pods if not is_deleting(pod) and not is_over(pod)]


def surplus(pods: list[Manifest], count: int) -> list[Manifest]:
    """Which pods to remove when `count` of them are too many: those that are not ready first, then the youngest."""
    ordered = sorted(pods, key=lambda pod: (is_ready(pod), -int(dig(pod, "metadata", "resourceVersion", default=0))))
    return ordered[: max(0, count)]


def revision_of(template: Manifest) -> str:
    return template_hash(msgspec.json.encode(template, order="sorted"))


def fraction_of(value: object, total: int, *, up: bool) -> int:
    """`maxSurge` and `maxUnavailable`: a number, or a percentage rounded up or down."""
    if isinstance(value, int):
        return value
    share = int(str(value).rstrip("%") or 0) * total / 100
    return math.ceil(share) if up else math.floor(share)


def rolling_limits(spec: Manifest, wanted: int) -> tuple[int, int]:
    """How many pods may exist, and how many must be available, while a Deployment rolls."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return wanted, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = fraction_of(rolling.get("maxSurge", "25%"), wanted, up=True)
    missing = fraction_of(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    if surge == 0 and missing == 0:
        missing = 1
    return wanted + surge, wanted - missing


def owner_reference(owner: Manifest) -> Manifest:
    return {
        "apiVersion": owner.get("apiVersion", ""),
        "kind": owner.get("kind", ""),
        "name": dig(owner, "metadata", "name", default=""),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def new_pod(owner: Manifest, name: str, template: Manifest, labels: Manifest) -> Manifest:
    """A pod of an owner's template, not yet scheduled."""
    meta: Manifest = {
        "name": name,
        "generateName": f"{dig(owner, 'metadata', 'name')}-",
        "namespace": dig(owner, "metadata", "namespace", default=""),
        "labels": (dig(template, "metadata", "labels", default={})) | labels,
        "ownerReferences": [owner_reference(owner)],
    }
    if notes := dig(template, "metadata", "annotations"):
        meta["annotations"] = notes
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": dict(template.get("spec") or {}), "status": {"phase": "Pending"}}
