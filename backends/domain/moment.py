"""Points in time as people read them in a reason line: UTC, to the minute, with the day when it is not today."""

from __future__ import annotations

from datetime import UTC, datetime


def clock(at: datetime, now: datetime) -> str:
    """ "12:28 UTC", or "24 Nov 12:28 UTC" when that is not the day of `now`."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    time = f"{at:%H:%M} UTC"
    return time if at.date() == now.date() else f"{at.day} {at:%b} {time}"


def since(at: datetime | None, now: datetime) -> str:
    """ " since 12:28 UTC", or nothing when it is not known."""
    return f" since {clock(at, now)}" if at else ""
