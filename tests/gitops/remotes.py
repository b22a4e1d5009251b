"""Remotes and intents for tests: bare repositories on disk, somebody else who pushes to them, and the smallest intents there are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import msgspec

from backends.errors import Conflict
from backends.gitops.intent import Description, Intent, Trailer
from backends.gitops.tree import Tree


def git(folder: Path, *arguments: str, data: str | bytes = b"", env: dict[str, str] | None = None) -> str:
    """Run git in a folder; gives its stdout without the last line end."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        input=data.encode() if isinstance(data, str) else data,
        capture_output=True,
        env={**os.environ, **(env or {})},
    )
    assert 0 == done.returncode, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def bare(path: Path, files: dict[str, str | bytes] | None = None) -> Path:
    """A bare repository with one commit on `main` (none when there are no files)."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    git(path, "config", "receive.autogc", "false")
    if files:
        commit(path, files, "first")
    return path


def commit(
    remote: Path, files: dict[str, str | bytes | None], message: str, *, branch: str = "main", author: str = "Rival <rival@example.org>"
) -> str:
    """Somebody else's commit, made in the remote itself; None removes a file. Gives its id."""
    name, _, email = author.rstrip(">").partition(" <")
    stream = bytearray(b"commit refs/heads/%s\ncommitter %s <%s> now\n" % (branch.encode(), name.encode(), email.encode()))
    text = message.encode("utf-8", "surrogateescape")
    stream += b"data %d\n%s\n" % (len(text), text)
    if branch in git(remote, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split("\n"):
        stream += b"from refs/heads/%s^0\n" % branch.encode()
    for path, data in files.items():
        if data is None:
            stream += b"D %s\n" % _quoted(path)
        else:
            blob = data.encode() if isinstance(data, str) else data
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (_quoted(path), len(blob), blob)
    git(remote, "fast-import", "--quiet", "--date-format=now", "--force", data=bytes(stream))
    return git(remote, "rev-parse", f"refs/heads/{branch}")


def _quoted(path: str) -> bytes:
    return b'"' + b"".join(b"\\%03o" % byte if byte < 33 or byte in b'"\\' else bytes((byte,)) for byte in path.encode()) + b'"'


def subjects(remote: Path, branch: str = "main") -> list[str]:
    """Newest first."""
    return git(remote, "log", "--format=%s", branch).split("\n")


class Put(msgspec.Struct, frozen=True, tag="put"):
    """Writes one file; touches nothing else."""

    path: str
    text: str

    def apply(self, tree: Tree) -> Tree:
        return tree.with_file(self.path, self.text.encode())

    def describe(self, before: Tree, after: Tree) -> Description:
        return Description(f"put({self.path})", (Trailer("Tiphys-Op", "put"),))


class Append(msgspec.Struct, frozen=True, tag="append"):
    """Adds a line to a file: lost or doubled runs can be seen in it."""

    path: str
    line: str

    def apply(self, tree: Tree) -> Tree:
        return tree.with_file(self.path, (tree.read(self.path) or b"") + f"{self.line}\n".encode())

    def describe(self, before: Tree, after: Tree) -> Description:
        return Description(f"append({self.path}): {self.line}", (Trailer("Tiphys-Op", "append"),))


class Create(msgspec.Struct, frozen=True, tag="create"):
    """Writes a file that must not be there."""

    path: str
    text: str

    def apply(self, tree: Tree) -> Tree:
        if self.path in tree:
            raise Conflict(f"{self.path} is there already")
        return tree.with_file(self.path, self.text.encode())

    def describe(self, before: Tree, after: Tree) -> Description:
        return Description(f"create({self.path})", (Trailer("Tiphys-Op", "create"),))


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """Removes a folder."""

    folder: str

    def apply(self, tree: Tree) -> Tree:
        return tree.without_folder(self.folder)

    def describe(self, before: Tree, after: Tree) -> Description:
        return Description(f"remove({self.folder})", (Trailer("Tiphys-Op", "remove"),))


def encode(intent: Intent) -> bytes:
    """As `intents.encode` does."""
    return msgspec.json.encode(intent)


def decode(data: str) -> Put | Append | Create | Remove:
    kinds = {kind.__struct_config__.tag: kind for kind in (Put, Append, Create, Remove)}
    return msgspec.json.decode(data, type=kinds[json.loads(data)["type"]])
