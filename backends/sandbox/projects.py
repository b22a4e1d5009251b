"""What an AppProject allows: sources, destinations, kinds, and the windows in which its Applications may be synced."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from backends.sandbox.cluster import Cluster
from backends.sandbox.globs import matches
from backends.sandbox.objects import CLUSTER_SCOPED, Manifest, dig, group_of

DEFAULT_SPEC: Manifest = {
    "sourceRepos": ["*"],
    "destinations": [{"server": "*", "namespace": "*"}],
    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def sources_of(spec: Manifest) -> list[Manifest]:
    """An Application's sources: `sources`, else its one `source`."""
    several = spec.get("sources")
    if isinstance(several, list) and several:
        return [one for one in several if isinstance(one, dict)]
    return [spec.get("source") or {}]


def permits_source(project: Manifest, url: str) -> bool:
    patterns = [str(one) for one in dig(project, "spec", "sourceRepos", default=[])]
    denied = any(pattern.startswith("!") and matches(pattern[1:], url) for pattern in patterns)
    allowed = (matches(pattern, url) for pattern in patterns if not pattern.startswith("!"))
    return not denied and any(allowed)


def permits_destination(project: Manifest, cluster: Cluster, namespace: str) -> bool:
    """A destination matches by the cluster's name **or** its server, and by the namespace."""
    for item in dig(project, "spec", "destinations", default=[]):
        named = bool(item.get("name")) and matches(str(item["name"]), cluster.name)
        served = bool(item.get("server")) and matches(str(item["server"]), cluster.server)
        if (named or served) and matches(str(item.get("namespace", "")), namespace):
            return True
    return False


def permits_kind(project: Manifest, manifest: Manifest, *, known: bool = True) -> bool:
    """Whether a kind is allowed; one that the cluster does not know counts as cluster-scoped."""
    group, kind = group_of(manifest), str(manifest.get("kind"))
    spec = project.get("spec") or {}
    if kind in CLUSTER_SCOPED or not known:
        allowed, denied = spec.get("clusterResourceWhitelist") or [], spec.get("clusterResourceBlacklist") or []
    else:
        allowed, denied = (
            spec.get("namespaceResourceWhitelist", [{"group": "*", "kind": "*"}]),
            spec.get("namespaceResourceBlacklist") or [],
        )
    return _listed(group, kind, allowed) and not _listed(group, kind, denied)


def _listed(group: str, kind: str, entries: list[Manifest] | None) -> bool:
    return any(matches(str(one.get("group", "")), group) and matches(str(one.get("kind", "")), kind) for one in entries or [])


def spec_problems(spec: Manifest, project: Manifest, cluster: Cluster | None) -> list[str]:
    """Why an Application's spec does not fit its project (conditions of type InvalidSpecError)."""
    name = dig(project, "metadata", "name", default="")
    found = [
        f"application repo {one.get('repoURL', '')} is not permitted in project '{name}'"
        for one in sources_of(spec)
        if not permits_source(project, str(one.get("repoURL", "")))
    ]
    destination = spec.get("destination") or {}
    namespace = str(destination.get("namespace", ""))
    if cluster is None:
        found.append(unknown_cluster(destination))
    elif not permits_destination(project, cluster, namespace):
        server = cluster.name if destination.get("name") else cluster.server
        found.append(
            f"application destination server '{server}' and namespace '{namespace}' do not match any of the allowed destinations in "
            f"project '{name}'"
        )
    return found


def unknown_cluster(destination: Manifest) -> str:
    if destination.get("name") and destination.get("server"):
        return f"application destination can't have both name and server defined: {destination['name']} {destination['server']}"
    if destination.get("name"):
        return f"there are no clusters with this name: {destination['name']}"
    if destination.get("server"):
        server = f'"{destination["server"]}"'
        return f"error getting cluster by server {server}: rpc error: code = NotFound desc = cluster {server} not found"
    return "Destination server missing from app spec"


