"""A real repository with one deployment, and an Argo CD in memory that shows of it what a test says: for followers in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import Application, SyncResource
from backends.domain.app import App, AppImage, Chart
from backends.domain.ids import AppKey, DeploymentId, Sha, mint_change_id
from backends.domain.record import Image
from backends.errors import BackendError
from backends.gitops import files
from backends.gitops.intent import Intent
from backends.gitops.intents import CreateApp, CreateEnvironment, Deploy, Init, Target
from backends.gitops.repo import Repo
from backends.gitops.sources import GENERATE_PATHS
from backends.gitops.workspace_layout import LAYOUT
from backends.gitops.writer import write
from backends.live.follow import Follower
from backends.live.following import FollowOptions
from tests.gitops.remotes import bare
from tests.live import virtual
from tests.live.fake import FakeArgoCD
from tests.live.samples import WORKSPACE, later

WEB = DeploymentId("web-dev-aaaaaa")
MANAGER, ROOT = "tiphys-acme--dev", "tiphys-acme"
IMAGE = "registry.example.test/acme/web"


class Answering(FakeArgoCD):
    """The fake, with syncs and refreshes that answer as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[str, BackendError] = {}
        """By call: "get web-dev-aaaaaa", "sync web-dev-aaaaaa", "get web-dev-aaaaaa hard" …"""
        self.after: dict[str, Application] = {}
        """What the truth becomes when a call is answered."""

    async def get_application(self, key: AppKey, *, project: str = "", refresh: str = "") -> Application:
        self._answer(f"get {key.name}{f' {refresh}' if refresh else ''}")
        return await super().get_application(key, project=project, refresh=refresh)

    async def sync(
        self,
        key: AppKey,
        *,
        project: str = "",
        revision: str = "",
        revisions: Sequence[str] = (),
        prune: bool = False,
        dry_run: bool = False,
        resources: Sequence[SyncResource] = (),
    ) -> Application:
        call = f"sync {key.name}{' prune' if prune else ''}{f' to {revision}' if revision else ''}"
        self._answer(call)
        self.calls.append(call)
        return self.truth[key]

    def _answer(self, call: str) -> None:
        if call in self.refusals:
            self.calls.append(call)
            raise self.refusals[call]
        if call in self.after:
            self.change(self.after.pop(call))

    def count(self, call: str) -> int:
        return self.calls.count(call)


class Scene:
    """One workspace with one deployment of `web` in `dev`."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.argocd = Answering()
        self.first = repo.require_head()
        """The commit that is Live when a scene begins."""
        self.workspace = files.workspace(repo.tree())

    def push(self, intent: Intent) -> Sha:
        commit = write(self.repo, intent, change=mint_change_id()).commit
        assert commit is not None
        return commit

    @asynccontextmanager
    async def follower(self, **options: Any) -> AsyncIterator[Follower]:
        """Ready to follow, in virtual time."""
        argocd = cast(ArgoCD, self.argocd)
        async with Follower(
            argocd=argocd, repo=self.repo, workspace=self.workspace, options=FollowOptions(**options), now=virtual.now
        ) as follower:
            await follower.ready()
            yield follower

    def show(self, *applications: Application) -> None:
        for one in applications:
            self.argocd.change(one)

    def keeper(self, name: str, revision: str, **status: Any) -> Application:
        """Root or Manager, in step with a revision unless `status` says otherwise."""
        base = {"sync": {"status": "Synced", "revision": revision}, "health": {"status": "Healthy"}, "reconciledAt": _stamp(0)}
        return msgspec.convert({"metadata": _metadata(name), "spec": {"project": name}, "status": base | status}, Application)

    def web(
        self, revision: str, *, sync: str = "Synced", health: str = "Healthy", applied: str = "", at: float = 0, **status: Any
    ) -> Application:
        """The deployment's Application as compared with a revision, `at` seconds after the beginning.

        Args:
            applied: the revision of its last operation and history entry; the compared one by default.
        """
        tree = self.repo.tree()
        app = LAYOUT.application(tree, LAYOUT.find(tree, WEB))
        done = applied or revision
        base: dict[str, Any] = {
            "sync": {
                "status": sync,
                "revision": revision,
                "comparedTo": {"source": app.spec["source"], "destination": app.spec["destination"]},
            },
            "health": {"status": health, "lastTransitionTime": _stamp(at)},
            "history": [{"id": 1, "revision": done, "deployStartedAt": _stamp(at), "deployedAt": _stamp(at)}],
            "operationState": operation(done, at=at),
            "reconciledAt": _stamp(at),
        }
        metadata = _metadata(WEB) | {"annotations": {GENERATE_PATHS: ";".join(app.generate_paths)}}
        return msgspec.convert({"metadata": metadata, "spec": app.spec, "status": base | status}, Application)

    def in_step(self, revision: str = "") -> None:
        """Everything Live at a revision; that of the beginning by default."""
        known = revision or self.first
        self.show(self.keeper(ROOT, known), self.keeper(MANAGER, known), self.web(known))


def operation(revision: str, phase: str = "Succeeded", *, at: float = 0, **more: Any) -> dict[str, Any]:
    """An `operationState` of automated sync."""
    asked = {"sync": {"revision": revision}, "initiatedBy": {"automated": True}}
    state = {"phase": phase, "operation": asked, "startedAt": _stamp(at), "syncResult": {"revision": revision}}
    return state | ({} if phase == "Running" else {"finishedAt": _stamp(at)}) | more


def deploy(tag: str) -> Deploy:
    target = Target(id=WEB, environment="dev", cluster="in-cluster", new=True)
    return Deploy(app="web", targets=(target,), images={"main": Image(repository=IMAGE, tag=tag)})


def remote(folder: Path) -> Path:
    """A bare repository with the workspace."""
    path = bare(folder / "remote.git")
    chart = Chart(path="charts/service", version="1.0.0")
    with Repo.open(str(path), cache_dir=folder / "cache") as repo:
        for intent in (
            Init(slug="acme", id=WORKSPACE, repo_url="https://git.example.test/acme.git"),
            CreateEnvironment(name="dev"),
            CreateApp(app=App(name="web", chart=chart, images={"main": AppImage(repository=IMAGE)})),
            deploy("1.0"),
        ):
            write(repo, intent, change=mint_change_id())
    return path


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "argocd", "uid": f"uid-of-{name}", "labels": {"tiphys.dev/workspace": WORKSPACE}}


def _stamp(seconds: float) -> str:
    return later(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
