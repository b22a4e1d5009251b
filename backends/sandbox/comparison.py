"""What an Application should be against what it is: sync status, health and differences of every resource.

Argo CD's `CompareAppState` and `setApplicationHealth`, as pure functions over manifests.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from backends.sandbox.defaults import defaulted, normalised
from backends.sandbox.health import health_of, is_worse
from backends.sandbox.live import LiveView
from backends.sandbox.merge import comparable, three_way
from backends.sandbox.objects import (
    ARGO,
    CLUSTER_SCOPED,
    TRACKING,
    Key,
    Manifest,
    annotation,
    dig,
    hook_phases,
    is_hook,
    key_of,
    tracked_by,
    tracking_id,
    version_of,
    wave_of,
    with_,
)
from backends.sandbox.projects import permits_kind, sources_of
from backends.sandbox.repository import Generated


class Managed(NamedTuple):
    """One resource that an Application manages: wanted, live or both."""

    key: Key
    version: str
    target: Manifest | None
    live: Manifest | None
    hook: bool
    modified: bool
    normalized: Manifest | None
    """The live object without what never counts as a difference."""
    predicted: Manifest | None
    """What a sync would make of it."""


class Comparison(NamedTuple):
    """The outcome of one comparison, in the parts of `status`."""

    sync: Manifest
    health: str
    health_message: str
    resources: list[Manifest]
    managed: tuple[Managed, ...]
    hooks: tuple[Manifest, ...]
    conditions: list[tuple[str, str]]
    kinds: tuple[str, ...]
    may_have_changes: bool

    @property
    def revisions(self) -> list[str]:
        return list(self.sync.get("revisions") or [self.sync.get("revision", "")])


def compare(application: Manifest, project: Manifest, view: LiveView, generated: Generated | str, revisions: list[str]) -> Comparison:
    """Compare an Application.

    Args:
        generated: what its sources render to, or why they don't.
        revisions: what was asked for, one per source; shown where nothing could be rendered (a branch name, then).
    """
    failed, conditions = isinstance(generated, str), []
    if isinstance(generated, str):
        conditions.append(("ComparisonError", f"Failed to load target state: {generated}"))
        generated = Generated((), tuple(revisions), (), may_have_changes=False)
    name = str(dig(application, "metadata", "name"))
    targets, repeated = _targets(application, generated.manifests)
    conditions += repeated
    hooks = tuple(target for target in targets.values() if is_hook(target))
    wanted = {key: target for key, target in targets.items() if not is_hook(target)}
    live = view.tracked(name)
    for key in wanted:
        if key not in live and (found := view.get(key)) is not None:
            live[key] = found
    conditions += _shared(application, live)
    ignored = dig(application, "spec", "ignoreDifferences", default=[])
    managed = []
    for key in sorted({*wanted, *live}, key=lambda key: (key.group, key.kind, key.namespace, key.name)):
        managed.append(_managed(key, wanted.get(key), live.get(key), view.cluster.applied.get(key), ignored))
    resources, code = [], "Synced"
    waves = {key_of(hook): wave_of(hook) for hook in hooks}
    for one in managed:
        permitted = permits_kind(project, one.live or one.target or {}, known=one.live is not None or view.cluster.knows(one.target or {}))
        status = _resource(one, waves, failed=failed or not permitted)
        resources.append(status)
        extraneous = one.target is None and "IgnoreExtraneous" in annotation(one.live or {}, "argocd.argoproj.io/compare-options")
        if status.get("status") == "OutOfSync" and not extraneous:
            code = "OutOfSync"
    health, message = _health(application, managed)
    sync = _sync_status(application, "Unknown" if failed else code, list(generated.revisions))
    return Comparison(sync, health, message, resources, tuple(managed), hooks, conditions, generated.kinds, generated.may_have_changes)


def _sync_status(application: Manifest, code: str, revisions: list[str]) -> Manifest:
    spec = application["spec"]
    several = bool(spec.get("sources"))
    compared: Manifest = {"source": {"repoURL": ""} if several else sources_of(spec)[0], "destination": spec.get("destination") or {}}
    if several:
        compared["sources"] = spec["sources"]
    if spec.get("ignoreDifferences"):
        compared["ignoreDifferences"] = spec["ignoreDifferences"]
    return {"status": code, "comparedTo": compared} | (
        {"revisions": revisions} if several else {"revision": revisions[0] if revisions else ""}
    )


def _targets(application: Manifest, manifests: tuple[Manifest, ...]) -> tuple[dict[Key, Manifest], list[tuple[str, str]]]:
    """Rendered objects as they would be applied: with namespace and tracking annotation; the last of two alike counts."""
    name, namespace = str(dig(application, "metadata", "name")), str(dig(application, "spec", "destination", "namespace", default=""))
    out: dict[Key, Manifest] = {}
    seen: dict[Key, int] = {}
    for raw in manifests:
        target = normalised(raw)
        scoped = target.get("kind") in CLUSTER_SCOPED
        home = "" if scoped else str(dig(target, "metadata", "namespace", default="") or namespace)
        target = with_(target, home or None, "metadata", "namespace")
        target = with_(target, tracking_id(name, target, home or namespace), "metadata", "annotations", TRACKING)
        key = key_of(target)
        seen[key] = seen.get(key, 0) + 1
        out.pop(key, None)
        out[key] = target
    repeated = [
        (
            "RepeatedResourceWarning",
            f"Resource {key.group}/{key.kind}/{key.namespace}/{key.name} appeared {n} times among application resources.",
        )
        for key, n in seen.items()
        if n > 1
    ]
    return out, repeated


def _shared(application: Manifest, live: dict[Key, Manifest]) -> list[tuple[str, str]]:
    name, namespace = dig(application, "metadata", "name"), dig(application, "metadata", "namespace")
    return [
        ("SharedResourceWarning", f"{key.kind}/{key.name} is part of applications {namespace}/{name} and {owner}")
        for key, obj in live.items()
        if (owner := tracked_by(obj)) and owner != name
    ]


def _managed(key: Key, target: Manifest | None, live: Manifest | None, applied: Manifest | None, ignored: list[Manifest]) -> Managed:
    hook = is_hook(live or target or {})
    normalized = predicted = None
    if live is not None:
        normalized = _without(comparable(live), key, ignored)
    if target is not None:
        merged = defaulted(target if live is None else three_way(_bare(applied), target, live))
        predicted = _without(comparable(merged), key, ignored)
    modified = target is not None and live is not None and normalized != predicted
    return Managed(key, version_of(live or target or {}), target, live, hook, modified, normalized, predicted)


def _bare(applied: Manifest | None) -> Manifest | None:
    return None if applied is None else with_(applied, None, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")


def _without(manifest: Manifest, key: Key, ignored: list[Manifest]) -> Manifest:
    """An object without what `ignoreDifferences` names (JSON pointers, and jq paths that are plain)."""
    for rule in ignored:
        if (
            rule.get("kind") not in (key.kind, "*")
            or rule.get("group", "") not in (key.group, "*")
            or rule.get("name", key.name) != key.name
        ):
            continue
        plain = [str(path).strip("/").replace("~1", "/") for path in rule.get("jsonPointers") or []]
        plain += [
            str(path).lstrip(".").replace(".", "/") for path in rule.get("jqPathExpressions") or [] if "[" not in path and "|" not in path
        ]
        for path in plain:
            steps = path.split("/")
            if dig(manifest, *steps) is not None:
                manifest = with_(manifest, None, *steps)
    return manifest


def _resource(one: Managed, waves: dict[Key, int], *, failed: bool) -> Manifest:
    """An entry of `status.resources`, without health: that is filled in from the tree when it is sent."""
    skipped = hook_phases(one.target or {}) == ("Skip",)
    entry: dict[str, Any] = {}
    if one.key.group:
        entry["group"] = one.key.group
    entry |= {"version": one.version, "kind": one.key.kind}
    if one.key.namespace:
        entry["namespace"] = one.key.namespace
    entry["name"] = one.key.name
    if failed:
        entry["status"] = "Unknown"
    elif not one.hook and not skipped:
        entry["status"] = "OutOfSync" if one.modified or one.target is None or one.live is None else "Synced"
    if one.hook:
        entry["hook"] = True
    if one.target is None:
        entry["requiresPruning"] = True
    wave = wave_of(one.target) if one.target is not None else waves.get(one.key, 0)
    if wave:
        entry["syncWave"] = wave
    return entry


def _health(application: Manifest, managed: list[Managed]) -> tuple[str, str]:
    worst, causes, any_resource, any_live = "Healthy", [], False, False
    for one in managed:
        if one.live is not None and one.hook:
            continue
        any_resource = True
        any_live = any_live or one.live is not None
        if one.live is None or annotation(one.live, "argocd.argoproj.io/ignore-healthcheck") == "true":
            continue
        if one.key.kind == "Application" and one.key.name == dig(application, "metadata", "name"):
            continue
        health = health_of(one.live)
        if health is None or (one.key.group == ARGO and health.status in ("Missing", "Unknown")):
            continue
        if is_worse(worst, health.status):
            worst, causes = health.status, [one]
        elif worst == health.status != "Healthy":
            causes.append(one)
    if any_resource and not any_live and is_worse(worst, "Missing"):
        return "Missing", ""
    return worst, _caused_by(causes)


def _caused_by(causes: list[Managed]) -> str:
    if not causes:
        return ""
    named = [
        f"{c.key.group + '/' if c.key.group else ''}{c.key.kind}:{c.key.namespace + '/' if c.key.namespace else ''}{c.key.name}"
        for c in causes
    ]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"Caused by {', '.join(named[:3])}{more}"
