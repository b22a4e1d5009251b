"""A repository: our own bare clone of one remote, of which one branch is followed, read and pushed to.

Reading is local and takes no lock. `fetch` and `push` take turns with other Tiphys processes on this host. Which change is written, and
what happens when somebody else was first, is the business of `writer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

import msgspec

from backends.domain.ids import ChangeId, Sha, is_sha
from backends.engine import Cancel
from backends.errors import Refused
from backends.gitops import clone
from backends.gitops.address import Address, Credentials, parse_address, parse_branch
from backends.gitops.ancestry import Ancestry
from backends.gitops.askpass import Ask, AskHostKey, serving
from backends.gitops.git import Git
from backends.gitops.identity import Identity, commit_tree, read_identity
from backends.gitops.listing import Listings, build
from backends.gitops.lock import TurnLock
from backends.gitops.log import Commit, read_log
from backends.gitops.messages import read_message
from backends.gitops.objects import Objects
from backends.gitops.progress import OnProgress
from backends.gitops.remote import STALL_SECONDS, Remote
from backends.gitops.remote_errors import explain
from backends.gitops.tree import Entry, Tree, blob_id
from backends.gitops.trouble import BranchMissing, GitError, GitFailed, Trouble
from backends.text import clean

MANY = 2_000
"""Commit ids that fit a command line (41 bytes each) on every system."""


class Notice(msgspec.Struct, frozen=True):
    """Something to know about a repository that is not an error."""

    kind: str
    """"password over http"."""
    text: str


class Fetched(msgspec.Struct, frozen=True):
    """What the last fetch found."""

    head: Sha | None
    before: Sha | None
    rewritten: bool = False
    """The remote's branch no longer holds what we had: somebody pushed by force."""
    branches: tuple[str, ...] = ()
    """What the remote has where our branch is missing; () then means that it is empty."""


