"""What the sandbox answers against what a real server answered: status, headers, error bodies, and the shape of everything else."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backends.sandbox.objects import Key
from backends.sandbox.server import Server
from tests.sandbox.rig import EXPORTER, ROOT, SHOP_DEV, SHOP_PROD, WEB_DEV, Rig
from tests.shared import need_shared, recording

_NAMES = {
    "web-dev-aaaaaa": WEB_DEV,
    "api-dev-bbbbbb": SHOP_DEV,
    "web-prod-cccccc": EXPORTER,
    "api-prod-dddddd": SHOP_PROD,
    "tiphys-root": ROOT,
}
_HEADERS = ("content-type", "content-encoding", "grpc-metadata-content-type", "vary")

# What the recorded server had and this workspace has not: hooks in prod, client-side applies of Applications, another chart's values.
_ABSENT = re.compile(
    r"last-applied-configuration|ignoreMissingValueFiles|targetLabels|\.conditions|initiatedBy\.username|\.hook$|hookType|requiresPruning|"
    r"health\.message|destinations\[\]\.server|clusterResourceWhitelist|resourceOverrides\.|\.modified$|metadata\.annotations\.argocd|"
    r"sources\[\]\.path|\.nodes\[\]\.(images|info)|syncResult|finishedAt|operationState|retryCount|labels\.app$|annotations\.user|"
    r"items\[\]\.status\.resources\[\]\.health"
)


def ours(text: str) -> str:
    """A recorded request or error in the names of the rig."""
    for theirs, name in _NAMES.items():
        text = text.replace(theirs, name)
    text = re.sub(r"project(s?)=(dev|prod)\b", r"project\1=acme--\2", text)
    text = re.sub(r"\b(dev|prod)/(?=[a-z-]+-(dev|prod)-)", r"acme--\1/", text)
    text = re.sub(r'"project": "(dev|prod)"', r'"project": "acme--\1"', text)
    text = text.replace("projects/dev", "projects/acme--dev")
    return text.replace("namespace=dev&", "namespace=web-dev&").replace('"namespace": "dev"', '"namespace": "web-dev"')


def paths(value: Any, at: str = "") -> set[str]:
    """The paths of a JSON value, without its values; list items are one."""
    if isinstance(value, dict):
        return {at} | {path for key, item in value.items() for path in paths(item, f"{at}.{key}")}
    if isinstance(value, list):
        return {at} | {path for item in value for path in paths(item, f"{at}[]")}
    return {at}


def names() -> list[str]:
    return sorted(path.stem for path in need_shared("recordings/rest").glob("*.json"))


class Ground:
    """One rig behind one server, for all recordings."""

    def __init__(self, rig: Rig, client: httpx.AsyncClient) -> None:
        self.rig = rig
        self.client = client
        self.tokens = {name: rig.sandbox.access.issue(name) for name in ("admin", "restricted")}

    async def ask(self, name: str) -> tuple[dict[str, Any], httpx.Response]:
        recorded = recording(name)
        request = recorded["request"]
        headers = dict(request.get("headers") or {})
        if "Authorization" in headers:
            token = self.tokens["restricted" if "-viewer-" in name else "admin"]
            headers["Authorization"] = f"Bearer {_spoilt(name, token)}"
        content = self._content(name, request.get("body"))
        self.client.cookies.clear()
        response = await self.client.request(request["method"], self._path(name, request["path"]), headers=headers, content=content)
        return recorded["response"], response

    def _path(self, name: str, path: str) -> str:
        path, home = ours(path), self.rig.sandbox.fleet.home
        if name.startswith("040"):
            deployment = home.get(Key("apps", "Deployment", "web-dev", WEB_DEV))
            assert deployment is not None
            path = re.sub("resourceUID=[^&]*", f"resourceUID={deployment['metadata']['uid']}", path)
            path = path.replace("resourceNamespace=dev", "resourceNamespace=web-dev")
        if name.startswith("041"):
            pod = next(one for one in home.of_kind("Pod") if re.match(f"{WEB_DEV}-[^-]+-[^-]+$", one["metadata"]["name"]))
            path = re.sub("pods/[^/]+/", f"pods/{pod['metadata']['name']}/", path)
        if name.startswith(("033", "035")):
            path = re.sub("revisions/[0-9a-f]+", f"revisions/{self.rig.branch.head}", path)
        return path

    def _content(self, name: str, body: Any) -> bytes | None:
        if name.startswith("059"):
            return b"{not json"
        if name.startswith("006"):
            return json.dumps({"username": "admin", "password": self.rig.sandbox.access.password}).encode()
        return None if body is None else ours(json.dumps(body)).encode()


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    rig = Rig(tmp_path / "fleet", speed=40.0)
    await rig.boot()
    server = Server(rig.sandbox)
    async with httpx.AsyncClient(base_url=await server.start()) as client:
        yield Ground(rig, client)
    await server.close()
    await rig.close()


async def test_every_recorded_answer_is_given_again(ground: Ground) -> None:
    """In the order of the recordings, since some of them run an operation that the next one meets."""
    need_shared("recordings/rest")
    wrong: dict[str, Any] = {}
    for name in names():
        expected, response = await ground.ask(name)
        wrong |= _differences(name, expected, response)
    assert {} == wrong


def _differences(name: str, expected: dict[str, Any], response: httpx.Response) -> dict[str, Any]:
    if response.status_code != expected["status"]:
        return {name: f"{response.status_code} instead of {expected['status']}: {response.text[:200]}"}
    headers = {header: (expected["headers"].get(header), response.headers.get(header)) for header in _HEADERS}
    unlike = {header: both for header, both in headers.items() if both[0] != both[1]}
    if unlike:
        return {name: unlike}
    body = expected["body"]
    if not isinstance(body, dict):
        return {} if expected["status"] == 200 or body == response.text else {name: (body, response.text)}
    if expected["status"] >= 400:
        wanted, got = _timeless(ours(json.dumps(body))), _timeless(response.text)
        return {} if json.loads(wanted) == json.loads(got) else {name: (wanted, got)}
    missing = {path for path in paths(body) - paths(response.json()) if not _ABSENT.search(path)}
    return {name: sorted(missing)} if missing else {}


def _timeless(text: str) -> str:
    text = re.sub(r"sub: \w+", "sub: viewer", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "<time>", text)


def _spoilt(name: str, token: str) -> str:
    if "garbage" in name:
        return "garbage"
    return f"{token[:-6]}AAAAAA" if "broken-jwt" in name else token
