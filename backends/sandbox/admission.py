"""What an API server refuses: kinds that it does not know, values of a wrong type, invalid fields, changes of immutable ones.

Texts are a real server's. Only what charts commonly get wrong: anything else is taken. Not what a project forbids (`projects`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from backends.sandbox.objects import ARGO, Key, Manifest, dig, group_of, key_of, version_of

_GROUPS = (
    "networking",
    "rbac.authorization",
    "storage",
    "apiextensions",
    "apiregistration",
    "admissionregistration",
    "scheduling",
    "coordination",
    "discovery",
    "certificates",
    "events",
    "node",
)
_VERSIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("", "apps", "batch", "policy"), ("v1",)),
    **dict.fromkeys((f"{name}.k8s.io" for name in _GROUPS), ("v1",)),
    "autoscaling": ("v2", "v1"),
    ARGO: ("v1alpha1",),
}
_HOMES = ("default", "kube-system", "argocd")
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "m": 10**-3}
_QUANTITY = re.compile(r"[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_NO_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN.pattern}')"
)
_NO_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
    f"character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL.pattern}')"
)
_NO_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_LABEL_VALUE.pattern}')"
)
_OTHERS = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_FREE = re.findall(r"'(\w+)'", _OTHERS)


class Refused(Exception):
    """The API server does not take an object; the text says why."""


def unknown(manifest: Manifest, definitions: Callable[[], Iterable[Manifest]]) -> tuple[str, str] | None:
    """Why a cluster with these CustomResourceDefinitions does not know a kind: as an operation says it, and as its result does."""
    group, version, kind, key = group_of(manifest), version_of(manifest), manifest.get("kind"), key_of(manifest)
    if version in _VERSIONS.get(group, ()):
        return None
    crd = next((one for one in definitions() if dig(one, "spec", "group") == group and dig(one, "spec", "names", "kind") == kind), None)
    served = _VERSIONS.get(group, ()) if crd is None else [str(one.get("name")) for one in dig(crd, "spec", "versions", default=[])]
    if version in served:
        return None
    text = (
        f"failed to discover server resources for group version {f'{group}/{version}'.strip('/')}: the server could not find the "
        "requested resource"
    )
    where = f"requested resource {key.namespace}/{key.name}"
    if not served:
        return text, (
            f'The Kubernetes API could not find {group}/{kind} for {where}. Make sure the "{kind}" CRD is installed on the destination '
            "cluster."
        )
    return text, (
        f'The Kubernetes API could not find version "{version}" of {group}/{kind} for {where}. Version "{served[0]}" of {group}/{kind} is '
        "installed on the destination cluster."
    )


def is_known(group: str, kind: str, definitions: Callable[[], Iterable[Manifest]]) -> bool:
    """Whether there is such a kind, in whatever version."""
    return group in _VERSIONS or any(
        dig(one, "spec", "group") == group and dig(one, "spec", "names", "kind") == kind for one in definitions()
    )


def check(target: Manifest, live: Manifest | None, exists: Callable[[Key], bool]) -> None:
    """Raises `Refused` for what must not be applied."""
    namespace = str(dig(target, "metadata", "namespace", default=""))
    if live is None and namespace and namespace not in _HOMES and not exists(Key("", "Namespace", "", namespace)):
        raise Refused(f'namespaces "{namespace}" not found')
    for creating, patching in _type_errors(target):
        if live is None:
            raise Refused(f'{target.get("kind")} in version "{version_of(target)}" cannot be handled as a {target.get("kind")}: {creating}')
        raise Refused(f' "" is invalid: patch: Invalid value: "": {patching}')
    found = [*_invalid(target), *(_immutable(target, live) if live is not None else ())]
    if found:
        key = key_of(target)
        text = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        raise Refused(f'{key.kind}{f".{key.group}" if key.group else ""} "{key.name}" is invalid: {text}')


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number; 0 for what is none."""
    value = str(text)
    unit = next((unit for unit in _UNITS if value.endswith(unit)), "")
    try:
        return float(value.removesuffix(unit)) * _UNITS.get(unit, 1)
    except ValueError:
        return 0.0


def _type_errors(target: Manifest) -> Iterator[tuple[str, str]]:
    """What the JSON decoder says of each value of a wrong type: when an object is created, and when it is patched."""
    kind = str(target.get("kind"))
    replicas = dig(target, "spec", "replicas")
    if replicas is not None and not isinstance(replicas, int):
        yield _cannot(replicas, f"{kind}Spec.spec.replicas", "int32"), "unrecognized type: int32"
    texts: list[tuple[str, object]] = []
    for field in ("labels", "annotations"):
        texts += [(f"ObjectMeta.metadata.{field}", value) for value in dig(target, "metadata", field, default={}).values()]
    if kind in ("ConfigMap", "Secret"):
        texts += [(f"{kind}.data", value) for value in (target.get("data") or {}).values()]
    path = _template_path(kind)
    for container in _containers(target):
        for env in container.get("env") or []:
            texts.append((f"EnvVar.{path}.containers.env.value", env.get("value", "")))
    for field, value in texts:
        if value is not None and not isinstance(value, str):
            yield _cannot(value, field, "string"), f"cannot convert {_go_type(value)} to string"
    for container in _containers(target):
        amounts = [
            *dig(container, "resources", "requests", default={}).values(),
            *dig(container, "resources", "limits", default={}).values(),
        ]
        if any(_QUANTITY.fullmatch(str(amount)) is None for amount in amounts):
            text = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            yield text, text


