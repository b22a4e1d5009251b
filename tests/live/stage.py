"""A small workspace on a sandbox or a real server, and its deployments followed: what tests of `live.follow` play on."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from backends.argocd.auth import TokenFile
from backends.argocd.endpoint import Endpoint
from backends.argocd.http import HttpArgoCD, connect
from backends.bootstrap import bootstrap
from backends.domain.app import App, AppImage, Chart
from backends.domain.ids import AppKey, DeploymentId, Sha, mint_change_id
from backends.domain.options import ApplicationOptions
from backends.domain.record import Image
from backends.domain.rollout import Stage
from backends.domain.workspace import Workspace
from backends.engine import in_thread
from backends.errors import NotFound
from backends.gitops import files
from backends.gitops.intent import Description, Intent
from backends.gitops.intents import CreateApp, CreateEnvironment, Delete, Deploy, EditValues, Init, Target
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.repo import Repo
from backends.gitops.tree import Tree
from backends.gitops.values import parse_edit
from backends.gitops.writer import Written, write
from backends.live.follow import Follower
from backends.live.following import Followed, FollowKind, FollowOptions

OPTIONS = FollowOptions()
MIGRATE = "registry.example.test/acme/migrate"
HOOKS = {"hook": f"{MIGRATE}:1", "retry": f"{MIGRATE}:fail", "busy": f"{MIGRATE}:slow", "skip": f"{MIGRATE}:slow"}
RUNNING = ("good", "stays", "goes", "paused", "newer", "spec", "outside", *HOOKS)
"""Apps that run 1.0 from the beginning; the next release of some runs a hook."""
APPS = (*RUNNING, "new", "crash", "pull", "never", "stop", "seen", "away")
"""An app has one deployment in an environment: each test takes apps of its own."""
IMAGE = "registry.example.test/acme/web"


@contextmanager
def sandbox(folder: Path, *, speed: float = 20.0, arguments: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """A sandbox process of its own, with an empty repository; its line of JSON."""
    process = start_sandbox(folder, speed=speed, arguments=arguments)
    try:
        yield ready_line(process)
    finally:
        process.terminate()
        process.wait(10)


def start_sandbox(folder: Path, *, speed: float = 20.0, arguments: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "backends.sandbox", "--empty", "--faults", "--state", str(folder), "--speed", str(speed), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env=dict(os.environ))


def ready_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


class Edited(msgspec.Struct, frozen=True):
    """Files as a person writes them."""

    changed: dict[str, bytes]

    def apply(self, tree: Tree) -> Tree:
        return tree.with_files(self.changed)

    def describe(self, before: Tree, after: Tree) -> Description:
        return Description("a person's edit")


class Several(msgspec.Struct, frozen=True):
    """Many changes in one commit."""

    changes: tuple[Any, ...]

    def apply(self, tree: Tree) -> Tree:
        for change in self.changes:
            tree = change.apply(tree)
        return tree

    def describe(self, before: Tree, after: Tree) -> Description:
        return Description("several changes")


def app(name: str) -> CreateApp:
    chart = Chart(path="charts/service", version="1.0.0")
    retry = ApplicationOptions(retry={"limit": 2})
    return CreateApp(app=App(name=name, chart=chart, images={"main": AppImage(repository=IMAGE)}, argocd=retry))


def hook(name: str, image: str) -> EditValues:
    """The next release of an app runs a PreSync hook."""
    return EditValues(layer=Layer(LayerKind.DEPLOYMENT, id_of(name)), edits=(parse_edit(f"migrate.image={image}"),))


@dataclass
class Play:
    """One workspace repository and one Argo CD."""

    argocd: HttpArgoCD
    repo: Repo
    slug: str
    real: bool = False
    workspace: Workspace = field(init=False)

    async def write(self, intent: Intent) -> Written:
        return await in_thread(write, self.repo, intent, change=mint_change_id())

    async def set_up(self, *environments: CreateEnvironment, apps: tuple[str, ...] = APPS) -> None:
        """init, bootstrap, environments, apps: all followed to their end."""
        await self.write(Init(slug=self.slug, id=str(mint_change_id()), repo_url=self.repo.url, branch=self.repo.branch))
        self.workspace = files.workspace(self.repo.tree())
        await bootstrap(self.argocd, self.repo.tree())
        await self.write(Several(tuple(app(name) for name in apps)))
        for environment in environments:
            written = await self.write(environment)
            assert written.commit is not None
            steps = await self.follow(written.commit, kind=FollowKind.ENVIRONMENT, environment=environment.name)
            assert steps[-1].verdict is not None
            assert steps[-1].verdict.good, told(steps)

    async def resume_or_set_up(self) -> None:
        """The workspace as an earlier test made it; with its environment `dev` where none did."""
        await in_thread(self.repo.fetch)
        if self.repo.head() is None:
            await self.set_up(CreateEnvironment(name="dev"))
            steps = await self.run(Several(tuple(self.deploy(name, "1.0") for name in RUNNING)), *(id_of(name) for name in RUNNING))
            assert [0] * len(RUNNING) == [step.verdict.exit_code for step in steps if step.verdict], told(steps)
            await self.write(Several(tuple(hook(name, image) for name, image in HOOKS.items())))
        self.workspace = files.workspace(self.repo.tree())

    def deploy(self, app: str, tag: str, *, environment: str = "dev", cluster: str = "in-cluster") -> Deploy:
        target = Target(id=id_of(app, environment), environment=environment, cluster=cluster, new=True)
        return Deploy(app=app, targets=(target,), images={"main": Image(repository=IMAGE, tag=tag)})

    def follower(self, options: FollowOptions = OPTIONS) -> Follower:
        return Follower(argocd=self.argocd, repo=self.repo, workspace=self.workspace, options=options)

    async def run(
        self, intent: Intent, *ids: str, kind: FollowKind = FollowKind.RELEASE, options: FollowOptions = OPTIONS, **more: Any
    ) -> list[Followed]:
        """Push an intent with the watches open before it, and follow it to its end."""
        async with self.follower(options) as follower:
            await follower.ready()
            written = await self.write(intent)
            assert written.commit is not None, "nothing to do"
            return [step async for step in follower.follow(written.commit, kind=kind, targets=[DeploymentId(id) for id in ids], **more)]

    async def push(self, changed: Mapping[str, bytes], *ids: str) -> list[Followed]:
        """A person's own commit, followed where somebody is named."""
        return await self.run(Edited(changed=dict(changed)), *ids)

    async def follow(
        self, commit: Sha, *ids: str, kind: FollowKind = FollowKind.RELEASE, options: FollowOptions = OPTIONS, **more: Any
    ) -> list[Followed]:
        async with self.follower(options) as follower:
            await follower.ready()
            return [step async for step in follower.follow(commit, kind=kind, targets=[DeploymentId(id) for id in ids], **more)]

    async def clean_up(self) -> None:
        """Delete what belongs to the workspace from Argo CD: the root first, which would bring the others back."""
        if await in_thread(self.repo.fetch) is None:
            return
        workspace = files.workspace(self.repo.tree())
        selector = f"tiphys.dev/workspace={workspace.id}"
        left = await self.argocd.list_applications(selector=selector)
        for app in sorted(left, key=lambda one: ("root", "manager", "").index(one.label("tiphys.dev/role"))):
            with suppress(NotFound):  # went with the root, or with its Manager
                await self.argocd.delete_application(app.key, project=app.project)
        async with asyncio.timeout(180):
            while await self.argocd.list_applications(selector=selector):
                await asyncio.sleep(0.5)
        for project in await self.argocd.projects():
            if project.metadata.name.split("--")[0] in (workspace.slug, workspace.root_name):
                await self.argocd.delete_project(project.metadata.name)

    def key(self, id: str) -> AppKey:
        return AppKey(self.workspace.argocd.namespace, id)