class Repo:
    """One branch of one remote repository. Made by `open`; thread-safe; a context manager that ends its child process."""

    def __init__(
        self, address: Address, branch: str, folder: Path, *, remote: Callable[[Git], Remote], identity: Identity | None, readonly: bool
    ) -> None:
        self.url, self.branch, self.folder, self.readonly = address.url, branch, folder, readonly
        self.notices: tuple[Notice, ...] = ()
        self.fetched: Fetched | None = None
        self._address, self._identity = address, identity
        self._git = Git(folder)
        self._remote = remote(self._git)
        self._turns = TurnLock(folder.with_suffix(".lock"))
        self._objects = Objects(self._git)
        self._listings = Listings(self._git, self._objects, folder / "tiphys-listing")
        self._ancestry = Ancestry(self._git, self._objects)
        # a name without slashes: `a` and `a/b` can both be followed, one after the other
        self._ref = f"refs/tiphys/{branch.replace('%', '%25').replace('/', '%2F')}"

    @classmethod
    def open(
        cls,
        url: str,
        *,
        branch: str = "main",
        cache_dir: Path,
        credentials: Credentials | Ask | None = None,
        ask_host_key: AskHostKey | None = None,
        identity: Identity | None = None,
        readonly: bool = False,
        stall: float = STALL_SECONDS,
    ) -> Repo:
        """Open a repository by URL, without the network.

        Args:
            url: https, http, ssh, file, or a local path; a password in it counts as `credentials` and is kept nowhere else.
            cache_dir: where clones live; one folder a remote.
            credentials: a user and a password or token, bound to the URL's origin (before those in the URL); or a function that asks a
                person (after those in the URL).
            ask_host_key: asks a person whether an unknown SSH host is the right one; without it such a host is refused.
            identity: who commits, where that is not what the Git configuration says.
            readonly: refuse `push`.
            stall: seconds of silence after which a transfer is given up.

        Raises `Refused` (an unsafe URL or branch, no git or one too old), `GitError` (the cache folder cannot be written).
        """
        address, found = parse_address(url)
        branch = parse_branch(branch)
        given = credentials if isinstance(credentials, Credentials) else found or credentials
        folder = cache_dir / address.cache_name
        clone.prepare(folder, address)

        def remote(git: Git) -> Remote:
            return Remote(git, address, scratch=cache_dir, credentials=given, ask_host_key=ask_host_key, stall=stall)

        repo = cls(address, branch, folder, remote=remote, identity=identity, readonly=readonly)
        if address.scheme == "http" and given is not None:
            text = f"the password for {address.host} goes over plain http: whoever listens on the way can read it"
            repo.notices = (Notice("password over http", text),)
        return repo

    def __enter__(self) -> Repo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the child process; what is asked afterwards starts another."""
        self._objects.close()

    def lock(
        self, *, timeout: float | None = None, progress: OnProgress | None = None, cancel: Cancel | None = None
    ) -> AbstractContextManager[None]:
        """Our turn in this clone. Raises `TimedOut`, `Cancelled`."""
        return self._turns.turn(timeout=timeout, progress=progress, cancel=cancel)

    # ── the remote ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def fetch(self, *, progress: OnProgress | None = None, cancel: Cancel | None = None, timeout: float | None = None) -> Sha | None:
        """Bring the branch here; gives its head, None when the remote has no such branch yet (`fetched.branches` says what it has).

        Raises `GitError`, `Cancelled`, `TimedOut`.
        """
        with self.lock(timeout=timeout, progress=progress, cancel=cancel):
            clone.prepare(self.folder, self._address)  # the cache may have been deleted meanwhile
            before = self.head()
            try:
                self.fetched = self._fetch(before, timeout, progress, cancel)
            except GitError as error:
                if error.kind is Trouble.CACHE_LOCKED and clone.remove_stale_locks(self.folder):
                    pass
                elif error.kind is Trouble.CACHE_BROKEN:
                    self.close()
                    clone.discard(self.folder)
                    clone.prepare(self.folder, self._address)
                else:
                    raise
                self.fetched = self._fetch(before, timeout, progress, cancel)
            clone.tidy(self._git)
            return self.fetched.head

    def _fetch(self, before: Sha | None, timeout: float | None, progress: OnProgress | None, cancel: Cancel | None) -> Fetched:
        options = ("--progress", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
        refspec = f"+refs/heads/{self.branch}:{self._ref}"
        try:
            _, said = self._remote.run(
                "fetch", "fetch", *options, "--", self.url, refspec, timeout=timeout, progress=progress, cancel=cancel
            )
        except GitError as error:
            if error.kind is not Trouble.BRANCH_MISSING:
                raise
            branches = self._remote.branches(timeout=timeout, cancel=cancel)
            if self.branch in branches:
                raise
            if before is not None:
                self._git.run("update-ref", "-d", self._ref)
            return Fetched(None, before, before is not None, branches)
        if "\nwarning: rejected " in f"\n{said}":  # of a shallow remote git takes nothing, and calls that a success
            raise explain("fetch", self.url, said)
        return Fetched(self.head(), before, "(forced update)" in said)

    def remote_head(self, *, cancel: Cancel | None = None, timeout: float | None = None) -> Sha | None:
        """The branch's head at the remote, without fetching it (a look each 30 s costs little). Raises `GitError`, `Cancelled`."""
        ref = f"refs/heads/{self.branch}"
        out, _ = self._remote.run("fetch", "ls-remote", "--", self.url, ref, timeout=timeout, cancel=cancel)
        return next((Sha(row[:40]) for row in out.splitlines() if row[41:] == ref and is_sha(row[:40])), None)

    def require_head(self) -> Sha:
        """The head of the last fetch. Raises `BranchMissing`, which tells an empty remote from a missing branch."""
        head = self.head()
        if head is not None:
            return head
        branches = self.fetched.branches if self.fetched else ()
        kind = Trouble.BRANCH_MISSING if branches else Trouble.EMPTY_REMOTE
        text = f"there is no branch {self.branch} at the remote" if branches else "the remote is empty"
        hint = f"it has {clean(', '.join(branches[:8]))}" if branches else "tiphys init writes the first commit"
        raise BranchMissing(text, branches=branches, kind=kind, target=self.url, hint=hint)

    def push(self, sha: Sha, *, progress: OnProgress | None = None, cancel: Cancel | None = None, timeout: float | None = None) -> None:
        """Make a commit the head of the remote's branch, never by force.

        Raises `PushRejected` (`kind` says why), `Refused` in read-only mode, `GitError`, `Cancelled`, `TimedOut`.
        """
        if self.readonly:
            raise Refused("read-only: nothing is pushed", operation="push", target=self.url)
        with self.lock(timeout=timeout, progress=progress, cancel=cancel):
            options = ("--porcelain", "--progress", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
            refspec = f"{sha}:refs/heads/{self.branch}"
            self._remote.run("push", "push", *options, "--", self.url, refspec, timeout=timeout, progress=progress, cancel=cancel)
            self._git.run("update-ref", self._ref, sha, operation="push")

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def head(self) -> Sha | None:
        """The remote branch's head as last fetched or pushed; None before that, or when there is no such branch."""
        stored = self._objects.read(self._ref)
        return Sha(stored.oid) if stored is not None and stored.kind == "commit" else None

    def tree(self, commit: Sha | None = None) -> Tree:
        """The files of a commit (default: of `head()`); an empty tree where there is no commit yet. Raises `GitFailed`."""
        commit = commit or self.head()
        if commit is None:
            return Tree(None, {}, self._objects.blob)
        return Tree(commit, self._listings.get(self._tree_id(commit)), self._objects.blob, read_blobs=self._objects.blobs)

    def tree_id(self, commit: Sha) -> str:
        """The id of a commit's tree: equal ids, equal files. Raises `GitFailed`."""
        return self._tree_id(commit)

    def _tree_id(self, commit: Sha) -> str:
        stored = self._objects.read(f"{commit}^{{tree}}")
        if stored is None:
            raise GitFailed(f"commit {commit[:12]} is not in the clone", kind=Trouble.CACHE_BROKEN, operation="read", target=self.url)
        return stored.oid

    def read_many(self, oids: Iterable[str], *, done: Callable[[int], None] | None = None) -> dict[str, bytes]:
        """The bytes of many blobs by object id, asked for in one go and kept in memory. Raises `GitFailed`."""
        return self._objects.blobs(oids, done=done)

    def read_at(self, commit: Sha, path: str) -> bytes | None:
        """A file's bytes at any commit, without listing it; None when there is no such file. For many files of one commit take `tree`."""
        if "\n" in path:
            return self.tree(commit).read(path)  # a name on a line of its own cannot hold one
        stored = self._objects.read(f"{commit}:{path}")
        return stored.data if stored is not None and stored.kind == "blob" else None

    def cache_file(self, name: str) -> Path:
        """Where something derived from this branch may be kept; it goes when the clone goes."""
        return self.folder / f"tiphys-{name}-{self._ref.rpartition('/')[2]}"

    def descends(self, commit: Sha, ancestor: Sha) -> bool:
        """Whether `commit`'s history holds `ancestor`, by one call of git; `contains` is for many questions."""
        return self._git.try_run("merge-base", "--is-ancestor", ancestor, commit).code == 0

    def contains(self, revision: str, commit: Sha) -> bool | None:
        """Does `revision`'s history hold `commit`? None: `revision` has not been fetched. Thousands of answers a second."""
        return self._ancestry.contains(revision, commit, self.head)

    def log(
        self,
        *,
        until: Sha | None = None,
        since: Sha | None = None,
        paths: Sequence[str] = (),
        names: bool = False,
        limit: int | None = None,
        every_merge: bool = False,
    ) -> Iterator[Commit]:
        """Commits, newest first, children before parents.

        Args:
            until: the newest (default: `head()`); `since`: commits that this one holds are left out.
            paths: only commits that changed something below these.
            names: fill `Commit.paths`.
            every_merge: with `paths`, walk also what a merge did not take over.
        """
        until = until or self.head()
        if until is None:
            return iter(())
        options = [*(["--full-history"] if every_merge else []), *([f"--max-count={limit}"] if limit is not None else [])]
        arguments = ["--topo-order", *options, until, *([f"^{since}"] if since else [])]
        return read_log(self._git, *arguments, "--", *(f":(literal){path}" for path in paths), names=names)

    def commits(self, shas: Iterable[Sha], *, names: bool = False) -> Iterator[Commit]:
        """These commits, in no order; thousands take one call of git each `MANY`. Raises `GitError` for one that is not here."""
        ordered = sorted(set(shas))
        for start in range(0, len(ordered), MANY):
            yield from read_log(self._git, "--no-walk=unsorted", *ordered[start : start + MANY], "--", names=names)

    def find_change(self, change: ChangeId, *, since: Sha | None = None) -> Sha | None:
        """The commit of the branch (as fetched) that carries a `Tiphys-Change` id; None when none does."""
        head = self.head()
        if head is None:
            return None
        begun = minted(change) - timedelta(days=2)  # clocks differ; without `since` the walk must end somewhere
        arguments = [head, f"^{since}"] if since else [f"--since={begun.isoformat()}", head]
        found = read_log(self._git, "--fixed-strings", f"--grep=Tiphys-Change: {change}", *arguments, "--")
        return next((commit.sha for commit in found if any(read.first("Change") == change for read in read_message(commit.message))), None)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def identity(self) -> Identity:
        """Who commits. Raises `GitRefused` when Git does not know."""
        return self._identity or read_identity(self._git)

    def commit(self, tree: Tree, message: str, *, parents: Sequence[Sha], identity: Identity | None = None) -> Sha:
        """Store a tree with its changes as a commit; no branch moves. Signed where the identity says so.

        Raises `Invalid` (a path Git does not take), `GitFailed` (`SIGNING_FAILED` and others).
        """
        who = identity or self.identity()
        blobs = {path: data for path, data in tree.changes.items() if data is not None}
        entries = {path: None if data is None else Entry(tree.mode(path), blob_id(data)) for path, data in tree.changes.items()}
        root, made = build(self._objects, self._tree_id(tree.commit) if tree.commit else None, entries)
        self._objects.write({blob_id(data): ("blob", data) for data in blobs.values()} | made)
        if not who.signing:
            return commit_tree(self._git, who, root, message, parents)
        with serving(self._remote.answering(), self.folder.parent) as shim:
            return commit_tree(self._git, who, root, message, parents, shim)


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def minted(change: ChangeId) -> datetime:
    """When a change id was made: its first ten characters are milliseconds."""
    milliseconds = 0
    for letter in change[:10]:
        milliseconds = milliseconds * 32 + max(_CROCKFORD.find(letter), 0)
    return datetime.fromtimestamp(min(milliseconds / 1000, 4_000_000_000), UTC)
