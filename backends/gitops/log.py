"""Commits as git log gives them, one by one while it walks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from backends.domain.ids import Sha
from backends.gitops import process
from backends.gitops.git import Git, environment
from backends.gitops.remote_errors import explain
from backends.text import clean

_CHUNK = 1 << 16
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999: a forged date must not end the program."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `author` is cleaned; `message` is as it was written (other people's text)."""

    sha: Sha
    parents: tuple[Sha, ...]
    author: str
    email: str
    at: datetime
    """When it was committed (UTC)."""
    message: str
    paths: tuple[str, ...] = ()
    """Files that it changed against all its parents, when they were asked for."""

    @property
    def subject(self) -> str:
        """The first line, cleaned."""
        return clean(self.message.lstrip("\n").partition("\n")[0].strip())


def read_log(git: Git, *arguments: str, names: bool = False) -> Iterator[Commit]:
    """The commits that `git log <arguments>` gives, as it gives them; closing the iterator ends git.

    With `names` each commit has its paths; a merge has those that differ from all of its parents (what it changed by itself).
    Raises the `GitError` of git's complaint.
    """
    # a file's name may hold anything but NUL, so only a word that nobody could foresee marks where a commit begins
    mark = secrets.token_hex(8)
    form = f"--format={mark}%H%x00%P%x00%an%x00%ae%x00%ct%x00%B%x00"
    options = ["-z", "--no-decorate", "--no-color", "--no-mailmap", form, *(("--name-only", "-c", "--no-renames") if names else ())]
    child = process.spawn(git.command("log", *options, *arguments), environment())
    try:
        if child.stdin is not None:
            child.stdin.close()
        tokens = _tokens(child)
        fields: list[str] = []
        for token in tokens:
            if token.startswith(mark):
                if fields:
                    yield _commit(fields)
                fields = [token[len(mark) :]]
            elif fields:
                fields.append(token)
        complaint = child.stderr.read() if child.stderr is not None else b""
        if child.wait():
            raise explain("log", str(git.folder or ""), complaint)
        if fields:
            yield _commit(fields)
    finally:
        process.kill(child)
        process.reap(child)


def _tokens(child: process.Child) -> Iterator[str]:
    parts: list[bytes] = []  # of a message of 100 MB, joined once
    read = child.stdout
    while read is not None and (chunk := read.read(_CHUNK)):
        parts.append(chunk)
        if b"\0" not in chunk:
            continue
        *whole, rest = b"".join(parts).split(b"\0")
        parts = [rest]
        for token in whole:
            yield token.decode("utf-8", "surrogateescape")


def _commit(fields: list[str]) -> Commit:
    sha, parents, author, email, at, message, *rest = fields
    # the first name follows a line end, and an empty word stands before it
    paths = tuple(name for name in (rest[1][1:] if len(rest) > 1 else "", *rest[2:]) if name)
    return Commit(
        sha=Sha(sha),
        parents=tuple(Sha(parent) for parent in parents.split()),
        author=clean(author, limit=200),
        email=clean(email, limit=200),
        at=datetime.fromtimestamp(min(max(int(at), 0), _LAST_SECOND), UTC),
        message=message,
        paths=paths,
    )
