"""The one way to write: an intent becomes a commit on the remote's branch, or a named reason why not.

Fetch, run the intent on the remote's head, commit, push without force. Whoever was first makes us run the *intent* again on the new head
(not merge texts), until a deadline. What is being written is in the journal before anything leaves this host, and when nobody can say
whether a push arrived, the change id is looked for before trying again, so that nothing is lost and nothing is done twice.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import msgspec

from backends.domain.ids import ChangeId, Sha
from backends.engine import Cancel
from backends.errors import BackendError, Conflict, Refused, TimedOut
from backends.gitops.identity import Identity
from backends.gitops.intent import Intent
from backends.gitops.journal import Journal, Pen
from backends.gitops.log import Commit
from backends.gitops.messages import write_message
from backends.gitops.progress import OnProgress, Progress
from backends.gitops.repo import Repo, minted
from backends.gitops.tree import Tree, changed_paths
from backends.gitops.trouble import MOVED, PASSING, GitError, Trouble
from backends.text import clean

DEADLINE_SECONDS = 90.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.15, 2.0
_PUSH_SECONDS = 5.0
"""What a push that has begun may take at least: ending it at the deadline would leave its outcome unknown."""
_FRESH = timedelta(seconds=60)
"""A change id younger than this, and in no journal, is on no remote yet."""
_UNKNOWN_OUTCOME = frozenset((Trouble.SERVER_ERROR, Trouble.CUT_OFF, Trouble.TIMED_OUT))
STEPS = ("journalled", "fetched", "applied", "committed", "noted", "pushed", "cleared")
"""The steps that `on_step` hears of, in order; those between "fetched" and "pushed" come again with each attempt."""


class Written(msgspec.Struct, frozen=True):
    """What came of it."""

    commit: Sha | None
    """The commit on the remote's branch; None when there was nothing to do."""
    attempts: int
    change: ChangeId
    parent: Sha | None
    """The head that the commit was made on, or that already was as wanted."""


def write(
    repo: Repo,
    intent: Intent,
    *,
    change: ChangeId,
    expects: Mapping[str, str | None] | None = None,
    reason: str = "",
    on_step: Callable[[str], None] | None = None,
    deadline: float = DEADLINE_SECONDS,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    journal: Journal | None = None,
    readonly: bool = False,
) -> Written:
    """Carry out a confirmed intent.

    Args:
        change: the id of this run, minted when the plan was confirmed; the same when a journal entry is run again.
        expects: path → blob id (None: absent) as the user saw it; another one on the remote's head is a conflict.
        reason: `Tiphys-Reason`, one line.
        on_step: hears each of `STEPS` as it is done (a seam for tests).
        deadline: seconds for all attempts together.

    Raises `Refused` (read-only, a lock, a reason that is not one line, no identity), `Conflict` (a precondition no longer holds),
    `NotFound` and `Invalid` (from the intent), `PushRejected` (the remote's rules), `GitError`, `TimedOut`, `Cancelled`. When the outcome
    of a push is unknown the journal entry stays, and the hint says so.
    """
    if readonly or repo.readonly:
        raise Refused("read-only: nothing is written", operation="write", target=repo.url)
    writing = _Writing(
        repo, intent, change, dict(expects or {}), reason, on_step=on_step, deadline=deadline, progress=progress, cancel=cancel
    )
    if journal is None:
        return writing.run(None)
    with journal.open(repo, intent, change=change, expects=writing.expects, reason=reason) as pen:
        return writing.run(pen)


class ChangedMeanwhile(Conflict):
    """What the user saw when the change was planned is not there any more."""

    def __init__(self, message: str, *, paths: tuple[str, ...], theirs: Commit | None, target: str) -> None:
        super().__init__(message, operation="write", target=target, hint="look at their change, then plan again")
        self.paths = paths
        self.theirs = theirs
        """The newest commit that touched the first of them; None when none is known."""


