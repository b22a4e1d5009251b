"""A sandbox inside the test's own loop: a small workspace, pushes, refreshes, and everything that was seen of its Applications."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from backends.domain.app import App, AppImage, Chart
from backends.domain.ids import DeploymentId
from backends.domain.record import Image
from backends.gitops.intent import Intent
from backends.gitops.intents import CreateApp, CreateEnvironment, Deploy, Init, Target
from backends.gitops.tree import Tree
from backends.sandbox import documents
from backends.sandbox.applications import Shown
from backends.sandbox.commits import Branch, make_bare
from backends.sandbox.objects import REFRESH, Manifest, annotation, dig
from backends.sandbox.sandbox import CHARTS, REPOSITORY, Options, Sandbox

WEB_DEV, WEB_PROD = "web-dev-zz45ab", "web-prod-q7t2cc"
SHOP_DEV, SHOP_PROD = "shop-api-dev-k3x7qa", "shop-api-prod-p2m5vd"
ROOT, MANAGER = "tiphys-acme", "tiphys-acme--dev"
EXPORTER = "exporter-prod-n4w6ty"
CHART_REPO = "https://charts.example.org"
EXPORTER_CHART = {
    "Chart.yaml": "apiVersion: v2\nname: exporter\nversion: 0.1.0\n",
    "values.yaml": "env: {}\nport: 9100\n",
    "templates/deployment.yaml": """apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: main, image: "exporter:0.1.0", ports: [{containerPort: {{ .Values.port }}}]}]}