def _invalid(target: Manifest) -> Iterator[str]:
    kind, name = str(target.get("kind")), str(dig(target, "metadata", "name", default=""))
    if kind not in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding") and _SUBDOMAIN.fullmatch(name) is None:
        yield f"metadata.name: {_value(name)}: {_NO_SUBDOMAIN}"
    for value in dig(target, "metadata", "labels", default={}).values():
        if _LABEL_VALUE.fullmatch(value) is None:
            yield f"metadata.labels: {_value(value)}: {_NO_LABEL_VALUE}"
    if kind in ("Deployment", "StatefulSet", "DaemonSet"):
        yield from _selection(target)
    if kind in (*_WORKLOADS, "CronJob", "Pod"):
        yield from _pod_problems(target, _template_path(kind))
    if kind == "Service":
        yield from _service_problems(target)


def _selection(target: Manifest) -> Iterator[str]:
    wanted, labels = (
        dig(target, "spec", "selector", "matchLabels", default={}),
        dig(target, "spec", "template", "metadata", "labels", default={}),
    )
    if not dig(target, "spec", "selector"):
        yield "spec.selector: Required value"
    if not wanted or any(labels.get(name) != value for name, value in wanted.items()):
        yield f"spec.template.metadata.labels: {_value(labels)}: `selector` does not match template `labels`"


def _pod_problems(target: Manifest, path: str) -> Iterator[str]:
    containers = dig(target, *path.split("."), "containers", default=[])
    if not containers:
        yield f"{path}.containers: Required value"
    for index, container in enumerate(containers):
        where, name = f"{path}.containers[{index}]", str(container.get("name", ""))
        if not name:
            yield f"{where}.name: Required value"
        elif _LABEL.fullmatch(name) is None:
            yield f"{where}.name: {_value(name)}: {_NO_LABEL}"
        if not container.get("image"):
            yield f"{where}.image: Required value"
        limits = dig(container, "resources", "limits", default={})
        for resource, amount in dig(container, "resources", "requests", default={}).items():
            if resource in limits and quantity(amount) > quantity(limits[resource]):
                text = f"must be less than or equal to {resource} limit of {limits[resource]}"
                yield f"{where}.resources.requests: {_value(str(amount))}: {text}"


def _service_problems(target: Manifest) -> Iterator[str]:
    kinds = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if (kind := dig(target, "spec", "type", default="ClusterIP")) not in kinds:
        yield f'spec.type: Unsupported value: "{kind}": supported values: ' + ", ".join(f'"{one}"' for one in kinds)
    for index, entry in enumerate(dig(target, "spec", "ports", default=[])):
        for field in ("port", "targetPort"):
            number = entry.get(field, entry.get("port"))
            if isinstance(number, int) and not 1 <= number <= 65535:
                yield f"spec.ports[{index}].{field}: {_value(number)}: must be between 1 and 65535, inclusive"


def _immutable(target: Manifest, live: Manifest) -> Iterator[str]:
    kind, old, new = str(target.get("kind")), live.get("spec") or {}, target.get("spec") or {}
    if kind in ("Deployment", "DaemonSet") and new.get("selector") != old.get("selector"):
        yield f"spec.selector: {_value(new.get('selector'))}: field is immutable"
    if kind == "StatefulSet" and _changed(new, old, _STATEFUL_FREE):
        yield f"spec: Forbidden: {_OTHERS}"
    if kind == "Job" and _images(new) != _images(old):
        yield f"spec.template: {_value(new.get('template'))}: field is immutable"
    if kind in ("ConfigMap", "Secret") and live.get("immutable") and _changed(target.get("data") or {}, live.get("data") or {}, ()):
        yield "data: Forbidden: field is immutable when `immutable` is set"
    if kind == "PersistentVolumeClaim" and _changed(new, old, ("resources", "volumeAttributesClassName", "volumeName", "storageClassName")):
        yield ("spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims")


def _changed(new: Manifest, old: Manifest, free: Iterable[str]) -> bool:
    """Whether something that was asked for differs from what is there, in fields that are not free."""
    allowed = set(free)
    return any(value != old.get(field) for field, value in new.items() if field not in allowed and field in old)


def _images(spec: Manifest) -> list[object]:
    return [
        (one.get("name"), one.get("image"), one.get("command"), one.get("args"), one.get("env"))
        for one in dig(spec, "template", "spec", "containers", default=[])
    ]


def _template_path(kind: str) -> str:
    return {"Pod": "spec", "CronJob": "spec.jobTemplate.spec.template.spec"}.get(kind, "spec.template.spec")


def _containers(target: Manifest) -> list[Manifest]:
    if target.get("kind") not in (*_WORKLOADS, "CronJob", "Pod"):
        return []
    return [
        one for one in dig(target, *_template_path(str(target.get("kind"))).split("."), "containers", default=[]) if isinstance(one, dict)
    ]


def _cannot(value: object, field: str, wanted: str) -> str:
    kinds = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return f"json: cannot unmarshal {kinds.get(type(value), 'value')} into Go struct field {field} of type {wanted}"


def _go_type(value: object) -> str:
    return {bool: "bool", int: "int64", float: "float64"}.get(type(value), "object")


def _value(value: object) -> str:
    return f"Invalid value: {msgspec.json.encode(value, order='sorted').decode()}"