class _Writing:
    """One run of `write`."""

    def __init__(
        self,
        repo: Repo,
        intent: Intent,
        change: ChangeId,
        expects: dict[str, str | None],
        reason: str,
        *,
        on_step: Callable[[str], None] | None,
        deadline: float,
        progress: OnProgress | None,
        cancel: Cancel | None,
    ) -> None:
        self.expects = expects
        self._repo, self._intent, self._change, self._reason = repo, intent, change, reason
        self._on_step, self._progress, self._cancel = on_step, progress, cancel
        self._deadline, self._end = deadline, time.monotonic() + deadline
        self._attempts = 0
        self._absent_at: Sha | None = None
        """A head that certainly does not hold our change."""
        self._sent_on: tuple[Sha | None] | None = None
        """The head on which a commit was pushed whose fate nobody knows; None when nothing is unknown."""
        self._look = False

    def run(self, pen: Pen | None) -> Written:
        """All attempts. The journal entry goes when the outcome is known, whatever it is."""
        self._look = (pen is not None and pen.resumed) or minted(self._change) < datetime.now(UTC) - _FRESH
        try:
            self._step("journalled")
            written = self._until_done(pen)
        except BackendError as error:
            if self._sent_on is None:
                if pen is not None:
                    pen.done()
            else:
                look = "`tiphys pending` looks and runs it again if not" if pen is not None else "look at the history before trying again"
                error.hint = f"it may have arrived nevertheless: {look}"
            raise
        if pen is not None:
            pen.done()
        self._step("cleared")
        return written

    def _until_done(self, pen: Pen | None) -> Written:
        who: Identity | None = None
        while True:
            self._attempts += 1
            try:
                with self._repo.lock(timeout=self._left(), progress=self._progress, cancel=self._cancel):
                    head, found = self._look_at_remote()
                    if found is not None:
                        return Written(found, self._attempts, self._change, head)
                    who = who or self._repo.identity()
                    return self._attempt(head, who, pen)
            except GitError as error:
                if not self._may_pass(error):
                    raise
                if self._left() <= _FIRST_PAUSE:
                    raise TimedOut(
                        f"not written within {self._deadline:g} s and {self._attempts} attempts; the last: {error.message}",
                        operation="write",
                        target=self._repo.url,
                        hint="try again when fewer people push",
                    ) from error
                self._pause(error)

    def _look_at_remote(self) -> tuple[Sha | None, Sha | None]:
        """The remote's head, and the commit on it that carries our change, if an earlier attempt (or process) got it there."""
        head = self._repo.fetch(progress=self._progress, cancel=self._cancel, timeout=self._left())
        self._step("fetched")
        if self._look or self._sent_on is not None:
            found = self._repo.find_change(self._change, since=self._absent_at)
            if found is not None:
                self._sent_on = None
                return head, found
        self._absent_at = head
        if self._sent_on is not None and self._sent_on != (head,):
            self._sent_on = None  # a push moves the branch from the head it was made on, and that is not the head any more
        return head, None

    def _attempt(self, head: Sha | None, who: Identity, pen: Pen | None) -> Written:
        before = self._repo.tree(head)
        self._check_expected(before)
        after = self._intent.apply(before)
        self._step("applied")
        if not changed_paths(before, after):
            return Written(None, self._attempts, self._change, head)
        message = write_message(self._intent.describe(before, after), change=self._change, reason=self._reason)
        commit = self._repo.commit(after, message, parents=[head] if head else [], identity=who)
        self._step("committed")
        if pen is not None and self._attempts == 1:  # again with each attempt would cost a disk's sync while others are pushing
            pen.attempt(commit=commit, parent=head, subject=message.partition("\n")[0])
        self._step("noted")
        if self._cancel is not None:
            self._cancel.check()
        sent_before, self._sent_on = self._sent_on, (head,)
        try:
            self._repo.push(commit, progress=self._progress, cancel=self._cancel, timeout=max(self._left(), _PUSH_SECONDS))
        except GitError as error:
            if error.kind not in _UNKNOWN_OUTCOME:
                self._sent_on = sent_before
            raise
        self._sent_on = None
        self._step("pushed")
        return Written(commit, self._attempts, self._change, head)

    def _check_expected(self, tree: Tree) -> None:
        """Raises `ChangedMeanwhile`."""
        changed = tuple(path for path, oid in self.expects.items() if tree.oid(path) != oid)
        if not changed:
            return
        theirs = next(self._repo.log(until=tree.commit, paths=changed[:1], limit=1), None) if tree.commit else None
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        by = f" by {theirs.author} in {theirs.sha[:10]}: {theirs.subject}" if theirs else ""
        raise ChangedMeanwhile(
            f"{clean(changed[0])}{more} changed since the plan was shown{by}", paths=changed, theirs=theirs, target=self._repo.url
        )

    def _may_pass(self, error: GitError) -> bool:
        """Whether the next attempt can end otherwise."""
        return error.kind in MOVED | PASSING or (self._sent_on is not None and error.retryable)

    def _pause(self, error: GitError) -> None:
        """Wait a random while, longer with each attempt, so that many writers do not meet again. Raises `Cancelled`."""
        if self._progress is not None:
            self._progress(Progress("write", f"again, attempt {self._attempts + 1}", detail=error.message))
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._attempts, self._left())
        rest = threading.Event()
        with self._cancel.on_cancel(rest.set) if self._cancel is not None else nullcontext():
            rest.wait(random.uniform(0, longest))  # noqa: S311 - spreads writers, guards nothing
        if self._cancel is not None:
            self._cancel.check()

    def _left(self) -> float:
        return max(self._end - time.monotonic(), 0.01)

    def _step(self, name: str) -> None:
        if self._on_step is not None:
            self._on_step(name)
