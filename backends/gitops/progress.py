"""How far a piece of Git work is, as values: parsed from what git writes to stderr while it transfers."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from backends.text import clean

_COUNTED = re.compile(
    r"(?:remote: )?(?P<phase>[A-Z][\w ]+?):\s+(?:\d+% \((?P<done>\d+)/(?P<total>\d+)\)|(?P<only>\d+))(?P<detail>[^\r\n]*)"
)


class Progress(msgspec.Struct, frozen=True):
    """One step of progress, for people who wait."""

    operation: str
    """"fetch", "push", "wait" (another process has its turn), "commit", "read"."""
    phase: str
    """What is going on: "Receiving objects", "waiting for another Tiphys on this host"."""
    done: int | None = None
    total: int | None = None
    """Counts of the phase; None when they are not known."""
    detail: str = ""
    """The rest of git's line ("1.20 MiB | 3.00 MiB/s")."""


OnProgress = Callable[[Progress], None]


def parse_progress(operation: str, line: str) -> Progress | None:
    """The progress that one line of git's stderr (without its CR or LF) tells of; None when it is something else."""
    found = _COUNTED.match(line)
    if not found:
        return None
    done, total = found["done"] or found["only"], found["total"]
    return Progress(operation, clean(found["phase"]), int(done), int(total) if total else None, clean(found["detail"].strip(" ,")))
