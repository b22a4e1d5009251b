"""`tiphys demo`: the main job in a sandbox of its own, from an empty repository to a rollback, told as a timeline.

Nothing is canned: Git is real, charts are rendered, and every stage comes from the follower that `deploy --wait` uses. It ends with 0 only
if each deployment's stages came in an order that the rollout's contract allows.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from backends.domain.app import App, AppImage, Chart
from backends.domain.environment import EnvironmentKind
from backends.domain.ids import DeploymentId, mint_change_id
from backends.domain.sequence import fault
from backends.domain.stage import Stage
from backends.errors import ProtocolError, Refused, Unavailable
from backends.gitops import resolve
from backends.gitops.intents import CreateApp, CreateCluster, CreateEnvironment, Init, Rollback
from backends.gitops.workspace_layout import LAYOUT
from backends.render.renderer import Renderer
from tui.cli.output import Output
from tui.cli.waiting import targets_of

if TYPE_CHECKING:
    from backends.gitops.intent import Intent
    from backends.live.following import Followed
    from backends.workspace import Workspace

_REGISTRY = "registry.example.org/acme"
_READY_SECONDS = 30.0


class Ready(msgspec.Struct, frozen=True):
    """What a sandbox says when it serves."""

    argocd_url: str
    token_file: str
    repo_url: str


async def demo(arguments: argparse.Namespace, output: Output) -> int:
    """Play the main job; `--speed` is how many times faster than life the sandbox's clusters are."""
    renderer = Renderer()
    charts = renderer.renders_charts
    renderer.close()
    if not charts:
        raise Refused(
            "the sandbox renders real charts, and there is no Helm here", hint="pip install 'tiphys[helm]', or a helm program on the PATH"
        )
    speed = arguments.speed if arguments.speed != 1.0 else 8.0
    output.note(f"SANDBOX: an Argo CD of its own on loopback, {speed:g} times faster than life; nothing leaves this machine")
    with tempfile.TemporaryDirectory(prefix="tiphys-demo-") as folder, _sandbox(speed) as ready:
        async with _workspace(ready, Path(folder)) as workspace:
            faults = await _Play(workspace, output).play(ready)
    for one in faults:
        output.note(f"not as the contract allows: {one}")
    output.line("done: every sequence of stages was as it may be" if not faults else f"failed: {len(faults)} sequences were not")
    return 1 if faults else 0


