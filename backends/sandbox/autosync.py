"""Whether the controller starts a sync by itself, and which one (`autoSync` and `alreadyAttemptedSync` of Argo CD's controller)."""

from __future__ import annotations

from typing import NamedTuple

from backends.sandbox.comparison import Comparison
from backends.sandbox.objects import Manifest, dig, is_deleting
from backends.sandbox.projects import sources_of

SUCCESSFUL = "Succeeded"
DEFAULT_RETRY: Manifest = {"limit": 5}


class Decision(NamedTuple):
    """`operation` to request, a SyncError to show, or seconds to look again in; all empty: nothing to do."""

    operation: Manifest | None = None
    error: str = ""
    again: float | None = None


def is_automated(application: Manifest) -> bool:
    automated = dig(application, "spec", "syncPolicy", "automated")
    return automated is not None and automated.get("enabled", True) is not False


def newly_automated(before: Manifest, after: Manifest) -> bool:
    """Whether a change of the spec lets Argo CD act by itself where it did not before: it looks at once, then."""
    heals = ("spec", "syncPolicy", "automated", "selfHeal")
    return is_automated(after) and (not is_automated(before) or bool(dig(after, *heals) and not dig(before, *heals)))


def decide(application: Manifest, comparison: Comparison, *, since_finished: float | None) -> Decision:
    """What auto-sync does after a comparison.

    Args:
        since_finished: seconds since the last operation ended; None when none did.
    """
    automated = dig(application, "spec", "syncPolicy", "automated", default={})
    if not is_automated(application) or application.get("operation") or is_deleting(application):
        return Decision()
    if comparison.sync["status"] != "OutOfSync":
        return Decision()
    resources = comparison.resources
    if not automated.get("prune") and all(one.get("status") == "Synced" or one.get("requiresPruning") for one in resources):
        return Decision()
    revisions = comparison.revisions
    operation = _operation(application, comparison)
    attempted, last, phase = already_attempted(application, revisions, compare_revisions=comparison.may_have_changes)
    if attempted:
        if phase != SUCCESSFUL:
            message = dig(application, "status", "operationState", "message", default="")
            return Decision(error=f"Failed last sync attempt to [{' '.join(last)}]: {message}")
        if not automated.get("selfHeal"):
            return Decision()
        count = int(dig(application, "status", "operationState", "operation", "sync", "autoHealAttemptsCount", default=0))
        left = heal_pause(count) - (since_finished if since_finished is not None else 0.0)
        if left > 0:
            return Decision(again=left)
        operation["sync"]["autoHealAttemptsCount"] = count + 1
        operation["sync"]["resources"] = [
            {field: one[field] for field in ("group", "kind", "name") if one.get(field)}
            for one in resources
            if one.get("status") != "Synced"
        ]
    if automated.get("prune") and not automated.get("allowEmpty") and all(one.get("requiresPruning") for one in resources):
        return Decision(error=f"Skipping sync attempt to [{' '.join(revisions)}]: auto-sync will wipe out all resources")
    return Decision(operation=operation)


def already_attempted(application: Manifest, revisions: list[str], *, compare_revisions: bool) -> tuple[bool, list[str], str]:
    """Whether the last operation was for the same sources (and revisions, if these may hold changes): with what, and how it ended."""
    state = dig(application, "status", "operationState")
    if state is None:
        return False, [], ""
    phase, result = str(state.get("phase", "")), state.get("syncResult")
    if result is None:
        return phase in ("Succeeded", "Failed", "Error"), [], phase
    several = bool(application["spec"].get("sources"))
    last = list(result.get("revisions") or []) if several else [str(result.get("revision", ""))]
    if compare_revisions and last != revisions:
        return False, last, phase
    if several:
        return result.get("sources") == application["spec"]["sources"], last, phase
    return result.get("source") == sources_of(application["spec"])[0], last, phase


def heal_pause(attempts: int) -> float:
    """Seconds before the next self-heal: 0, 2, 6, 18, … at most 300."""
    return 0.0 if attempts <= 0 else min(300.0, 2.0 * 3.0 ** (attempts - 1))


def retry_pause(retry: Manifest, count: int) -> float:
    """Seconds before attempt `count` of a failed operation (`RetryStrategy.NextRetryAt`)."""
    backoff = retry.get("backoff") or {}
    first, most = duration(str(backoff.get("duration") or "5s")), duration(str(backoff.get("maxDuration") or "3m"))
    return min(most, first * float(backoff.get("factor") or 2) ** count)


def duration(text: str) -> float:
    """Seconds of a Go duration or a plain number."""
    if text.replace(".", "", 1).isdigit():
        return float(text)
    total, number = 0.0, ""
    for char in text:
        if char.isdigit() or char == ".":
            number += char
        else:
            total += float(number or 0) * {"h": 3600, "m": 60, "s": 1}.get(char, 0)
            number = ""
    return total


def _operation(application: Manifest, comparison: Comparison) -> Manifest:
    spec = application["spec"]
    sync: Manifest = {}
    several = bool(spec.get("sources"))
    if not several:
        sync["revision"] = comparison.sync.get("revision", "")
    if dig(spec, "syncPolicy", "automated", "prune"):
        sync["prune"] = True
    if not several:
        sync["source"] = sources_of(spec)[0]
    if options := dig(spec, "syncPolicy", "syncOptions"):
        sync["syncOptions"] = options
    if several:
        sync |= {"sources": spec["sources"], "revisions": comparison.revisions}
    return {"sync": sync, "initiatedBy": {"automated": True}, "retry": dig(spec, "syncPolicy", "retry", default=DEFAULT_RETRY)}
