"""A sync operation of an Application, requested, running or ended, as one value, and what its message says to a person.

Argo CD writes a request into `operation`, takes `status.operationState` away, and fills it again when it begins; a retry that is waited
for is Running with `finishedAt` set. Here that is one `phase` and one `waiting_retry`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from backends.argocd.types import Application, OperationState, ResourceResult, ResourceTree
from backends.argocd.types import Operation as Requested
from backends.domain.ids import is_sha
from backends.domain.moment import since
from backends.text import clean

ACTIVE = ("Requested", "Running", "Terminating")
LIMIT = 200

_WAITING = re.compile(r"waiting for (healthy state|completion|deletion) of (?:(hook) )?((?:[^/\s]*/)?[^/\s]+/[^\s,]+)(.*)", re.DOTALL)
_RETRY_AT = re.compile(r"Retrying attempt #(\d+) at (\d{1,2}):(\d{2})(AM|PM)")


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One sync operation. `revision` is what it syncs to: a commit id, or "" where it does not say (then what was compared counts)."""

    phase: str
    """Requested, Running, Terminating, Succeeded, Failed or Error."""
    revision: str = ""
    who: str = ""
    """Who asked: a user's name, or "auto-sync"; cleaned."""
    automated: bool = False
    partial: bool = False
    """Only some resources: no hook runs and no history entry is written."""
    dry_run: bool = False
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    retries: int = 0
    limit: int | None = None
    """Retries allowed; None without a limit or where it is not said."""
    results: tuple[ResourceResult, ...] = ()

    @property
    def active(self) -> bool:
        return self.phase in ACTIVE

    @property
    def waiting_retry(self) -> bool:
        return self.active and self.finished_at is not None

    @property
    def failed(self) -> bool:
        return self.phase in ("Failed", "Error")

    @property
    def succeeded(self) -> bool:
        return self.phase == "Succeeded"


def current(app: Application, ref_index: int | None) -> Operation | None:
    """The operation that is wanted or running, else the last one; None when there never was one."""
    state = app.status.operation_state
    if state is None or not state.phase:
        return _operation("Requested", app.operation, None, ref_index) if app.operation else None
    if app.operation and state.phase not in ACTIVE:
        return _operation("Requested", app.operation, None, ref_index)
    return _operation(state.phase, state.operation, state, ref_index)


def pick(revision: str, revisions: Sequence[str] | None, ref_index: int | None) -> str:
    """The entry that names a commit of the workspace: `revision`, or the one of the `ref` source among several."""
    if not revisions:
        return revision
    if ref_index is not None:
        return revisions[ref_index] if 0 <= ref_index < len(revisions) else ""
    return next((one for one in revisions if is_sha(one)), "")


def progress(operation: Operation, app: Application) -> str:
    """ "attempt 2 of 5", "wave 2", "hook", or nothing."""
    if operation.retries:
        return _attempt(operation)
    found = _WAITING.match(operation.message)
    if not found:
        return ""
    return "hook" if found[2] else _wave(found[3], app)


def sentence(operation: Operation, app: Application, tree: ResourceTree | None, now: datetime) -> str:
    """What an operation that is wanted or running waits for, cleaned; the tree, where known, tells since when a hook runs."""
    if operation.waiting_retry:
        hint = f": {failure(operation)}"
        at = _RETRY_AT.search(operation.message)
        when = f", next at {_clock24(at)}" if at else ""
        return f"failed, {_attempt(operation)}{when}{hint if len(hint) > 2 else ''}"
    if operation.phase == "Requested":
        return f"requested by {operation.who}" if operation.who else "requested"
    found = _WAITING.match(operation.message)
    said = _waited_for(found, operation, app, tree, now) if found else clean(operation.message, limit=LIMIT)
    said = said or f"running{since(operation.started_at, now)}"
    said = f"{_attempt(operation)}: {said}" if operation.retries else said
    return f"terminating: {said}" if operation.phase == "Terminating" and "terminating" not in said else said


