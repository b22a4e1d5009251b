"""What a plan of one deploy costs in a repository of 9,000 deployments, the render process warm, and the list of all that stands in one of 3,000."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from backends.domain.record import Image
from backends.gitops.intents import Deploy
from backends.gitops.plan import plan
from backends.gitops.repo import Repo
from backends.render.renderer import Renderer
from tests.bench.git_bench import Row, workspace


def measure(count: int = 9_000, repeats: int = 11) -> Iterator[Row]:
    """Medians of `repeats` plans, each of another deployment."""
    with tempfile.TemporaryDirectory() as folder:
        remote, ids = workspace(Path(folder) / "remote.git", count)
        renderer = Renderer()
        with Repo.open(str(remote), cache_dir=Path(folder) / "cache") as repo:
            repo.fetch()
            took = []
            for number in range(repeats + 1):
                app, targets = ids[number * 7]
                intent = Deploy(app=app, targets=targets[:1], images={"main": Image(tag=f"t{number}")})
                began = time.perf_counter()
                made = plan(intent, repo.tree(), renderer=renderer.render)
                took.append((time.perf_counter() - began) * 1000)
                if not made.rendered or made.rendered[0].missing or not made.rendered[0].objects:
                    raise RuntimeError("the plan shows no rendered difference")
        renderer.close()
    yield f"plan of one deploy with {5 * count:,} files, first", took[0], "ms"
    yield f"plan of one deploy with {5 * count:,} files, renderer warm", statistics.median(took[1:]), "ms"