class _Play:
    """The acts, each an intent that is written and followed."""

    def __init__(self, workspace: Workspace, output: Output) -> None:
        self._workspace, self._output = workspace, output
        self._began = time.monotonic()
        self._faults: list[str] = []

    async def play(self, ready: Ready) -> list[str]:
        from backends.bootstrap import bootstrap

        space = self._workspace
        self._act("an empty repository becomes a workspace")
        await space.fetch()
        await self._write(Init(slug="demo", id=mint_change_id(), repo_url=ready.repo_url, argocd_url=ready.argocd_url))
        await bootstrap(space.server, space.tree())
        self._act("a second cluster, two environments, two apps")
        await space.server.create_cluster({"name": "eu-1", "server": "https://eu-1.example.org:6443", "config": {}})
        await self._write(CreateCluster(name="eu-1", server="https://eu-1.example.org:6443"))
        await self._follow(CreateEnvironment(name="dev", new=True))
        await self._follow(CreateEnvironment(name="prod", kind=EnvironmentKind.PRODUCTION, cluster="eu-1", promote_from=("dev",), new=True))
        for name in ("web", "shop-api"):
            chart = Chart(path="charts/service", version="1.0.0")
            await self._write(CreateApp(app=App(name=name, chart=chart, images={"main": AppImage(repository=f"{_REGISTRY}/{name}")})))
        for name in ("web", "shop-api"):
            self._act(f"{name} 1.0 to dev and prod, in one commit")
            await self._follow(self._deploy(name, "1.0", "dev", "prod"), Stage.LIVE)
        self._act("web 1.1 to dev: its pods take a while")
        await self._follow(self._deploy("web", "1.1-slow", "dev"), Stage.LIVE)
        self._act("shop-api 1.1 to dev: its pods never get ready")
        bad = self._deploy("shop-api", "1.1-never", "dev")
        await self._follow(bad, Stage.DEGRADED)
        deployment = targets_of(bad, space.tree())[0]
        self._act(f"rolled back: {deployment}")
        await self._follow(await self._rollback(deployment), Stage.LIVE)
        return self._faults

    def _deploy(self, app: str, tag: str, *to: str) -> Intent:
        return resolve.deploy(self._workspace.tree(), app, to, images=(f"{_REGISTRY}/{app}:{tag}",))

    async def _rollback(self, deployment: DeploymentId) -> Intent:
        space = self._workspace
        place = LAYOUT.find(space.tree(), deployment)
        release = (await space.earlier(place, await space.history(deployment=deployment)))[0]
        then = space.tree(release.commit)
        return Rollback(id=deployment, commit=release.commit, files=dict(LAYOUT.release_files(then, LAYOUT.find(then, deployment))))

    async def _write(self, intent: Intent) -> None:
        plan = await self._workspace.plan(intent)
        written = await self._workspace.run(plan, shown=False, change=mint_change_id(), reason="demo")
        self._say(f"{(written.commit or '')[:10]} {plan.message.subject}")

    async def _follow(self, intent: Intent, end: Stage | None = None) -> None:
        """Write and follow to the verdict; with `end`, every target's stages must be allowed and end there."""
        from backends.live.following import FollowOptions
        from tui.cli.waiting import followed

        plan = await self._workspace.plan(intent)
        stages: dict[DeploymentId, list[Stage]] = {one: [] for one in plan.deployments}
        async with self._workspace.follower(FollowOptions(timeout=120.0)) as follower:
            await follower.ready()
            written = await self._workspace.run(plan, shown=False, change=mint_change_id(), reason="demo")
            self._say(f"{(written.commit or '')[:10]} {plan.message.subject}")
            if written.commit is None:
                raise ProtocolError("the sandbox's repository held this change already")
            async for step in followed(follower, written.commit, intent, plan):
                self._tell(step)
                if step.deployment in stages and not step.note:
                    shown = stages[step.deployment]
                    if not shown or shown[-1] is not step.rollout.stage:
                        shown.append(step.rollout.stage)
            if end is None and follower.exit_code:
                self._faults.append(f"{plan.message.subject}: ended with {follower.exit_code}")
        if end is not None:
            self._faults += [f"{one}: {said}" for one, seen in stages.items() if (said := fault(seen, end=end))]

    def _tell(self, step: Followed) -> None:
        name = step.deployment or "environment"
        if step.verdict is not None:
            self._say(f"{name}  {step.verdict.sentence}")
            if step.verdict.exit_code and step.why is not None:
                self._say(f"{name}  why: {step.why.sentence}")
        elif not step.note:
            rollout = step.rollout
            details = " · ".join(filter(None, [rollout.progress, rollout.reason]))
            self._say(f"{name}  {rollout.stage}{f'  {details}' if details else ''}")

    def _act(self, title: str) -> None:
        self._output.line(f"── {title}")

    def _say(self, text: str) -> None:
        self._output.line(f"{time.monotonic() - self._began:6.1f} s  {text}")


@contextlib.contextmanager
def _sandbox(speed: float) -> Iterator[Ready]:
    """A sandbox process that ends with us, whatever ends us."""
    argv = [sys.executable, "-m", "backends.sandbox", "--empty", "--speed", f"{speed:g}", "--until-stdin-closes"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        yield _ready(process)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes]) -> Ready:
    import select

    assert process.stdout is not None  # noqa: S101 - asked for above
    if not select.select([process.stdout], [], [], _READY_SECONDS)[0]:
        raise Unavailable(f"the sandbox was not ready after {_READY_SECONDS:.0f} s", operation="start", target="sandbox")
    line = process.stdout.readline()
    if not line:
        raise Unavailable("the sandbox ended before it was ready", operation="start", target="sandbox")
    return msgspec.convert(json.loads(line), Ready)


@contextlib.asynccontextmanager
async def _workspace(ready: Ready, folder: Path) -> AsyncIterator[Workspace]:
    from backends.argocd.http import connect
    from backends.argocd.options import Options
    from backends.argocd.options import resolve as resolved
    from backends.gitops.identity import Identity
    from backends.gitops.repo import Repo
    from backends.workspace import Workspace

    workspace = Workspace(
        name="demo",
        repo=Repo.open(ready.repo_url, cache_dir=folder / "cache", identity=Identity(name="Sandbox", email="sandbox@tiphys.invalid")),
        argocd=connect(resolved(Options(url=ready.argocd_url, auth_token_file=ready.token_file), environ={})),
        cache_dir=folder / "cache",
        state_dir=folder / "state",
    )
    try:
        yield workspace
    finally:
        await workspace.close()