""",
}
REPOSITORY_OF = {"web": "registry.example.org/acme/web", "shop-api": "registry.example.org/acme/shop-api"}


class Look(NamedTuple):
    """What one message of the stream said of one Application."""

    kind: str
    name: str
    application: Manifest

    @property
    def state(self) -> tuple[Any, ...]:
        """(sync, health, phase, operation requested), or (kind,) for the end of it."""
        return state_of(self.kind, self.application)

    @property
    def heals(self) -> bool:
        """Whether it shows a self-heal: an automated operation of some resources only."""
        return is_heal(self.application)


def state_of(kind: str, application: Manifest) -> tuple[Any, ...]:
    if kind == "DELETED":
        return ("DELETED",)
    status = application.get("status") or {}
    phase = dig(status, "operationState", "phase")
    return (dig(status, "sync", "status", default=""), dig(status, "health", "status"), phase, bool(application.get("operation")))


def is_heal(application: Manifest) -> bool:
    state = dig(application, "status", "operationState", "operation", "sync", default={})
    return bool(dig(application, "operation", "sync", "autoHealAttemptsCount") or state.get("autoHealAttemptsCount"))


def as_if_healed(state: tuple[Any, ...]) -> tuple[Any, ...]:
    """A state without its self-heal: whether one follows a sync depends on hundredths of a second, on a real server too."""
    return (state[0], state[1], "Succeeded", False) if len(state) == 4 else state


def without_repeats(states: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [state for index, state in enumerate(states) if index == 0 or states[index - 1] != state]


class Rig:
    """One sandbox with the workspace "acme": two environments, two apps and an add-on, five deployments."""

    def __init__(self, folder: Path, *, timer: Callable[[], float] | None = None, **options: Any) -> None:
        self.sandbox = Sandbox(Options(folder=folder, **options), timer=timer)
        make_bare(folder / REPOSITORY)
        for name, text in EXPORTER_CHART.items():
            file = folder / CHARTS / "charts.example.org" / "exporter" / "0.1.0" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.branch = Branch(folder / REPOSITORY)
        self.seen: list[Look] = []
        self.sandbox.applications.listen(self._hear)

    async def boot(self) -> None:
        """Make the workspace, hand its root to Argo CD and wait until everything is Synced and Healthy."""
        tree = Tree.of({})
        for intent in self._workspace():
            tree = intent.apply(tree)
        values = {f"apps/{app}/values.yaml": b"replicas: 2\n" for app in REPOSITORY_OF}
        hook = {f"{self.folder(WEB_DEV)}/values.yaml": b'migrate: {image: "registry.example.org/acme/web-migrate:1"}\n'}
        self.branch.put(tree.with_files(values | hook), "a workspace\n")
        self.sandbox.start()
        for manifest in documents.objects(self.branch.read("bootstrap/root.yaml")):
            self.sandbox.fleet.home.apply(manifest)
        await self.settle()

    def _workspace(self) -> Iterator[Intent]:
        yield Init(slug="acme", id="01JD8Z6W4T0Q8C2V6N3M5X7Y9A", repo_url=self.sandbox.repo_url)
        for name in ("dev", "prod"):
            yield CreateEnvironment(name=name, new=True)
        for app, repository in REPOSITORY_OF.items():
            chart = Chart(path="charts/service", version="1.0.0")
            yield CreateApp(app=App(name=app, chart=chart, images={"main": AppImage(repository=repository)}))
        for name in (WEB_DEV, SHOP_DEV, WEB_PROD, SHOP_PROD):
            yield deploy(name, "1.0.0", new=True)
        yield CreateApp(app=App(name="exporter", kind="addon", chart=Chart(repo=CHART_REPO, name="exporter")))
        there = Target(id=DeploymentId(EXPORTER), environment="prod", cluster="in-cluster", new=True)
        yield Deploy(app="exporter", targets=(there,), chart_version="0.1.0")

    def deploy(self, name: str, tag: str, *, repository: str = "", new: bool = False) -> str:
        """Push a release of an image's tag."""
        return self.branch.run(deploy(name, tag, repository=repository, new=new))

    def edit(self, path: str, pattern: str, replacement: str) -> str:
        """Push a file with one change; the pattern has to be in it."""
        text, count = re.subn(pattern, replacement, self.branch.read(path))
        assert count
        return self.branch.write({path: text}, "an edit")

    @staticmethod
    def folder(name: str) -> str:
        app, environment, _ = name.rsplit("-", 2)
        return f"deployments/{environment}/{app}/{name}"

    def app(self, name: str) -> Manifest:
        shown = self.sandbox.applications.shown(name)
        assert shown is not None, f"there is no {name}"
        return shown.document()

    async def refresh(self, name: str, kind: str = "normal") -> Manifest:
        """As GET …?refresh does: back after the comparison."""
        self.sandbox.applications.annotate(name, {REFRESH: kind})
        await self.until(lambda: not annotation(self.sandbox.applications.get(name) or {}, REFRESH))
        return self.app(name)

    def request_sync(self, name: str, **more: Any) -> None:
        """A manual sync, as the API would request it."""
        application = self.app(name)
        source = application["spec"]["source"]
        revision = self.sandbox.repository.resolve(source["repoURL"], "main", force=True)
        sync = {
            "revision": revision,
            "source": source,
            "syncOptions": dig(application, "spec", "syncPolicy", "syncOptions", default=[]),
        } | more
        assert self.sandbox.applications.set_operation(name, {"sync": sync, "initiatedBy": {"username": "admin"}, "retry": {}}) is not None

    async def until(self, holds: Callable[[], object], *, seconds: float = 900.0) -> None:
        """Wait until something holds, for so many seconds of the loop's clock."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not holds():
            assert loop.time() < end, "waited in vain"
            await asyncio.sleep(0.01)

    async def settle(self) -> None:
        """Wait until nothing is compared, synced, deleted or on its way to healthy."""
        calm, loop = 0, asyncio.get_running_loop()
        end = loop.time() + 900.0
        while calm < 10:
            assert loop.time() < end, "it does not settle"
            await asyncio.sleep(0.02)
            names = self.sandbox.applications.names()
            moving = any(dig(self.app(name), "status", "health", "status") == "Progressing" for name in names)
            calm = calm + 1 if self.sandbox.controller.idle and not moving else 0

    def states(self, name: str, since: int = 0, *, heals: bool = True) -> list[tuple[Any, ...]]:
        """What the stream said of an Application since a number of messages, without repeats."""
        looks = [look for look in self.seen[since:] if look.name == name]
        return without_repeats([look.state if heals or not look.heals else as_if_healed(look.state) for look in looks])

    def mark(self) -> int:
        """A place in what was seen, with the present state of each Application as its first message."""
        place = len(self.seen)
        self.seen += [Look("MODIFIED", name, self.app(name)) for name in self.sandbox.applications.names()]
        return place

    async def close(self) -> None:
        await self.sandbox.close()

    def _hear(self, kind: str, shown: Shown) -> None:
        self.seen.append(Look(kind, shown.name, shown.document()))


def deploy(name: str, tag: str, *, repository: str = "", new: bool = False) -> Deploy:
    app, environment, _ = name.rsplit("-", 2)
    target = Target(id=DeploymentId(name), environment=environment, cluster="in-cluster", new=new)
    return Deploy(app=app, targets=(target,), images={"main": Image(repository=repository or REPOSITORY_OF[app], tag=tag)})


def messages(rig: Rig, name: str, since: int) -> Iterator[str]:
    """The operation's messages, in order and without repeats."""
    last = None
    for look in rig.seen[since:]:
        text = dig(look.application, "status", "operationState", "message")
        if look.name == name and text and text != last:
            last = text
            yield str(text)