def resource_problem(project: Manifest, manifest: Manifest, cluster: Cluster) -> str:
    """Why one object may not be synced in a project; "" when it may."""
    name, namespace = dig(project, "metadata", "name", default=""), str(dig(manifest, "metadata", "namespace", default=""))
    if not permits_kind(project, manifest):
        return f"resource {group_of(manifest)}:{manifest.get('kind')} is not permitted in project {name}"
    if manifest.get("kind") not in CLUSTER_SCOPED and not permits_destination(project, cluster, namespace):
        return f"namespace {namespace} is not permitted in project '{name}'"
    return ""


class Windows(NamedTuple):
    """The sync windows of a project that concern one Application, and which of them are open at a time."""

    assigned: tuple[Manifest, ...]
    active: tuple[Manifest, ...]

    def can_sync(self, *, manual: bool) -> bool:
        denies = [one for one in self.active if one.get("kind") == "deny"]
        if denies:
            return manual and all(one.get("manualSync") for one in denies)
        if any(one.get("kind") == "allow" for one in self.active):
            return True
        closed = [one for one in self.assigned if one.get("kind") == "allow"]
        return not closed or (manual and all(one.get("manualSync") for one in closed))


def windows_of(project: Manifest, application: Manifest, now: datetime) -> Windows:
    """Which windows concern an Application, and which are active at `now`. Those with an unreadable schedule never are."""
    assigned = tuple(one for one in dig(project, "spec", "syncWindows", default=[]) if _concerns(one, application))
    return Windows(assigned, tuple(one for one in assigned if _is_active(one, now)))


def _concerns(window: Manifest, application: Manifest) -> bool:
    destination = dig(application, "spec", "destination", default={})
    name = str(dig(application, "metadata", "name", default=""))
    places = [str(destination[field]) for field in ("name", "server") if destination.get(field)]
    tests: dict[str, Callable[[str], bool]] = {
        "applications": lambda pattern: matches(pattern, name),
        "clusters": lambda pattern: any(matches(pattern, place) for place in places),
        "namespaces": lambda pattern: matches(pattern, str(destination.get("namespace", ""))),
    }
    results = [any(test(str(pattern)) for pattern in window[field]) for field, test in tests.items() if window.get(field)]
    return (all(results) if window.get("andOperator") else any(results)) if results else False


def _is_active(window: Manifest, now: datetime) -> bool:
    span = timedelta(seconds=sum(float(n) * _SECONDS[unit] for n, unit in _DURATION.findall(str(window.get("duration", "")))))
    zone = ZoneInfo(str(window["timeZone"])) if window.get("timeZone") else UTC
    moment = now.astimezone(zone).replace(second=0, microsecond=0)
    fields = str(window.get("schedule", "")).split()
    if len(fields) != 5 or not span:
        return False
    checks = [_field(text, low, high) for text, (low, high) in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)), strict=True)]
    minutes, hours, days, months, weekdays = checks
    free_day, free_weekday = fields[2] in ("*", "?"), fields[4] in ("*", "?")
    earliest = now.astimezone(zone) - span
    while moment > earliest:
        weekday = moment.isoweekday() % 7
        on_weekday = weekday in weekdays or (weekday == 0 and 7 in weekdays)
        day = on_weekday if free_day else moment.day in days if free_weekday else (moment.day in days or on_weekday)
        if moment.month in months and day:
            if moment.hour in hours and moment.minute in minutes:
                return True
            moment -= timedelta(minutes=1)
        else:
            moment = moment.replace(hour=0, minute=0) - timedelta(minutes=1)
    return False


def _field(text: str, low: int, high: int) -> set[int]:
    """The numbers that one field of a cron schedule names."""
    out: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in ("*", "?"):
            begin, end = low, high
        elif first.isdigit():
            begin = int(first)
            end = int(last) if dash and last.isdigit() else high if step else begin
        else:
            continue
        out.update(range(begin, end + 1, int(step) if step.isdigit() and int(step) else 1))
    return out
