"""Whether sync windows keep an Application from syncing by itself, until when, and which.

`canSync` of Argo CD's answer speaks of manual syncs only, so it is not looked at. A window's end is told where the server gives one;
cron schedules are not computed here, they are quoted.
"""

from __future__ import annotations

from datetime import datetime

from backends.argocd.types import SyncWindow, SyncWindows
from backends.domain.moment import clock
from backends.text import clean


def closed(windows: SyncWindows | None) -> tuple[SyncWindow, ...]:
    """The windows that block automated sync now: active deny windows, else the allow windows when none of them is active."""
    if windows is None:
        return ()
    active, assigned = windows.active_windows or (), windows.assigned_windows or ()
    deny = tuple(window for window in active if window.kind == "deny")
    if deny:
        return deny
    allow = tuple(window for window in assigned if window.kind == "allow")
    return () if any(window.kind == "allow" for window in active) else allow


def sentence(blocking: tuple[SyncWindow, ...], now: datetime) -> str:
    """ "blocked until 18:00 UTC by the deny window '0 8 * * *' for 10h", cleaned."""
    if blocking[0].kind == "allow":
        opens = min((w.start_time for w in blocking if w.start_time and w.start_time > now), default=None)
        when = f"blocked until {clock(opens, now)}" if opens else "blocked"
        return f"{when}: outside every allow window ({', '.join(_window(w) for w in blocking)})"
    ends = [w.end_time for w in blocking if w.end_time]
    until = f"blocked until {clock(max(ends), now)}" if len(ends) == len(blocking) else "blocked"
    return f"{until} by the deny window {', '.join(_window(w) for w in blocking)}"


def manual_allowed(blocking: tuple[SyncWindow, ...]) -> bool:
    """Whether a sync by hand is let through all of them."""
    return all(window.manual_sync or window.manual_sync_enabled for window in blocking)


def _window(window: SyncWindow) -> str:
    return clean(f"'{window.schedule}' for {window.duration}", limit=80)
