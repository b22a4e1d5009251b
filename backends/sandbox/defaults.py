"""What the API server adds to an object, and how it spells what was written: live objects differ from manifests by these.

Only what kinds in ordinary charts need. Not for validation: whatever a chart renders is taken.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from backends.sandbox.merge import without_nulls
from backends.sandbox.objects import Manifest, dig

_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_POD = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}


def normalised(target: Manifest) -> Manifest:
    """A rendered object in the API's spelling: quantities as texts, a Secret's `stringData` as `data`, no nulls."""
    target = without_nulls(target)
    if target.get("kind") == "Secret" and isinstance(target.get("stringData"), dict):
        texts = {key: base64.b64encode(str(value).encode()).decode() for key, value in target["stringData"].items()}
        target = {key: value for key, value in target.items() if key != "stringData"} | {"data": {**(target.get("data") or {}), **texts}}
    return _map_pod(target, _spell_pod)


def defaulted(manifest: Manifest) -> Manifest:
    """An object with the API server's defaults filled in."""
    kind = manifest.get("kind")
    manifest = _map_pod(manifest, _default_pod)
    fill = _DEFAULTS.get(str(kind))
    return manifest if fill is None else fill(manifest)


def _map_pod(manifest: Manifest, change: Callable[[Manifest], Manifest]) -> Manifest:
    """The object with its pod template's spec changed, where it has one."""
    paths = {"Pod": ("spec",), "CronJob": ("spec", "jobTemplate", "spec", "template", "spec")}
    path = paths.get(str(manifest.get("kind")), ("spec", "template", "spec"))
    spec = dig(manifest, *path)
    if not isinstance(spec, dict):
        return manifest
    return _set(manifest, change(spec), path)


def _set(value: Manifest, new: Any, path: tuple[str, ...]) -> Manifest:
    return value | {path[0]: new if len(path) == 1 else _set(value[path[0]], new, path[1:])}


def _spell_pod(spec: Manifest) -> Manifest:
    return _map_containers(spec, _spell_container)


def _map_containers(spec: Manifest, change: Callable[[Manifest], Manifest]) -> Manifest:
    out = dict(spec)
    for field in ("initContainers", "containers"):
        if isinstance(out.get(field), list):
            out[field] = [change(item) if isinstance(item, dict) else item for item in out[field]]
    return out


def _spell_container(container: Manifest) -> Manifest:
    resources = container.get("resources")
    if not isinstance(resources, dict):
        return container
    spelled = {
        side: {name: str(amount) for name, amount in values.items()} if isinstance(values, dict) else values
        for side, values in resources.items()
    }
    return container | {"resources": spelled}


def _default_pod(spec: Manifest) -> Manifest:
    return _map_containers(_POD | spec, _default_container)


def _default_container(container: Manifest) -> Manifest:
    image = str(container.get("image", ""))
    latest = "@" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest"))
    out: Manifest = {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if latest else "IfNotPresent",
        "resources": {},
    } | container
    if isinstance(out.get("ports"), list):
        out["ports"] = [{"protocol": "TCP"} | port for port in out["ports"] if isinstance(port, dict)]
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(out.get(probe), dict):
            out[probe] = _PROBE | out[probe]
    return out


def _deployment(manifest: Manifest) -> Manifest:
    spec = manifest.get("spec") or {}
    strategy = spec.get("strategy") or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = {"maxUnavailable": "25%", "maxSurge": "25%"} | (strategy.get("rollingUpdate") or {})
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    base = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    return manifest | {"spec": base | spec | {"strategy": strategy}}


def _stateful_set(manifest: Manifest) -> Manifest:
    base = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    return manifest | {"spec": base | (manifest.get("spec") or {})}


def _daemon_set(manifest: Manifest) -> Manifest:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    return manifest | {"spec": {"revisionHistoryLimit": 10, "updateStrategy": rolling} | (manifest.get("spec") or {})}


def _job(manifest: Manifest) -> Manifest:
    base = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }
    return manifest | {"spec": base | (manifest.get("spec") or {})}


def _service(manifest: Manifest) -> Manifest:
    spec = manifest.get("spec") or {}
    name = f"{dig(manifest, 'metadata', 'namespace', default='')}/{dig(manifest, 'metadata', 'name', default='')}"
    digits = blake2b(name.encode(), digest_size=2).digest()
    address = spec.get("clusterIP") or f"10.0.{digits[0]}.{digits[1]}"
    ports = [{"protocol": "TCP", "targetPort": port.get("port")} | port for port in spec.get("ports") or [] if isinstance(port, dict)]
    base = {
        "type": "ClusterIP",
        "clusterIP": address,
        "clusterIPs": [address],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "sessionAffinity": "None",
    }
    return manifest | {"spec": base | spec | ({"ports": ports} if ports else {})}


def _secret(manifest: Manifest) -> Manifest:
    return {"type": "Opaque"} | manifest


_DEFAULTS: dict[str, Callable[[Manifest], Manifest]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "Service": _service,
    "Secret": _secret,
}
