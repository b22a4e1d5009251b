"""A command line in this process: what it printed and its exit code; and a small workspace to begin with.

Not for what needs a process of its own (signals, pipes, terminals): `tests.tui.terminal` and `tests.scenarios.shell` do that.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.gitops.remotes import bare, commit, git
from tui.cli import execute

IMAGE = "registry.example.org/acme/web"
READ_AT = "https://git.example.org/acme/workspace.git"
"""Where Argo CD would reach the template's repository."""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Line:
    """Runs commands as `tiphys` does; knows the bare repository on disk that they are about."""

    def __init__(self, remote: Path) -> None:
        self.remote = remote

    def __call__(self, *arguments: str, code: int | None = 0) -> Ran:
        """Run one command; `code` is the exit code it must have, None for any."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            got = execute(arguments)
        ran = Ran(got, out.getvalue(), err.getvalue())
        assert code in (None, got), f"tiphys {' '.join(arguments)} ended with {got}\n{ran.out}\n{ran.err}"
        return ran

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        return json.loads(self(*arguments, "-o", "json", code=code).out)

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json(*arguments)["items"]
        return found

    def deployment(self, environment: str = "dev", app: str = "web") -> str:
        """The id of the one deployment of an app in an environment."""
        (found,) = (one for one in self.files() if one.startswith(f"deployments/{environment}/{app}/") and one.endswith("/deployment.yaml"))
        return found.split("/")[3]

    def folder(self, environment: str = "dev", app: str = "web") -> str:
        return f"deployments/{environment}/{app}/{self.deployment(environment, app)}"

    def files(self) -> list[str]:
        return git(self.remote, "ls-tree", "-r", "--name-only", "main").split("\n")

    def read(self, path: str) -> str:
        return self.bytes(path).decode()

    def bytes(self, path: str) -> bytes:
        return subprocess.run(["git", "-C", str(self.remote), "show", f"main:{path}"], capture_output=True, check=True).stdout

    def head(self) -> str:
        return git(self.remote, "rev-parse", "main")

    def rival(self, files: Mapping[str, str | bytes | None], message: str = "by hand") -> str:
        """Somebody else's commit."""
        return commit(self.remote, dict(files), message)


def make_template(folder: Path) -> Path:
    """A bare repository that holds a workspace `acme`: dev (10), prod (20, production), an app `web`, deployed to dev."""
    line = Line(bare(folder / "template.git"))
    line("init", str(line.remote), "--slug", "acme", "--argocd-repo-url", READ_AT)
    line("create", "environment", "dev", "--yes")
    line("create", "environment", "prod", "--kind", "production", "--promote-from", "dev", "--yes")
    line("create", "app", "web", "--image", IMAGE, "--yes")
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:1.0", "--yes")
    return line.remote
