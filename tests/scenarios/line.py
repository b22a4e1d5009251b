"""Command lines in this process whose output is held to the rule, and a workspace that others can push anything to."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from pathlib import Path

from tests.gitops.remotes import git
from tests.scenarios.hostile import HOSTILE, hostile_in
from tests.scenarios.shell import Ran
from tui.cli import execute

CODES = (0, 1, 2, 3, 4, 5, 130)
FORMS = ("table", "wide", "json", "yaml")
IMAGE = "registry.example.org/acme/web"


def run(*argv: str) -> Ran:
    """One command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = execute(argv)
    return Ran(code, out.getvalue(), err.getvalue())


def safe(*argv: str) -> Ran:
    """One command line whose output is held to the rule."""
    ran = run(*argv)
    what = " ".join(argv)
    assert ran.code in CODES, what
    assert "defect" not in ran.err, f"{what}\n{ran.err}"
    for text in (ran.out, ran.err):
        assert not HOSTILE.search(text), f"{what}: {HOSTILE.search(text)!r}"
    if "json" in argv:
        assert [] == [found for line in ran.out.splitlines() for found in hostile_in(json.loads(line))], what
    return ran


class Repository:
    """A workspace repository of a test's own, and the deployment in it."""

    def __init__(self, remote: Path) -> None:
        self.remote = remote
        paths = git(remote, "ls-tree", "-r", "--name-only", "main").split("\n")
        self.folder = next(path for path in paths if path.endswith("/release.yaml")).rpartition("/")[0]
        self.id = self.folder.rpartition("/")[2]

    def pushed(self, files: dict[bytes, bytes], message: bytes, author: bytes = b"Mallory", mail: bytes = b"m@example.org") -> None:
        """Somebody else's commit, its bytes as they are given."""
        stream = b"commit refs/heads/main\ncommitter %s <%s> now\ndata %d\n%s\nfrom refs/heads/main^0\n" % (
            author,
            mail,
            len(message),
            message,
        )
        for path, data in files.items():
            quoted = b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (quoted, len(data), data)
        git(self.remote, "fast-import", "--quiet", "--date-format=now", "--force", data=stream)

    def blob(self, path: bytes) -> bytes:
        return subprocess.run(
            [b"git", b"-C", bytes(self.remote), b"cat-file", b"blob", b"main:" + path], capture_output=True, check=True
        ).stdout
