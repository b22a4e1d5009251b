"""Commit messages: written from an intent's words, read back as the audit trail.

Trailers are read anywhere in a message, since squash merges move them; a message can hold several changes. They can be forged by whoever
may push: they say what a person claims, the changed files say what happened.
"""

from __future__ import annotations

import re

import msgspec

from backends.domain.ids import ChangeId
from backends.errors import Refused
from backends.gitops.intent import Description, Trailer
from backends.text import clean, is_one_line

SUBJECT_LIMIT = 72
VALUE_LIMIT = 1_000
"""Characters of one trailer value: a reason is a sentence, not a document."""
_KEY = re.compile(r"Tiphys-[A-Z][A-Za-z]*\Z")
_TRAILER = re.compile(r"[ \t]*(Tiphys-[A-Z][A-Za-z]*):[ \t]*(.*?)[ \t]*\Z")
_SINGLE = frozenset(("Tiphys-Op", "Tiphys-Change"))
_CHANGE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")


class Change(msgspec.Struct, frozen=True):
    """The trailers of one change, in the order of the message. Values are cleaned."""

    trailers: tuple[Trailer, ...]

    def first(self, key: str) -> str:
        """The first value of `Tiphys-<key>`; "" when there is none."""
        return next((trailer.value for trailer in self.trailers if trailer.key == f"Tiphys-{key}"), "")

    def all(self, key: str) -> tuple[str, ...]:
        return tuple(trailer.value for trailer in self.trailers if trailer.key == f"Tiphys-{key}")


def write_message(description: Description, *, change: ChangeId, reason: str = "") -> str:
    """The whole message: subject (cut to 72 characters), body, trailers, `Tiphys-Reason`, `Tiphys-Change`.

    Raises `Refused` when the subject, the reason or a value holds a line break, control or hidden character.
    """
    subject = _one_line(description.subject, "the subject").strip()
    if not subject:
        raise Refused("a commit needs a subject", operation="commit")
    if len(subject) > SUBJECT_LIMIT:
        subject = f"{subject[: SUBJECT_LIMIT - 1].rstrip()}…"
    if not _CHANGE.match(change):
        raise Refused(f"not a change id: {clean(change, limit=40)!r}", operation="commit")
    trailers = [trailer for trailer in description.trailers if trailer.key not in ("Tiphys-Change", "Tiphys-Reason") and trailer.value]
    written = [trailer for trailer in description.trailers if trailer.key == "Tiphys-Reason" and trailer.value]
    if _one_line(reason, "the reason").strip():
        written = [Trailer("Tiphys-Reason", reason.strip())]
    # `Tiphys-Op` begins a change and `Tiphys-Change` ends it, so that a squash of several can be told apart
    trailers = [
        *sorted(trailers, key=lambda trailer: trailer.key != "Tiphys-Op"),
        *written,
        Trailer("Tiphys-Change", change),
    ]
    lines = []
    for trailer in trailers:
        if not _KEY.match(trailer.key):
            raise Refused(f"not a trailer of ours: {clean(trailer.key, limit=80)!r}", operation="commit")
        lines.append(f"{trailer.key}: {_one_line(trailer.value, trailer.key)}")
    body = "\n".join(_one_line(line, "the body") for line in description.body.strip("\n").split("\n"))
    if any(_TRAILER.match(line) for line in (subject, *body.split("\n"))):
        raise Refused("a line of this commit would be read as a trailer", operation="commit")
    return "\n\n".join(part for part in (subject, body, "\n".join(lines)) if part) + "\n"


def read_message(message: str) -> tuple[Change, ...]:
    """The changes that a commit message tells of, first to last; none for a commit that a person made without Tiphys.

    A new change begins where `Tiphys-Op` or `Tiphys-Change` comes a second time.
    """
    changes: list[list[Trailer]] = []
    for line in re.split(r"\r\n|\r|\n", message):
        found = _TRAILER.match(line)
        if not found:
            continue
        trailer = Trailer(found[1], clean(found[2], limit=VALUE_LIMIT))
        repeated = bool(changes) and trailer.key in _SINGLE and any(trailer.key == other.key for other in changes[-1])
        if not changes or repeated:
            changes.append([])
        changes[-1].append(trailer)
    return tuple(Change(tuple(trailers)) for trailers in changes if any(trailer.key in _SINGLE for trailer in trailers))


def _one_line(text: str, what: str) -> str:
    if not is_one_line(text):
        raise Refused(f"{what} must be one line without control characters: {clean(text, limit=80)!r}", operation="commit")
    if len(text) > VALUE_LIMIT:
        raise Refused(f"{what} is longer than {VALUE_LIMIT:,} characters", operation="commit")
    return text
