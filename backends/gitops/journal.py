"""The journal: intents that were confirmed and are not known to have arrived, one private file each.

An entry is written before anything is pushed and removed once the outcome is known, so what a crash leaves here is exactly what may or
may not have happened. It holds what is bound for Git anyway, never a secret. Running an entry again is the caller's decision
(`pending`); this module keeps, lists and looks up.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from backends.domain.ids import ChangeId, Sha
from backends.errors import BackendError, NotFound, Refused
from backends.gitops.intent import Intent
from backends.gitops.repo import Repo
from backends.paths import private_dir, write_private
from backends.text import clean

SCHEMA = 1
_ENDING = ".json"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One confirmed intent."""

    schema: int = SCHEMA
    change: ChangeId
    url: str
    branch: str
    intent: str
    """As `encode` of the intents gave it."""
    expects: dict[str, str | None] = {}
    reason: str = ""
    at: datetime
    """When it was confirmed (UTC)."""
    subject: str = ""
    """What its commit says, once there was one."""
    commit: Sha | None = None
    """The commit that was first tried to be pushed; None before that. Later attempts make others: the change id is what counts."""
    parent: Sha | None = None


class Problem(msgspec.Struct, frozen=True):
    """A file of the journal that cannot be read; it is left where it is."""

    path: Path
    reason: str


class Outcome(enum.StrEnum):
    """What became of an entry."""

    PUSHED = "pushed"
    """Its change is on the remote's branch."""
    ABSENT = "absent"
    """It is not, as of the last fetch."""
    RUNNING = "running"
    """Another process is at it right now."""


class Journal:
    """The journal of one workspace.

    Args:
        folder: below the state folder, its own for each workspace; made 0700 when first written.
        encode: turns an intent into text bytes (`intents.encode`).
    """

    def __init__(self, folder: Path, encode: Callable[[Intent], bytes]) -> None:
        self._folder, self._encode = folder, encode

    @contextlib.contextmanager
    def open(self, repo: Repo, intent: Intent, *, change: ChangeId, expects: Mapping[str, str | None], reason: str) -> Iterator[Pen]:
        """Write down a confirmed intent; it stays unless the pen is told that its outcome is known.

        While inside, other processes see the entry as running.
        Raises `Refused` when another process is at it, `BackendError` when the state folder cannot be written.
        """
        with self._running(change):
            path = self._path(change)
            resumed = path.exists()
            entry = Entry(
                change=change,
                url=repo.url,
                branch=repo.branch,
                intent=self._encode(intent).decode("utf-8"),
                expects=dict(expects),
                reason=reason,
                at=self._confirmed(path),
            )
            pen = Pen(path, entry, resumed=resumed)
            pen.write(entry)
            yield pen

    def _confirmed(self, path: Path) -> datetime:
        try:
            return self._read(path).at
        except (OSError, msgspec.DecodeError, ValueError):
            return datetime.now(UTC)  # a new entry, or one that could not be read and is written anew

    def entries(self) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
        """All entries, oldest first, and the files that cannot be read."""
        entries, problems = [], []
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._folder.glob(f"*{_ENDING}")):
                try:
                    entries.append(self._read(path))
                except FileNotFoundError:
                    continue  # finished meanwhile
                except (OSError, msgspec.DecodeError, ValueError) as error:
                    problems.append(Problem(path, clean(str(error), limit=200)))
        return tuple(sorted(entries, key=lambda entry: entry.at)), tuple(problems)

    def find(self, change: str) -> Entry:
        """One entry by its change id. Raises `NotFound` and `BackendError` (unreadable)."""
        path = self._path(ChangeId(change))
        try:
            return self._read(path)
        except FileNotFoundError:
            raise NotFound(f"there is no unfinished change {clean(change, limit=40)}", operation="pending") from None
        except (OSError, msgspec.DecodeError, ValueError) as error:
            raise BackendError(f"the journal entry cannot be read: {clean(str(error), limit=200)}", target=str(path)) from None

    def outcome(self, entry: Entry, repo: Repo) -> tuple[Outcome, Sha | None]:
        """What became of an entry, by what `repo` fetched last (so fetch first), and the commit that carries it."""
        if self._is_running(entry.change):
            return Outcome.RUNNING, None
        found = repo.find_change(entry.change)
        return (Outcome.PUSHED, found) if found else (Outcome.ABSENT, None)

    def clear(self, change: ChangeId) -> None:
        """Forget an entry; nothing happens when there is none."""
        self._path(change).unlink(missing_ok=True)
        self._lock_path(change).unlink(missing_ok=True)

    def _path(self, change: ChangeId) -> Path:
        if not change.isalnum():
            raise NotFound(f"not a change id: {clean(change, limit=40)!r}", operation="pending")
        return self._folder / f"{change}{_ENDING}"

    @staticmethod
    def _read(path: Path) -> Entry:
        entry = msgspec.json.decode(path.read_bytes(), type=Entry)
        if entry.schema != SCHEMA:
            raise ValueError(f"schema {entry.schema} is not one that this version reads ({SCHEMA})")
        if entry.change != path.name.removesuffix(_ENDING):
            raise ValueError("the file's name is not its change id")
        return entry

    def _lock_path(self, change: ChangeId) -> Path:
        return self._folder / f"{change}.running"

    @contextlib.contextmanager
    def _running(self, change: ChangeId) -> Iterator[None]:
        """Hold a lock that dies with this process."""
        path = self._lock_path(change)
        try:
            private_dir(self._folder)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _not_written(error, self._folder) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(f"another process is at change {change} right now", operation="pending") from None
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(handle)

    def _is_running(self, change: ChangeId) -> bool:
        try:
            handle = os.open(self._lock_path(change), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False


class Pen:
    """Writes the one entry that is being worked on."""

    def __init__(self, path: Path, entry: Entry, *, resumed: bool) -> None:
        self._path = path
        self.entry = entry
        self.resumed = resumed
        """The entry was there before: its change may be on the remote already."""

    def write(self, entry: Entry) -> None:
        """Replace the entry, whole or not at all. Raises `BackendError`."""
        self.entry = entry
        try:
            write_private(self._path, msgspec.json.encode(entry))
        except OSError as error:
            raise _not_written(error, self._path.parent) from None

    def attempt(self, *, commit: Sha, parent: Sha | None, subject: str) -> None:
        """Note what is about to be pushed."""
        self.write(msgspec.structs.replace(self.entry, commit=commit, parent=parent, subject=subject))

    def done(self) -> None:
        """The outcome is known: forget the entry."""
        self._path.unlink(missing_ok=True)


def _not_written(error: OSError, folder: Path) -> BackendError:
    return BackendError(
        f"the journal cannot be written: {error.strerror or error}",
        operation="write",
        target=str(folder),
        hint="without it a change could be lost or done twice, so nothing was written",
    )
