"""What the Git side costs in a repository of 9,000 deployments (45,000 files) and in one of 3,000, on a bare remote on this disk."""

from __future__ import annotations

import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.domain.app import App, AppImage, Chart
from backends.domain.ids import DeploymentId, mint_change_id
from backends.domain.record import Image
from backends.gitops import catalog
from backends.gitops.history import last_changes
from backends.gitops.intents import CreateApp, CreateEnvironment, Deploy, Init, Target
from backends.gitops.journal import Journal
from backends.gitops.repo import Repo
from backends.gitops.tree import Tree
from backends.gitops.writer import write
from tests.gitops.remotes import bare, encode, git

Row = tuple[str, float, str]
ENVIRONMENTS = ("dev", "staging", "prod")
MODEL, LETTERS = "model", "abcdefghijklmnopqrstuvwxyz234567"


def measure(large: int = 9_000, small: int = 3_000, commits: int = 2_000, repeats: int = 11) -> Iterator[Row]:
    """Medians of `repeats` runs. `large` and `small` are deployments, multiples of three."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _writing(Path(folder), large, repeats)
    with tempfile.TemporaryDirectory() as folder:
        yield from _opening(Path(folder), small, commits, repeats)


def _writing(folder: Path, count: int, repeats: int) -> Iterator[Row]:
    remote, ids = workspace(folder / "remote.git", count)
    files = f"{5 * count:,}"
    journal = Journal(folder / "state", encode)
    with Repo.open(str(remote), cache_dir=folder / "cache") as repo:
        yield f"first fetch of {files} files", _timed(repo.fetch), "ms"
        yield f"first list of {files} files", _timed(repo.tree), "ms"
        took: list[dict[str, float]] = []
        for number in range(repeats):
            app, targets = ids[number * 3 // len(ENVIRONMENTS)]
            intent = Deploy(app=app, targets=targets[:1], images={"main": Image(tag=f"t{number}")})
            steps = {"begun": time.perf_counter()}
            write(repo, intent, change=mint_change_id(), journal=journal, on_step=lambda name, steps=steps: _note(steps, name))
            took.append(steps)
    yield f"commit + push with {files} files", _between(took, "begun", "cleared"), "ms"
    for first, last, what in (("journalled", "fetched", "fetch"), ("fetched", "applied", "edit"), ("applied", "committed", "commit")):
        yield f"  of that: {what}", _between(took, first, last), "ms"
    yield "  of that: push", _between(took, "noted", "pushed"), "ms"


def _opening(folder: Path, count: int, commits: int, repeats: int) -> Iterator[Row]:
    remote, ids = workspace(folder / "remote.git", count)
    _past(remote, ids, commits)
    cache = folder / "cache"

    def opened() -> None:
        with Repo.open(str(remote), cache_dir=cache) as repo:
            found = catalog.read(repo.tree(), cache_dir=cache)
            if len(found.deployments) != count or len(last_changes(repo)) != count:
                raise RuntimeError("not everything was found")

    with Repo.open(str(remote), cache_dir=cache) as repo:
        repo.fetch()
        yield f"newest release of {count:,} deployments, {commits:,} commits, cold", _timed(lambda: last_changes(repo)), "ms"
    yield f"open a repository of {count:,} deployments, cold", _timed(opened), "ms"
    yield f"open a repository of {count:,} deployments, warm", statistics.median(_timed(opened) for _ in range(repeats)), "ms"
    with Repo.open(str(remote), cache_dir=cache) as repo:
        yield f"newest release of {count:,} deployments, warm", _timed(lambda: last_changes(repo)), "ms"
        head = repo.require_head()
        asked = [release.commit for release in last_changes(repo).values()]
        yield f"whether the head holds a commit, first of {commits:,}", _timed(lambda: repo.contains(head, asked[0])), "ms"
        yield f"whether the head holds a commit, {count:,} times", _timed(lambda: [repo.contains(head, sha) for sha in asked]), "ms"


def workspace(path: Path, count: int) -> tuple[Path, list[tuple[str, tuple[Target, ...]]]]:
    """A bare repository that Tiphys could have written, with `count` deployments; gives its apps and where each is deployed."""
    tree = Init(slug="acme", id="01JD8Z6W4T0Q8C2V6N3M5X7Y9A", repo_url="https://git.example.org/acme/workspace.git").apply(Tree.of({}))
    for environment in ENVIRONMENTS:
        tree = CreateEnvironment(name=environment, new=True).apply(tree)
    shared = dict(tree.changes)
    image = AppImage(repository=f"registry.example.org/acme/{MODEL}")
    tree = CreateApp(app=App(name=MODEL, chart=Chart(path="charts/service", version="1.0.0"), images={"main": image})).apply(tree)
    targets = tuple(
        Target(id=DeploymentId(f"{MODEL}-{name}-aaaaaa"), environment=name, cluster="in-cluster", new=True) for name in ENVIRONMENTS
    )
    tree = Deploy(app=MODEL, targets=targets, images={"main": Image(tag="t")}).apply(tree)
    model = {name: data for name, data in tree.changes.items() if name not in shared and data is not None}
    found: list[tuple[str, tuple[Target, ...]]] = []
    files = {name: data for name, data in shared.items() if data is not None}
    for number in range(count // len(ENVIRONMENTS)):
        app, letters = f"app-{number}", "".join(LETTERS[(number >> shift) & 31] for shift in (25, 20, 15, 10, 5, 0))
        for name, data in model.items():
            files[name.replace(MODEL, app).replace("aaaaaa", letters)] = data.replace(MODEL.encode(), app.encode()).replace(
                b"aaaaaa", letters.encode()
            )
        found.append(
            (
                app,
                tuple(Target(id=DeploymentId(f"{app}-{name}-{letters}"), environment=name, cluster="in-cluster") for name in ENVIRONMENTS),
            )
        )
    bare(path)
    _import(path, [("first", files)])
    git(path, "repack", "-adq")
    return path, found


def _past(remote: Path, ids: list[tuple[str, tuple[Target, ...]]], commits: int) -> None:
    """Deploys that somebody has made, one after the other."""
    chosen = random.Random(1)
    made: list[tuple[str, dict[str, bytes]]] = []
    for number in range(commits):
        app, targets = chosen.choice(ids)
        target = chosen.choice(targets)
        message = f"deploy({app} → {target.environment}): t{number}\n\nTiphys-Op: deploy\nTiphys-Deployment: {target.id}\nTiphys-Image: r/{app}:t{number}\n"
        text = f'images:\n  main: {{repository: "registry.example.org/acme/{app}", tag: "t{number}", digest: ""}}\nchart: {{version: "1.0.0"}}\n'
        folder = f"deployments/{target.environment}/{app}/{target.id}"
        made.append((f"{message}Tiphys-Change: {mint_change_id()}\n", {f"{folder}/release.yaml": text.encode()}))
    _import(remote, made)


def _import(remote: Path, commits: list[tuple[str, dict[str, bytes]]]) -> None:
    stream = bytearray(b"reset refs/heads/main\n")
    if git(remote, "for-each-ref", "refs/heads/main"):
        stream += b"from refs/heads/main^0\n\n"
    for message, files in commits:
        text = message.encode()
        stream += b"commit refs/heads/main\ncommitter Ada Lovelace <ada@example.org> now\ndata %d\n%s\n" % (len(text), text)
        for path, data in files.items():
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
    command = ["git", "-C", str(remote), "fast-import", "--quiet", "--date-format=now"]
    subprocess.run(command, input=bytes(stream), check=True)


def _note(steps: dict[str, float], name: str) -> None:
    steps[name] = time.perf_counter()


def _between(took: list[dict[str, float]], first: str, last: str) -> float:
    return statistics.median((steps[last] - steps[first]) * 1000 for steps in took)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
