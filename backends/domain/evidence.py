"""What a `why` rests on: each fact that keeps a deployment from being Live, typed, with the object it is about and when.

Gathered from one look; nothing is asked of a server here. Every text is cleaned.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import datetime

import msgspec

from backends.argocd.types import Event, ResourceResult
from backends.domain import conditions, generate_paths, operation, pods, specs, windows
from backends.domain.facts import Facts
from backends.domain.moment import clock, since
from backends.domain.stage import FeedState, Flag, Rollout, Seen, Stage, Wanted
from backends.domain.upkeep import Holdup
from backends.text import clean

LIMIT = 300
MOST_PODS = 5
MOST_RESOURCES = 10


class Kind(enum.StrEnum):
    """What a piece of evidence is about."""

    FEED = "feed"
    PERMISSION = "permission"
    UPKEEP = "upkeep"
    MANIFEST = "manifest"
    SPEC = "spec"
    PATHS = "paths"
    OPERATION = "operation"
    HOOK = "hook"
    WAVE = "wave"
    RETRY = "retry"
    STUCK = "stuck"
    HOOKS_SKIPPED = "hooks_skipped"
    WINDOW = "window"
    PAUSE = "pause"
    DRIFT = "drift"
    IMAGE = "image"
    CRASH = "crash"
    CONFIG = "config"
    FAILED = "failed"
    UNSCHEDULABLE = "unschedulable"
    UNREADY = "unready"
    QUOTA = "quota"
    JOB = "job"
    EVENT = "event"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One fact. `object` is what it is about: "Job/web-migrate", a file, an Application; "" when nothing in particular."""

    kind: Kind
    text: str
    object: str = ""
    at: datetime | None = None


def gather(wanted: Wanted, seen: Seen, rollout: Rollout, known: Facts | None, cause: Holdup | None, *, now: datetime) -> Iterator[Evidence]:
    """Everything that one look shows, the cause first."""
    if cause:
        yield Evidence(kind=Kind.UPKEEP, object=cause.name, text=cause.text, at=cause.at)
    yield from _reach(seen, now)
    if known:
        yield from _compared(wanted, rollout, known)
        yield from _operation(seen, known, now)
        yield from _held_back(wanted, seen, rollout, known, now)
        yield from _pods(seen, known, now)
        if known.sync == "OutOfSync":
            yield from _drift(known)
    yield from _events(seen)


def _reach(seen: Seen, now: datetime) -> Iterator[Evidence]:
    if seen.feed is not FeedState.LIVE:
        why = f": {clean(seen.feed_error, limit=LIMIT)}" if seen.feed_error else ""
        yield Evidence(kind=Kind.FEED, text=f"the feed from Argo CD is {seen.feed}{since(seen.feed_since, now)}{why}", at=seen.feed_since)
    if seen.forbidden:
        yield Evidence(kind=Kind.PERMISSION, text="you may not see this Application")
    if seen.refresh_forbidden:
        name = clean(seen.refresh_forbidden, limit=120)
        yield Evidence(kind=Kind.PERMISSION, object=name, text=f"you may not refresh {name}; it looks by itself every few minutes")


def _compared(wanted: Wanted, rollout: Rollout, known: Facts) -> Iterator[Evidence]:
    error = conditions.comparison_error(known.app)
    if error:
        file, line = conditions.file_in(error.message), conditions.line_in(error.message)
        where = f"{file}:{line}" if file and line else file
        yield Evidence(kind=Kind.MANIFEST, object=where, text=conditions.sentence(error.message), at=error.last_transition_time)
    if wanted.specs and known.holds and not specs.matches(wanted.specs, known.app.spec):
        for name in specs.differences(wanted.specs[0], known.app.spec):
            yield Evidence(kind=Kind.SPEC, object=clean(name), text=f"{clean(name)} in Argo CD is not what application.yaml says")
    if Flag.UNPROVEN in rollout.flags:
        for file in generate_paths.uncovered(known.app.metadata.annotations, known.app.spec, wanted.files):
            name = clean(file, limit=LIMIT)
            yield Evidence(kind=Kind.PATHS, object=name, text=f"manifest-generate-paths does not name {name}, which the commit changed")
    if Flag.HOOKS_SKIPPED in rollout.flags:
        at = known.operation.finished_at if known.operation else None
        yield Evidence(kind=Kind.HOOKS_SKIPPED, text="the commit was applied by a partial operation, which runs no hook", at=at)


