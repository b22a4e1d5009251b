"""Syncs, rollbacks, terminations and windows through the API: accepted or refused, never waited for.

Rules and texts are those of Argo CD's server (server/application/application.go) and of the recordings.
"""

from __future__ import annotations

from typing import Any

from backends.engine import in_thread
from backends.sandbox.applications import NAMESPACE
from backends.sandbox.applications_api import enforce, manifest_of, permitted, shown_of
from backends.sandbox.autosync import is_automated
from backends.sandbox.calls import Answer, ApiError, Call, answer
from backends.sandbox.objects import Manifest, dig, is_deleting, with_
from backends.sandbox.projects import Windows, sources_of, windows_of
from backends.sandbox.refreshing import audit
from backends.sandbox.sources import GenerationError

_RUNNING = (9, "another operation is already in progress")


async def sync(call: Call) -> Answer:
    """POST /api/v1/applications/{name}/sync: accepted, not done."""
    body = call.object()
    shown = permitted(call, "get", project=str(body.get("project") or ""))
    application = manifest_of(call, shown.name)
    project = call.sandbox.fleet.project(shown.project) or {}
    if not windows_of(project, application, call.sandbox.world.clock.now()).can_sync(manual=True):
        raise ApiError(7, "cannot sync: blocked by sync window")
    enforce(call, "sync", f"{shown.project}/{shown.name}")
    if is_deleting(application):
        raise ApiError(9, "application is deleting")
    sync_part, label = await _sync_part(call, application, body)
    retry = body.get("retryStrategy") or dig(application, "spec", "syncPolicy", "retry", default={})
    retry = {field: value for field, value in retry.items() if value}
    operation: Manifest = {"sync": sync_part, "initiatedBy": {"username": call.who.subject}, "retry": retry}
    if body.get("infos"):
        operation["info"] = body["infos"]
    return await _start(call, shown.name, operation, f"initiated {'partial ' if body.get('resources') else ''}sync to {label}")


async def rollback(call: Call) -> Answer:
    """POST /api/v1/applications/{name}/rollback: a sync without hooks from a history entry."""
    body = call.object()
    shown = permitted(call, "get", project=str(body.get("project") or ""))
    enforce(call, "sync", f"{shown.project}/{shown.name}")
    application = manifest_of(call, shown.name)
    if is_deleting(application):
        raise ApiError(9, "application is deleting")
    if is_automated(application):
        raise ApiError(9, "rollback cannot be initiated when auto-sync is enabled")
    wanted = int(body.get("id") or 0)
    entry = next((one for one in dig(application, "status", "history", default=[]) if one["id"] == wanted), None)
    if entry is None:
        raise ApiError(3, f"application {NAMESPACE}/{shown.name} does not have deployment with id {wanted}")
    sync_part: Manifest = {"revision": entry.get("revision", "")} if not entry.get("sources") else {}
    sync_part |= {field: True for field in ("prune", "dryRun") if body.get(field)}
    sync_part |= {"syncStrategy": {"apply": {}}}
    sync_part |= {"sources": entry["sources"], "revisions": entry["revisions"]} if entry.get("sources") else {"source": entry["source"]}
    if options := dig(application, "spec", "syncPolicy", "syncOptions"):
        sync_part["syncOptions"] = options
    operation = {"sync": sync_part, "initiatedBy": {"username": call.who.subject}, "retry": {}}
    return await _start(call, shown.name, operation, f"initiated rollback to {wanted}")


async def terminate(call: Call) -> Answer:
    """DELETE /api/v1/applications/{name}/operation."""
    shown = permitted(call, "sync", project=call.query.get("project"))
    application = manifest_of(call, shown.name)
    if not application.get("operation") or dig(application, "status", "operationState") is None:
        raise ApiError(3, "Unable to terminate operation. No operation is in progress")
    call.sandbox.applications.change(shown.name, lambda app: with_(app, "Terminating", "status", "operationState", "phase"))
    audit(call.sandbox.fleet, application, "ResourceUpdated", f"{call.who.subject} terminated running operation", user=call.who.subject)
    await call.sandbox.saved()
    return answer({})


