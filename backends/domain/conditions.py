"""What Argo CD's long error texts say to a person: the last line, the file in it, the revision they speak of.

A helm error arrives as one paragraph with the whole command line in it; only its end tells anything. Texts stay hostile until
`backends.text.clean`: everything that leaves this module went through it.
"""

from __future__ import annotations

import re

from backends.argocd.types import Application, Condition
from backends.text import clean

LIMIT = 300
"""Characters of a sentence made of an error text."""
ERRORS = ("ComparisonError", "InvalidSpecError", "UnknownError")
"""Condition types that mean: Argo CD cannot say what the commit would run."""
_TAIL = 50_000
"""Characters of an error text that are read: its end is what tells."""
WIPE_OUT = "auto-sync will wipe out all resources"

_CACHED = re.compile(r"(?:<path to cached source>|/tmp/_argocd-repo/[0-9a-fA-F-]{36}|/tmp/[0-9a-fA-F-]{36})/?")
_EXIT = re.compile(r"failed exit status \d+: ")
_NOISE = re.compile(r"^(?:Use --debug flag|Manifest generation error \(cached\): $)")
_PATH = re.compile(r"(?<![\w@.+/-])[\w@.+-]{1,200}+(?:/[\w@.+-]{1,200}+)+")
"""Begins only where a word begins and never goes back: a text of a megabyte takes 0.1 s."""
_FILES = (".yaml", ".yml", ".json", ".tpl", ".txt", ".toml", ".lock", ".env")
_TRANSIENT = re.compile(r"code = (?:Unavailable|DeadlineExceeded)\b")
_ATTEMPT = re.compile(r"(?:Failed last sync attempt to|Skipping sync attempt to) \[([^\]]*)\](?:: )?(.*)", re.DOTALL)
_LINE = re.compile(r"\bline (\d+)\b")


def comparison_error(app: Application) -> Condition | None:
    """The condition that keeps Argo CD from comparing, if any."""
    return next((c for c in app.status.conditions or () if c.type in ERRORS), None)


def sync_error(app: Application) -> Condition | None:
    """The condition with which automated sync says that it gave up, if any."""
    return next((c for c in app.status.conditions or () if c.type == "SyncError"), None)


def attempted(condition: Condition) -> tuple[str, ...]:
    """The revisions that a SyncError speaks of (several sources: several), empty when it names none."""
    match = _ATTEMPT.match(condition.message)
    return tuple(part for part in re.split(r"[ ,]+", match[1]) if part) if match else ()


def transient(text: str) -> bool:
    """Whether a comparison failed because Argo CD's own parts were out of reach: the next one may well succeed."""
    return _TRANSIENT.search(text) is not None


def sentence(text: str) -> str:
    """The part of an error text that a person needs: its last line without command line and cache paths, with the file it is about."""
    text = text[-_TAIL:]
    match = _ATTEMPT.match(text)
    said = match[2] if match and match[2] else text
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _NOISE.match(line.strip())]
    last = lines[-1] if lines else ""
    last = _EXIT.split(last)[-1]
    last = last.rpartition(" desc = ")[2]
    last = _CACHED.sub("", last)
    for prefix in ("Error: ", "ComparisonError: "):
        last = last.removeprefix(prefix)
    last = clean(last, limit=LIMIT).rstrip(".")
    file = file_in(said)
    return f"{last} ({file})" if file and file not in last else last


def file_in(text: str) -> str:
    """The repository file that an error text blames, cleaned; "" when it names none.

    Only what stands behind the command line counts, since that names every value file.
    """
    end = _CACHED.sub("", _EXIT.split(text)[-1])
    paths = () if "--values" in end else (path[0].rstrip(".") for path in _PATH.finditer(end))
    return clean(next((path for path in paths if path.endswith(_FILES)), ""), limit=LIMIT)


def line_in(text: str) -> int | None:
    """The line number that an error text names, if any."""
    found = _LINE.search(_EXIT.split(text)[-1])
    return int(found[1]) if found and len(found[1]) < 8 else None