def _operation(seen: Seen, known: Facts, now: datetime) -> Iterator[Evidence]:
    one, name = known.operation, clean(known.app.metadata.name, limit=120)
    if one is None or (one.succeeded and not known.self_heal):
        return
    whose = "" if known.ours else f" of {one.revision[:7]}, which is not this commit" if one.revision else " that is not this commit's"
    ended = f" at {clock(one.finished_at, now)}" if one.finished_at else ""
    state = f"{one.phase.lower()}{since(one.started_at, now) if one.active else ended}"
    by = f" by {one.who}" if one.who else ""
    kind = "self-heal" if known.self_heal else "dry run" if one.dry_run else "operation"
    yield Evidence(kind=Kind.OPERATION, object=name, text=f"{kind}{by}{whose}: {state}", at=one.started_at)
    hook = operation.failing_hook(one)
    waiting, target = operation.waited_for(one) if one.active else ("", "")
    if hook:
        yield Evidence(kind=Kind.HOOK, object=_object(hook), text=operation.failure(one), at=one.finished_at)
    elif waiting:
        text = operation.sentence(one, known.app, seen.tree, now)
        yield Evidence(
            kind=Kind.HOOK if waiting == "hook" else Kind.WAVE, object="/".join(target.split("/")[-2:]), text=text, at=one.started_at
        )
    for result in one.results:
        if result.status in ("SyncFailed", "PruneFailed"):
            kind_of = Kind.QUOTA if _quota(result.message) else Kind.OPERATION
            yield Evidence(kind=kind_of, object=_object(result), text=clean(result.message, limit=LIMIT), at=one.finished_at)
    if one.active and one.retries:
        yield Evidence(kind=Kind.RETRY, object=name, text=operation.progress(one, known.app), at=one.finished_at)


def _held_back(wanted: Wanted, seen: Seen, rollout: Rollout, known: Facts, now: datetime) -> Iterator[Evidence]:
    refused = conditions.sync_error(known.app)
    if refused and (known.stuck or known.gave_up):
        kind = Kind.STUCK if known.stuck else Kind.OPERATION
        yield Evidence(kind=kind, text=f"automated sync gave up: {conditions.sentence(refused.message)}", at=refused.last_transition_time)
    if rollout.stage is Stage.BLOCKED:
        for window in windows.closed(seen.windows):
            yield Evidence(kind=Kind.WINDOW, object=clean(window.schedule), text=windows.sentence((window,), now), at=window.end_time)
    if Flag.PAUSED in rollout.flags:
        until = f" until {clean(wanted.paused_until, limit=80)}" if wanted.paused_until else ""
        why = f": {clean(wanted.paused_reason, limit=LIMIT)}" if wanted.paused_reason else ""
        yield Evidence(kind=Kind.PAUSE, text=f"automated sync is paused{until}{why}")


def _pods(seen: Seen, known: Facts, now: datetime) -> Iterator[Evidence]:
    kinds = {
        pods.Kind.CRASH: Kind.CRASH,
        pods.Kind.IMAGE: Kind.IMAGE,
        pods.Kind.CONFIG: Kind.CONFIG,
        pods.Kind.FAILED: Kind.FAILED,
        pods.Kind.UNSCHEDULED: Kind.UNSCHEDULABLE,
        pods.Kind.UNREADY: Kind.UNREADY,
        pods.Kind.JOB: Kind.JOB,
    }
    found = pods.troubles(pods.of_release(seen.tree, since=known.applied_since), now=now)[:MOST_PODS]
    for one in (*found, *pods.failed_jobs(seen.tree, known.app)):
        name = one.name if one.kind is pods.Kind.JOB else f"Pod/{one.name}"
        yield Evidence(kind=kinds[one.kind], object=name.replace("Job ", "Job/"), text=one.sentence(), at=one.at)
    waiting = pods.waits(seen.tree)
    if waiting and _quota(waiting):
        yield Evidence(kind=Kind.QUOTA, text=waiting)


def _drift(known: Facts) -> Iterator[Evidence]:
    for one in [r for r in known.app.status.resources or () if r.status == "OutOfSync"][:MOST_RESOURCES]:
        text = "is to be removed" if one.requires_pruning else "differs from Git"
        yield Evidence(kind=Kind.DRIFT, object=clean(f"{one.kind}/{one.name}", limit=120), text=text)


def _events(seen: Seen) -> Iterator[Evidence]:
    for event in (*seen.scheduling, *seen.events):
        if event.type != "Normal":
            name = clean(f"{event.involved_object.kind}/{event.involved_object.name}", limit=120)
            text = clean(f"{event.reason}: {event.message}", limit=LIMIT)
            yield Evidence(kind=_event_kind(event), object=name, text=text, at=event.at)


def _event_kind(event: Event) -> Kind:
    if _quota(event.message):
        return Kind.QUOTA
    if event.reason == "FailedScheduling":
        return Kind.UNSCHEDULABLE
    if event.reason in ("ErrImagePull", "ImagePullBackOff", "InspectFailed") or "pull image" in event.message:
        return Kind.IMAGE
    return Kind.CRASH if event.reason == "BackOff" else Kind.EVENT


def _quota(text: str) -> bool:
    return "exceeded quota" in text


def _object(result: ResourceResult) -> str:
    return clean(f"{result.kind}/{result.name}", limit=120)