async def sync_windows(call: Call) -> Answer:
    """GET /api/v1/applications/{name}/syncwindows; `canSync` speaks of manual syncs."""
    shown = permitted(call, "get", project=call.query.get("project"))
    project = call.sandbox.fleet.project(shown.project) or {}
    windows = windows_of(project, shown.document(), call.sandbox.world.clock.now())
    out: Manifest = {name: [_window(one) for one in some] for name, some in _named(windows) if some}
    return answer(out | {"canSync": windows.can_sync(manual=True)})


async def _sync_part(call: Call, application: Manifest, body: dict[str, Any]) -> tuple[Manifest, str]:
    """The operation's `sync`, and what to call its revision. Raises 400/9 for revisions that auto-sync does not allow."""
    spec = application["spec"]
    sources = sources_of(spec)
    wanted = [str(body.get("revision") or "")] if not spec.get("sources") else _positions(body, len(sources))
    for source, revision in zip(sources, wanted, strict=True):
        target = str(source.get("targetRevision") or "HEAD")
        if revision and revision != target and is_automated(application) and not body.get("dryRun"):
            where = f" source {source.get('repoURL')}" if spec.get("sources") else ""
            raise ApiError(9, f"Cannot sync{where} to {revision}: auto-sync currently set to {source.get('targetRevision', '')}")
    resolved = [await _resolve(call, source, revision) for source, revision in zip(sources, wanted, strict=True)]
    several = bool(spec.get("sources"))
    out: Manifest = {}
    if not several:
        out["revision"] = resolved[0]
    out |= {field: True for field in ("dryRun", "prune") if body.get(field)}
    if body.get("strategy"):
        out["syncStrategy"] = body["strategy"]
    if body.get("resources"):
        out["resources"] = [{f: v for f, v in one.items() if v} for one in body["resources"]]
    if not several:
        out["source"] = sources[0]
    options = body["syncOptions"].get("items") if isinstance(body.get("syncOptions"), dict) else dig(spec, "syncPolicy", "syncOptions")
    if options:
        out["syncOptions"] = options
    if several:
        out |= {"sources": sources, "revisions": resolved}
    names = [
        f"{revision or source.get('targetRevision', '')} ({sha})" for source, revision, sha in zip(sources, wanted, resolved, strict=True)
    ]
    return out, ",".join(names)


def _positions(body: dict[str, Any], count: int) -> list[str]:
    out = [""] * count
    revisions = list(body.get("revisions") or [])
    for index, position in enumerate(body.get("sourcePositions") or []):
        if not 0 < int(position) <= count:
            raise ApiError(2, "source position is out of range")
        out[int(position) - 1] = str(revisions[index])
    return out


async def _resolve(call: Call, source: Manifest, revision: str) -> str:
    wanted = revision or str(source.get("targetRevision") or "HEAD")
    if source.get("chart"):
        return wanted
    if len(wanted) == 40 and all(char in "0123456789abcdef" for char in wanted):
        return wanted
    try:
        return await in_thread(call.sandbox.repository.resolve, str(source.get("repoURL", "")), wanted, force=True)
    except GenerationError as error:
        raise ApiError(9, f"error resolving repo revision: rpc error: code = Unknown desc = {error}") from None


async def _start(call: Call, name: str, operation: Manifest, words: str) -> Answer:
    before = manifest_of(call, name)
    if call.sandbox.applications.set_operation(name, operation) is None:
        raise ApiError(*_RUNNING)
    audit(call.sandbox.fleet, before, "OperationStarted", f"{call.who.subject} {words}", user=call.who.subject)
    await call.sandbox.saved()
    return answer(shown_of(call, name).document())


def _window(window: Manifest) -> Manifest:
    out = {field: window[field] for field in ("kind", "schedule", "duration") if field in window}
    return out | {"manualSync": bool(window.get("manualSync"))}


def _named(windows: Windows) -> list[tuple[str, tuple[Manifest, ...]]]:
    return [("activeWindows", windows.active), ("assignedWindows", windows.assigned)]