def failure(operation: Operation) -> str:
    """Which hook or resource made an operation fail and what it said, cleaned; "" when no result says so."""
    bad = [r for r in operation.results if r.hook_phase in ("Failed", "Error") or r.status in ("SyncFailed", "PruneFailed")]
    if not bad:
        return ""
    first = bad[0]
    hook = f"{first.hook_type} hook " if first.hook_type else ""
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return clean(f"{hook}{_name(first)}: {first.message}", limit=LIMIT) + clean(more)


def ending(operation: Operation, sentence: str) -> str:
    """How an operation failed: `sentence`, what Argo CD says of it, with the hook or resource named that made it fail."""
    said = failure(operation)
    if not said:
        return sentence
    name, _, text = said.partition(": ")
    return f"{name}: {sentence}" if text and text in sentence else f"{sentence}: {said}"


def failing_hook(operation: Operation) -> ResourceResult | None:
    """The first hook that failed in it, if any."""
    return next((r for r in operation.results if r.hook_type and r.hook_phase in ("Failed", "Error")), None)


def waited_for(operation: Operation) -> tuple[str, str]:
    """What a running operation waits for: ("hook" | "resource" | "", "batch/Job/name")."""
    found = _WAITING.match(operation.message)
    return ("hook" if found[2] else "resource", clean(found[3], limit=LIMIT)) if found else ("", "")


def _operation(phase: str, asked: Requested | None, state: OperationState | None, ref_index: int | None) -> Operation:
    sync = asked.sync if asked else None
    by = asked.initiated_by if asked else None
    result = state.sync_result if state else None
    automated = bool(by and by.automated)
    revision = pick(result.revision, result.revisions, ref_index) if result else ""
    if not revision and sync:
        revision = pick(sync.revision, sync.revisions, ref_index)
    limit = (asked.retry or {}).get("limit") if asked else None
    return Operation(
        phase=phase,
        revision=revision if is_sha(revision) else "",
        who="auto-sync" if automated else clean(by.username if by else "", limit=80),
        automated=automated,
        partial=bool(sync and sync.resources),
        dry_run=bool(sync and sync.dry_run),
        message=state.message if state else "",
        started_at=state.started_at if state else None,
        finished_at=state.finished_at if state else None,
        retries=state.retry_count if state else 0,
        limit=limit if isinstance(limit, int) and limit > 0 else None,
        results=(result.resources or ()) if result else (),
    )


def _attempt(operation: Operation) -> str:
    return f"attempt {operation.retries}" + (f" of {operation.limit}" if operation.limit else "")


def _clock24(found: re.Match[str]) -> str:
    hour = int(found[2]) % 12 + (12 if found[4] == "PM" else 0)
    return f"{hour:02d}:{found[3]}"


def _waited_for(found: re.Match[str], operation: Operation, app: Application, tree: ResourceTree | None, now: datetime) -> str:
    target, more = clean(found[3], limit=LIMIT), clean(found[4], limit=LIMIT)
    kind, name = target.split("/")[-2:]
    if found[2]:
        hook_type = next((r.hook_type for r in operation.results if r.hook_type and r.name == name), "")
        hook = f"{clean(hook_type)} hook" if hook_type else "hook"
        if found[1] == "deletion":
            return f"waiting for the old {hook} {target} to go{more}"
        began = next((n.created_at for n in (tree.nodes if tree else None) or () if (n.kind, n.name) == (kind, name)), None)
        return f"{hook} {target} running{since(began, now)}{more}"
    wave = _wave(found[3], app)
    verb = "to become healthy" if found[1] == "healthy state" else f"({found[1]})"
    return f"{wave + ': ' if wave else ''}waiting for {target} {verb}{more}"


def _wave(target: str, app: Application) -> str:
    kind, name = target.split("/")[-2:]
    return next((f"wave {r.sync_wave}" for r in app.status.resources or () if r.name == name and r.kind == kind and r.sync_wave), "")


def _name(result: ResourceResult) -> str:
    return f"{result.kind}/{result.name}"
