"""Commits into a bare repository on disk, with authors and dates of one's choice: how a fleet gets its past, and a test its pushes.

Written by `git fast-import`, whole trees at a time. Not for users' repositories: those are written by `gitops.writer`.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from backends.domain.ids import Sha, mint_change_id
from backends.gitops.intent import Intent
from backends.gitops.messages import write_message
from backends.gitops.tree import Tree

_ENVIRONMENT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"}


def make_bare(folder: Path) -> None:
    """An empty bare repository, if there is none."""
    if not (folder / "HEAD").exists():
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "--", str(folder)], check=True, env=_ENVIRONMENT)


class Branch:
    """The main branch of a bare repository, kept in memory as a tree and extended commit by commit."""

    def __init__(self, bare: Path) -> None:
        self.bare = bare
        self.tree = Tree.of({})
        self.head: Sha | None = None
        self._writer: subprocess.Popen[bytes] | None = None
        self._first = True

    def put(self, tree: Tree, message: str, *, author: str = "", at: datetime | None = None) -> Sha:
        """Commit a tree that was made of this one."""
        return self._commit(tree, message, author, at)

    def run(self, intent: Intent, *, author: str = "", at: datetime | None = None, reason: str = "") -> Sha:
        """Commit what an intent makes of the tree, in the words that Tiphys would use."""
        after = intent.apply(self.tree)
        message = write_message(intent.describe(self.tree, after), change=mint_change_id(), reason=reason)
        return self._commit(after, message, author, at)

    def write(self, files: Mapping[str, str | None], subject: str, *, author: str = "", at: datetime | None = None) -> Sha:
        """Commit files as somebody edits them by hand; None removes one."""
        after = self.tree.without(*[path for path, text in files.items() if text is None])
        after = after.with_files({path: text.encode() for path, text in files.items() if text is not None})
        return self._commit(after, f"{subject}\n", author, at)

    def read(self, path: str) -> str:
        """Raises `KeyError` where there is no such file."""
        data = self.tree.read(path)
        if data is None:
            raise KeyError(path)
        return data.decode()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Commits inside are written by one process; readers see all of them at the end.

        Raises `OSError` when Git refuses.
        """
        with tempfile.TemporaryFile() as errors:
            command = ["git", "--git-dir", str(self.bare), "fast-import", "--quiet", "--done", "--date-format=raw-permissive"]
            pipe = subprocess.PIPE
            writer = subprocess.Popen([*command, "--cat-blob-fd=1"], stdin=pipe, stdout=pipe, stderr=errors, env=_ENVIRONMENT)
            self._writer, self._first = writer, True
            try:
                yield
                self._give(b"done\n")
            except BrokenPipeError:
                writer.wait()  # its own words say more
            finally:
                self._writer = None
                writer.communicate()
            if writer.returncode:
                errors.seek(0)
                raise OSError(f"git fast-import ended with {writer.returncode}: {errors.read().decode(errors='replace').strip()}")

    def _commit(self, after: Tree, message: str, author: str, at: datetime | None) -> Sha:
        if self._writer is None:
            with self.batch():
                return self._commit(after, message, author, at)
        who, when = author or "Ada Lovelace <ada@example.org>", int((at or datetime.now(UTC)).timestamp())
        body = message.encode()
        out = [b"commit refs/heads/main\nmark :1\ncommitter %s %d +0000\ndata %d\n%s" % (who.encode(), when, len(body), body)]
        if self.head is not None and self._first:  # the writer goes on from its own commits by itself
            out.append(b"from %s\n" % self.head.encode())
        for path, data in after.changes.items():
            name = path.encode()
            out.append(b"D %s\n" % name if data is None else b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(data), data))
        out.append(b"get-mark :1\n")
        self.head, self._first = Sha(self._give(b"".join(out)).decode()), False
        self.tree = Tree.of({path: after.read(path) or b"" for path in after.paths()})
        return self.head

    def _give(self, commands: bytes) -> bytes:
        """Write commands, and give the line that answers them."""
        writer = self._writer
        if writer is None or writer.stdin is None or writer.stdout is None:
            return b""
        writer.stdin.write(commands)
        writer.stdin.flush()
        return b"" if commands == b"done\n" else writer.stdout.readline().strip()
