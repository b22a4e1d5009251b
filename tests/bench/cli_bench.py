"""The command line as a process: start-up, and the list command at four sizes against the sandbox."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.scenarios.conftest import Sandbox
from tests.scenarios.shell import ROOT

Row = tuple[str, float, str]
SIZES = (100, 1_000, 5_000, 10_000)


def measure(sizes: tuple[int, ...] = SIZES, repeats: int = 7) -> Iterator[Row]:
    """Medians of `repeats` runs."""
    bare = statistics.median(_run([sys.executable, "-c", "pass"])[0] for _ in range(3 * repeats))
    version = statistics.median(_run([sys.executable, "-m", "tui", "--version"])[0] for _ in range(3 * repeats))
    yield "bare interpreter", bare, "ms"
    yield "tiphys --version", version, "ms"
    yield "tiphys --version, times a bare interpreter", version / bare, "×"
    for size in sizes:
        with tempfile.TemporaryDirectory() as home, Sandbox("--empty", "--synthetic", str(size), "--rate", "0", home=Path(home)) as ready:
            argv = [sys.executable, "-m", "tui", "get", "applications", "--argocd", ready["argocd_url"]]
            runs = [_run([*argv, "--auth-token-file", ready["token_file"]], home=home) for _ in range(repeats)]
            yield f"get applications, {size:,}", statistics.median(run[0] for run in runs), "ms"
            yield f"get applications, {size:,}, memory", statistics.median(run[1] for run in runs), "MB"


def _run(argv: list[str], *, home: str | None = None) -> tuple[float, float]:
    """Milliseconds of a whole process, and its largest resident size in MB."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | ({"HOME": home} if home else {})
    began = time.perf_counter()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    took = (time.perf_counter() - began) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(argv)} exited {child.returncode}")
    return took, usage.ru_maxrss / 1024
