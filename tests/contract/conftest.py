"""The servers that the contract suite is held against: one suite, each server a parameter of `argocd_server`.

The sandbox takes part in a process of its own. A real Argo CD takes part when `TIPHYS_E2E_ARGOCD_URL`, `TIPHYS_E2E_ARGOCD_TOKEN_FILE` and `TIPHYS_E2E_REPO` name one.
"""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.argocd.auth import TokenFile
from backends.argocd.endpoint import Endpoint
from backends.argocd.http import HttpArgoCD, connect
from backends.argocd.types import Application
from backends.domain.ids import AppKey

SOURCES = Path(__file__).parent / "manifests"
"""What the Application of the suite deploys: a Deployment, a Service, a ConfigMap and a PreSync hook that takes some seconds."""


@dataclass(frozen=True)
class Place:
    """Where a server and the Application of the suite are."""

    url: str
    token_file: Path
    application: AppKey
    project: str
    repo: str
    revision: str
    """A commit of the Application's repository."""


@dataclass(frozen=True)
class ArgoServer:
    """One server, and a client of it for one test."""

    argocd: HttpArgoCD
    place: Place

    @property
    def application(self) -> AppKey:
        return self.place.application

    @property
    def project(self) -> str:
        return self.place.project


@pytest.fixture(params=["sandbox", pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("real")])])
def argocd_place(request: pytest.FixtureRequest) -> Place:
    """Each server in turn: a fixture `{param}_place` makes it, once a session."""
    place: Place = request.getfixturevalue(f"{request.param}_place")
    return place


@pytest.fixture
async def argocd_server(argocd_place: Place) -> AsyncIterator[ArgoServer]:
    argocd = connect(Endpoint(url=argocd_place.url, token=TokenFile(argocd_place.token_file)))
    try:
        yield ArgoServer(argocd, argocd_place)
    finally:
        await argocd.close()


@pytest.fixture(scope="session")
def sandbox_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An Application in an empty sandbox that runs twenty times as fast as life: its hook is there long enough to be stopped."""
    command = [sys.executable, "-m", "backends.sandbox", "--empty", "--speed", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            name = "contract"
            revision = _push(ready["repo_url"], name, tmp_path_factory.mktemp("contract"))
            place = Place(ready["argocd_url"], Path(ready["token_file"]), AppKey("argocd", name), name, ready["repo_url"], revision)
            asyncio.run(_set_up(place))
            yield place
            asyncio.run(_take_down(place))
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def real_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An Application of our own on the real server, from a branch of our own; both are gone afterwards."""
    try:
        url, repo = os.environ["TIPHYS_E2E_ARGOCD_URL"], os.environ["TIPHYS_E2E_REPO"]
        token_file = Path(os.environ["TIPHYS_E2E_ARGOCD_TOKEN_FILE"])
    except KeyError as missing:
        pytest.skip(f"needs a real Argo CD ({missing.args[0]} is not set)")
    name = f"contract-{uuid.uuid4().hex[:6]}"
    revision = _push(repo, name, tmp_path_factory.mktemp("contract"))
    place = Place(url, token_file, AppKey("argocd", name), name, repo, revision)
    try:
        asyncio.run(_set_up(place))
        yield place
    finally:
        asyncio.run(_take_down(place))
        _git("push", "--quiet", repo, f":refs/heads/{name}", folder=SOURCES)


def _push(repo: str, branch: str, folder: Path) -> str:
    for file in SOURCES.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    _git("init", "--quiet", "--initial-branch", branch, folder=folder)
    _git("add", ".", folder=folder)
    _git(
        "-c",
        "user.name=contract",
        "-c",
        "user.email=contract@example.test",
        "commit",
        "--quiet",
        "-m",
        "what the suite deploys",
        folder=folder,
    )
    _git("push", "--quiet", repo, branch, folder=folder)
    return _git("rev-parse", "HEAD", folder=folder)


def _git(*arguments: str, folder: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


async def _set_up(place: Place) -> None:
    argocd = connect(Endpoint(url=place.url, token=TokenFile(place.token_file)))
    try:
        await argocd.create_project(
            {
                "metadata": {"name": place.project},
                "spec": {
                    "sourceRepos": [place.repo],
                    "destinations": [{"name": "in-cluster", "namespace": place.project}],
                    "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
                },
            }
        )
        await argocd.create_application(application_of(place), validate=False)  # the repository's HEAD may name no branch yet
        await argocd.sync(place.application, project=place.project)
        await settled(argocd, place)
    finally:
        await argocd.close()


def application_of(place: Place, name: str = "") -> dict[str, object]:
    """The manifest of the suite's Application, or of another one like it."""
    return {
        "metadata": {
            "name": name or place.application.name,
            "labels": {"example.test/suite": place.project},
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": place.project,
            "source": {"repoURL": place.repo, "path": ".", "targetRevision": place.project},
            "destination": {"name": "in-cluster", "namespace": place.project},
            "syncPolicy": {"syncOptions": ["CreateNamespace=true"]},
        },
    }


async def settled(argocd: HttpArgoCD, place: Place) -> Application:
    """The Application once nothing runs and it is Synced and Healthy."""
    async for event in argocd.watch_applications(name=place.application.name, read=120):
        if event is None:
            continue
        app, state = event.application, event.application.status.operation_state
        done = state is not None and state.phase == "Succeeded" and app.operation is None
        if done and app.status.sync.status == "Synced" and app.status.health.status == "Healthy":
            return app
    raise AssertionError("the stream ended before the Application settled")


async def _take_down(place: Place) -> None:
    argocd = connect(Endpoint(url=place.url, token=TokenFile(place.token_file)))
    try:
        for app in await argocd.list_applications(projects=[place.project]):
            await argocd.delete_application(app.key, project=place.project)
        async with asyncio.timeout(120):
            while await argocd.list_applications(projects=[place.project]):
                await asyncio.sleep(0.5)
        await argocd.delete_project(place.project)
    finally:
        await argocd.close()
