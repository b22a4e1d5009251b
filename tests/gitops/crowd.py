"""One of many writers, as a process of its own: `python -m tests.gitops.crowd '<job as JSON>'` prints what became of each intent.

Started by tests; a job names the remote, folders of its own, and what to do.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from backends.domain.ids import ChangeId, mint_change_id
from backends.errors import Conflict
from backends.gitops.journal import Journal
from backends.gitops.repo import Repo
from backends.gitops.writer import write
from tests.gitops.remotes import Append, Put, encode


class Job(msgspec.Struct):
    """What one writer does."""

    remote: str
    cache: str
    state: str
    name: str
    count: int = 1
    shared: int = 0
    """How many files all writers share; 0: each intent has a file of its own."""
    kill_at: str = ""
    """The step at which the process kills itself, on the last intent."""
    change: str = ""
    """The change id of the last intent; "" mints one."""
    deadline: float = 90.0


class Result(msgspec.Struct):
    """What became of one intent: a commit, or a conflict (None)."""

    change: str
    path: str
    line: str
    commit: str | None
    attempts: int


def start(job: Job) -> subprocess.Popen[bytes]:
    """Start a writer."""
    command = [sys.executable, "-m", "tests.gitops.crowd", msgspec.json.encode(job).decode()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=Path(__file__).parents[2])


def results(children: Sequence[subprocess.Popen[bytes]]) -> list[Result]:
    """Wait for writers; gives all their results. A writer that failed fails the test."""
    found: list[Result] = []
    for child in children:
        out, _ = child.communicate(timeout=200)
        assert 0 == child.returncode, f"a writer ended with {child.returncode}"
        found.extend(msgspec.json.decode(out, type=list[Result]))
    return found


def run(job: Job) -> list[Result]:
    """Do a job in this process."""
    journal = Journal(Path(job.state), encode)
    found: list[Result] = []
    with Repo.open(job.remote, cache_dir=Path(job.cache)) as repo:
        for number in range(job.count):
            last = number == job.count - 1
            change = ChangeId(job.change) if job.change and last else mint_change_id()
            line = f"{job.name}-{number}"

            def on_step(step: str, last: bool = last) -> None:
                if last and step == job.kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            if not job.shared:
                path = f"deployments/dev/{job.name}/{number}/release.yaml"
                written = write(repo, Put(path, line), change=change, journal=journal, on_step=on_step, deadline=job.deadline)
                found.append(Result(change, path, line, written.commit, written.attempts))
                continue
            path = f"shared/{random.randrange(job.shared)}"
            repo.fetch()
            seen = {path: repo.tree().oid(path)}
            try:
                written = write(
                    repo, Append(path, line), change=change, journal=journal, expects=seen, on_step=on_step, deadline=job.deadline
                )
                found.append(Result(change, path, line, written.commit, written.attempts))
            except Conflict:
                found.append(Result(change, path, line, None, 0))
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(run(msgspec.json.decode(sys.argv[1], type=Job))))
