"""What an apply makes of an object: the three-way merge of what was applied before, what is wanted now, and what is there.

Lists of the built-in kinds merge by the key that their schema names; lists of custom resources are replaced whole, as Kubernetes does.
"""

from __future__ import annotations

from typing import Any

from backends.sandbox.objects import Manifest, group_of, with_

_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeClaimTemplates": ("name",),
    "ports": ("containerPort", "port"),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
}
_BUILT_IN = {"", "apps", "batch", "autoscaling", "policy", "extensions"}


def three_way(applied: Manifest | None, target: Manifest, live: Manifest) -> Manifest:
    """`live` with `target` on top, without what `applied` had and `target` has no longer."""
    group = group_of(target)
    merged: Manifest = _merge(applied or {}, target, live, "", strategic=group in _BUILT_IN or group.endswith(".k8s.io"))
    return merged


def _merge(applied: Any, target: Any, live: Any, field: str, *, strategic: bool) -> Any:
    if isinstance(target, dict) and isinstance(live, dict):
        had = applied if isinstance(applied, dict) else {}
        out = {key: value for key, value in live.items() if key in target or key not in had}
        for key, value in target.items():
            if value is None:
                out.pop(key, None)
            elif key in live:
                out[key] = _merge(had.get(key), value, live[key], key, strategic=strategic)
            else:
                out[key] = without_nulls(value)
        return out
    if isinstance(target, list) and isinstance(live, list):
        if field == "finalizers":
            ours = applied if isinstance(applied, list) else []
            return [*target, *(name for name in live if name not in target and name not in ours)]
        if strategic and (name := _merge_key(field, [*target, *live])):
            return _merge_list(applied, target, live, name, strategic=strategic)
    return without_nulls(target)


def _merge_list(applied: Any, target: list[Any], live: list[Any], name: str, *, strategic: bool) -> list[Any]:
    before = {item[name]: item for item in applied or [] if isinstance(item, dict) and name in item}
    there = {item[name]: item for item in live}
    wanted = {item[name]: item for item in target}
    out = [_merge(before.get(key), item, there[key], "", strategic=strategic) if key in there else item for key, item in wanted.items()]
    return out + [item for key, item in there.items() if key not in wanted and key not in before]


def _merge_key(field: str, items: list[Any]) -> str:
    for name in _MERGE_KEYS.get(field, ()):
        if all(isinstance(item, dict) and name in item for item in items):
            return name
    return ""


def without_nulls(value: Any) -> Any:
    """A value without its null entries: to Kubernetes null means absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def merge_patch(patch: Any, value: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(item, out.get(key))
    return out


def json_patch(patch: list[Any], value: Any) -> Any:
    """RFC 6902: add, replace, remove and test. Raises `LookupError`, `TypeError` and `ValueError` for what cannot be done."""
    for step in patch:
        path = [part.replace("~1", "/").replace("~0", "~") for part in str(step["path"]).split("/")[1:]]
        value = _patched(value, path, str(step["op"]), step.get("value"))
    return value


def _patched(value: Any, path: list[str], operation: str, new: Any) -> Any:
    if not path:
        if operation == "test" and value != new:
            raise ValueError("testing value failed")
        return value if operation == "test" else new
    head, rest = path[0], path[1:]
    copy = list(value) if isinstance(value, list) else dict(value)
    place: Any = (len(copy) if head == "-" else int(head)) if isinstance(copy, list) else head
    if rest or operation in ("test", "replace"):
        copy[place] = _patched(copy[place], rest, operation, new)
    elif operation == "remove":
        del copy[place]
    elif operation != "add":
        raise ValueError(f"unexpected kind: {operation}")
    elif isinstance(copy, list):
        copy.insert(place, new)
    else:
        copy[place] = new
    return copy


def comparable(manifest: Manifest) -> Manifest:
    """A live object without what never counts as a difference: its status and its birthday."""
    return with_(with_(manifest, None, "status"), None, "metadata", "creationTimestamp")


def field_set(value: Any) -> dict[str, Any]:
    """The `fieldsV1` of a manifest: which fields somebody set."""
    if not isinstance(value, dict):
        return {}
    out: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            out[f"f:{key}"] = {".": {}, **field_set(item)} if key in ("annotations", "labels", "data") else field_set(item)
        else:
            out[f"f:{key}"] = {}
    return out