def id_of(app: str, environment: str = "dev") -> DeploymentId:
    return DeploymentId(f"{app}-{environment}-aaaaaa")


def stages(steps: list[Followed]) -> list[Stage]:
    """The stages told, each once in a row."""
    found: list[Stage] = []
    for step in steps:
        if step.deployment is not None and not step.note and (not found or found[-1] is not step.rollout.stage):
            found.append(step.rollout.stage)
    return found


def notes(steps: list[Followed]) -> list[str]:
    return [step.note for step in steps if step.note]


def told(steps: list[Followed]) -> str:
    """Everything, for a failing test."""
    lines = []
    for step in steps:
        said = step.note or f"{step.rollout.stage} {sorted(step.rollout.flags)} {step.rollout.progress} {step.rollout.reason}"
        lines.append(f"{step.at:%H:%M:%S.%f} {step.deployment} {said}{f'  => {step.verdict}' if step.verdict else ''}")
    return "\n".join(lines)


def play(argocd_url: str, token_file: Path, repo_url: str, cache: Path, *, slug: str, branch: str = "main", real: bool = False) -> Play:
    argocd = connect(Endpoint(url=argocd_url, token=TokenFile(token_file)))
    return Play(argocd, Repo.open(repo_url, branch=branch, cache_dir=cache), slug, real)


__all__ = ["IMAGE", "Delete", "Play", "id_of", "notes", "play", "ready_line", "sandbox", "stages", "start_sandbox", "told"]
