"""A user's shell for scenarios: runs `tiphys` as a process with a home of its own and gives back what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """Runs commands against one Argo CD and one repository.

    Args:
        home: an empty folder for configuration, caches and state.
        slug: the workspace's name; free on that Argo CD.
        connection: options that `init` and `open` are given once and remember.
    """

    def __init__(self, home: Path, *, slug: str, repo_url: str, argocd_url: str, connection: Sequence[str]) -> None:
        self.home, self.slug, self.repo_url, self.argocd_url, self.connection = home, slug, repo_url, argocd_url, tuple(connection)
        self.transcript: list[tuple[tuple[str, ...], Ran]] = []

    def run(self, *arguments: str, code: int | None = 0, timeout: float = 300.0) -> Ran:
        """Run one command; `code` is the exit code it must have, None for any."""
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("TIPHYS_", "ARGOCD_", "XDG_"))},
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-m", "tui", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.home,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        self.transcript.append((arguments, ran))
        if code is not None:
            assert code == ran.code, f"tiphys {' '.join(arguments)}\n{ran.out}\n{ran.err}"
        return ran

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        return json.loads(self.run(*arguments, "-o", "json", code=code).out)

    def follow(self, *arguments: str, code: int | None = 0) -> list[dict[str, Any]]:
        """The records of a follower, one JSON object a line."""
        return [json.loads(line) for line in self.run(*arguments, "-o", "json", code=code).out.splitlines()]
