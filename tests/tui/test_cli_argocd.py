"""Writing with an Argo CD: one that is away, one that forbids, and the sandbox; what is said, and the exit code."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.tui.line import IMAGE, Line
from tui.cli import nouns


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of an Argo CD that does not answer: a port that is ours and on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "argocd-token"
    path.write_text("canary-argo-1")
    path.chmod(0o600)
    return str(path)


class Forbidding(BaseHTTPRequestHandler):
    """An Argo CD that lets nobody create anything."""

    def do_GET(self) -> None:
        self._say(200, {"Version": "v3.6.0", "items": [], "metadata": {"resourceVersion": "1"}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._say(403, {"error": "permission denied", "code": 7, "message": "permission denied: projects, create, acme"})

    def _say(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def forbidding() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forbidding)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_deploy_commits_while_argo_cd_is_away(line: Line, nobody: str, token: str) -> None:
    before = line.head()
    where = ("--repo", str(line.remote), "--argocd", nobody, "--auth-token-file", token)
    ran = line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes", *where)
    assert before != line.head()
    assert "nobody has seen" in ran.err
    assert line.head()[:10] in ran.out


def test_waiting_for_an_argo_cd_that_is_away_ends_with_5(line: Line, nobody: str, token: str) -> None:
    before = line.head()
    where = ("--repo", str(line.remote), "--argocd", nobody, "--auth-token-file", token)
    ran = line(
        "deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes", "--wait", "--timeout", "3s", *where, "-o", "json", code=5
    )
    assert before != line.head()
    records = [json.loads(row) for row in ran.out.splitlines()]
    assert all({"at", "type"} <= set(one) for one in records)
    assert "written" == records[0]["type"]


def test_a_list_says_that_argo_cd_is_away(line: Line, nobody: str, token: str) -> None:
    found = line.json("get", "deployments", "--repo", str(line.remote), "--argocd", nobody, "--auth-token-file", token)
    assert [line.deployment()] == [one["id"] for one in found["items"]]
    (feed,) = found["feeds"]
    assert {"name", "state", "since", "error"} == set(feed)
    assert feed["state"] != "live"
    assert feed["error"]


def test_what_needs_argo_cd_is_5_without_it(line: Line, nobody: str, token: str) -> None:
    for command in (
        ("get", "applications"),
        ("get", "projects"),
        ("get", "clusters"),
        ("tree", "x"),
        ("sync", "x"),
        ("logs", "x"),
        ("diff", "x"),
    ):
        ran = line(*command, "--argocd", nobody, "--auth-token-file", token, code=5)
        assert ("", True) == (ran.out, "hint: " in ran.err)


def test_bootstrap_without_permission_hands_the_manifest_over(line: Line, forbidding: str, token: str) -> None:
    where = ("--repo", str(line.remote), "--argocd", forbidding, "--auth-token-file", token)
    ran = line("bootstrap", *where, code=3)
    assert line.read("bootstrap/root.yaml") == ran.out
    assert ["AppProject", "Application"] == [one["kind"] for one in yaml.safe_load_all(ran.out)]
    assert "kubectl apply -n argocd -f -" in ran.err


def test_init_without_permission_has_written_and_hands_the_manifest_over(empty: Line, forbidding: str, token: str) -> None:
    where = ("--argocd", forbidding, "--auth-token-file", token)
    ran = empty("init", str(empty.remote), "--slug", "acme", *where, code=3)
    assert empty.read("bootstrap/root.yaml") in ran.out
    assert "kubectl apply -n argocd -f -" in ran.err
    (one,) = empty.items("get", "workspaces")
    assert (forbidding, True) == (one["argocd"], one["last"])


def test_init_while_argo_cd_is_away_has_written_and_remembers(empty: Line, nobody: str, token: str) -> None:
    ran = empty("init", str(empty.remote), "--slug", "acme", "--argocd", nobody, "--auth-token-file", token, code=5)
    assert "bootstrap/root.yaml" in empty.files()
    assert "tiphys bootstrap" in ran.err
    assert ["acme"] == [one["name"] for one in empty.items("get", "workspaces")]


def test_readonly_refuses_what_argo_cd_would_do(line: Line, forbidding: str, token: str) -> None:
    where = ("--repo", str(line.remote), "--argocd", forbidding, "--auth-token-file", token, "--readonly")
    for command in (("bootstrap",), ("init", str(line.remote), "--slug", "acme")):
        assert "read-only" in line(*command, *where, code=3).err


def test_the_token_is_nowhere(line: Line, nobody: str, token: str, own_home: Path) -> None:
    line("open", str(line.remote), "--argocd", nobody, "--auth-token-file", token, code=5)
    ran = line(
        "get", "applications", "--argocd", nobody, "--auth-token-file", token, "--debug", "--header", "X-Key: canary-header-2", code=5
    )
    assert "canary" not in ran.out + ran.err
    for path in own_home.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path


def test_application_has_every_key_in_json() -> None:
    import msgspec

    from backends.argocd.types import Application

    one = msgspec.convert({"metadata": {"name": "web", "namespace": "argocd"}}, Application, strict=False)
    assert nouns.KEYS["application"] == tuple(nouns.application(one, managed=False))
