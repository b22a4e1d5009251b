"""The sandbox as a process: its one line, its ends, and what it leaves behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

COMMAND = [sys.executable, "-m", "backends.sandbox"]


@contextmanager
def running(*options: str, **more: Any) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A sandbox that says it is ready, and what it said."""
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True, **more)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def listed(ready: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    token = Path(ready["token_file"]).read_text().strip()
    answer = httpx.get(f"{ready['argocd_url']}/api/v1/applications", params=query, headers={"Authorization": f"Bearer {token}"})
    assert 200 == answer.status_code
    items: list[dict[str, Any]] = answer.json()["items"] or []
    return items


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_it_says_where_it_is_and_leaves_nothing_when_it_is_told_to_end() -> None:
    with running("--empty") as (process, ready):
        assert ["argocd_url", "pid", "repo_url", "token_file", "workspace"] == sorted(ready)
        assert (process.pid, "") == (ready["pid"], ready["workspace"])
        assert [] == listed(ready)
        folder = Path(ready["token_file"]).parent
        assert 0o700 == folder.stat().st_mode & 0o777
        assert 0o600 == Path(ready["token_file"]).stat().st_mode & 0o777
        heads = subprocess.run(["git", "ls-remote", ready["repo_url"]], check=True, capture_output=True, text=True)
        assert "" == heads.stdout

        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(timeout=10)
        assert not folder.exists()


def test_it_ends_with_its_standard_input() -> None:
    with running("--empty", "--until-stdin-closes", stdin=subprocess.PIPE) as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert 0 == process.wait(timeout=10)


def test_an_input_that_has_nothing_to_give_ends_it_at_once() -> None:
    done = subprocess.run(
        [*COMMAND, "--empty", "--until-stdin-closes"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "" == json.loads(done.stdout)["workspace"]


def test_it_ends_with_its_parent() -> None:
    script = f"import subprocess; print(subprocess.Popen({[*COMMAND, '--empty']!r}, stdout=subprocess.PIPE, text=True).stdout.readline())"
    line = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    ready = json.loads(line)
    until(lambda: not is_alive(ready["pid"]))
    until(lambda: not Path(ready["token_file"]).parent.exists())


def test_it_removes_what_a_killed_one_left() -> None:
    with running("--empty") as (process, ready):
        process.kill()
        process.wait()
        folder = Path(ready["token_file"]).parent
        assert folder.exists()
    with running("--empty"):
        assert not folder.exists()


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run([*COMMAND, "--empty", "--port", str(taken.getsockname()[1])], capture_output=True, text=True)
    assert 1 == done.returncode
    assert done.stderr.startswith("sandbox: ")
    assert "address already in use" in done.stderr


def test_killed_and_started_again_it_goes_on_where_it_was(tmp_path: Path) -> None:
    options = ("--state", str(tmp_path / "kept"), "--speed", "20")
    with running(*options) as (process, ready):
        before = {app["metadata"]["name"]: app for app in listed(ready)}
        token = Path(ready["token_file"]).read_text()
        body = {"name": "web-staging-p2m5vd", "project": "harbor--staging"}
        asked = httpx.post(
            f"{ready['argocd_url']}/api/v1/applications/web-staging-p2m5vd/sync",
            json=body,
            headers={"Authorization": f"Bearer {token.strip()}"},
        )
        assert 200 == asked.status_code, asked.text
        process.kill()
        process.wait()
    with running(*options) as (process, again):
        assert (ready["workspace"], ready["repo_url"]) == (again["workspace"], again["repo_url"])
        assert token == Path(again["token_file"]).read_text()
        until(lambda: synced(again, "web-staging-p2m5vd"))  # what was asked for before the kill
        after = {app["metadata"]["name"]: app for app in listed(again)}
        assert before.keys() == after.keys()
        assert {name: app["metadata"]["creationTimestamp"] for name, app in before.items()} == {
            name: app["metadata"]["creationTimestamp"] for name, app in after.items()
        }
        newest = max(int(app["metadata"]["resourceVersion"]) for app in before.values())
        assert newest < int(after["web-staging-p2m5vd"]["metadata"]["resourceVersion"])
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(timeout=10)
    assert (tmp_path / "kept" / "state.json").exists()


def synced(ready: dict[str, Any], name: str) -> bool:
    (app,) = listed(ready, name=name)
    return bool(app["status"]["sync"]["status"] == "Synced" and app["status"]["health"]["status"] == "Healthy")


def test_it_is_served_below_a_prefix() -> None:
    with running("--empty", "--prefix", "/argo", "--synthetic", "3") as (_, ready):
        assert ready["argocd_url"].endswith("/argo")
        assert 3 == len(listed(ready))
        assert 404 == httpx.get(ready["argocd_url"].removesuffix("/argo") + "/api/version").status_code
