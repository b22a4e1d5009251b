"""Canary secrets of every kind through a whole working day: they reach the origin they are for, and are found nowhere else.

Searched: Git objects and configuration, cache, state, journal, what is remembered, everything printed, arguments and environment of every
child, what a killed process leaves, what a failure tells, and the local variables of its traceback.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from backends.gitops.writer import STEPS
from tests.gitops import http_remote
from tests.gitops.remotes import bare, git
from tests.gitops.test_secrets import everything
from tests.scenarios.conftest import SPEED, Sandbox
from tests.scenarios.hostile import HostileArgoCD, serving
from tests.scenarios.shell import ROOT, Ran
from tui.cli import execute
from tui.cli.output import Output

TOKEN = "c4n4ry-t0ken.argocd.0123456789"
GIT = "c4n4ry-git%pw/d"
TYPED = "c4n4ry-git%25pw%2Fd"
HEADER = "c4n4ry-header-0123456789"
PASSWORD = "c4n4ry p4ssword/\u00e9"
PROXY = "c4n4ry-proxy"
IMAGE = "registry.example.org/acme/web"


def traces(*secrets: str) -> tuple[str, ...]:
    """The writings in which a secret might come back; "c4n4ry" stands in all but the encoded ones."""
    encoded = [
        base64.b64encode(text.encode()).decode().rstrip("=") for one in secrets for text in (one, f"git:{one}", f"rig:{one}", f"user:{one}")
    ]
    return ("c4n4ry", *encoded)


TRACES = traces(GIT, HEADER, PASSWORD, PROXY)


class Children(threading.Thread):
    """Arguments and environment of every descendant of this process, looked at while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[int, tuple[str, str]] = {}
        self.ours: set[int] = set()
        self._end = threading.Event()

    def __enter__(self) -> Children:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        while not self._end.wait(0.1):
            parents: dict[int, int] = {}
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    with contextlib.suppress(OSError, ValueError, IndexError):
                        parents[int(entry.name)] = int(Path(f"/proc/{entry.name}/stat").read_text().rpartition(")")[2].split()[1])
            family, grown = {os.getpid()}, True
            while grown:
                more = {child for child, parent in parents.items() if parent in family} - family
                family, grown = family | more, bool(more)
            for child in family - {os.getpid()}:
                with contextlib.suppress(OSError):
                    arguments = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    environment = Path(f"/proc/{child}/environ").read_bytes().replace(b"\0", b"\n").decode("utf-8", "replace")
                    self.seen[child] = (arguments, environment)

    @property
    def others(self) -> list[str]:
        """What can be seen of the children of Tiphys: itself aside, and what this test started."""
        found = [
            text
            for text in self.seen.values()
            if " -m tui" not in text[0] and "canary_crash" not in text[0] and " -m backends.sandbox" not in text[0]
        ]
        return [
            f"{arguments}\n{environment}"
            for arguments, environment in found
            if " -m pytest" not in arguments and "http-backend" not in arguments
        ]


def tiphys(home: Path, *arguments: str, env: Mapping[str, str] | None = None, program: Sequence[str] = ("-m", "tui")) -> Ran:
    """One command as a process, with umask 0 and every token in its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIPHYS_", "ARGOCD_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        env={**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "TMPDIR": str(home.parent / "tmp"), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=home,
        umask=0,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


CRASH = """
import os, signal, sys
from backends.gitops import writer
from tui.cli import run
real, step = writer.write, sys.argv[1]
def die(name):
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)
writer.write = lambda *a, **k: real(*a, **k, on_step=die)
run(sys.argv[2:])
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "tmp").mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n")
    return home


def modes(*folders: Path) -> list[tuple[str, str]]:
    """What others may read or enter below these folders."""
    found = [path for folder in folders for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    return [(str(path), oct(path.stat().st_mode)) for path in found if path.stat().st_mode & 0o077]


@pytest.mark.timeout(400)
def test_a_day_of_work_leaves_no_secret_anywhere(tmp_path: Path, home: Path) -> None:
    said: list[Ran] = []
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    git_token = written(secrets / "git", f"git:{GIT}\n")
    header = ("--header", f"X-Canary: {HEADER}")
    crash = written(tmp_path / "canary_crash.py", CRASH)
    with Sandbox("--empty", "--speed", SPEED, home=tmp_path) as ready, Children() as children:
        token = Path(ready["token_file"]).read_text().strip()
        remote = Path(ready["repo_url"].removeprefix("file://"))
        with http_remote.serving(remote.parent) as server:
            server.user = f"git:{GIT}"
            url = f"{server.url}/{remote.name}"
            env = {"TIPHYS_ARGOCD_TOKEN": token, "GITHUB_TOKEN": HEADER, "ARGOCD_AUTH_TOKEN": token}

            def run(*arguments: str, code: int | None = 0, **more: str) -> Ran:
                ran = tiphys(home, *arguments, "--debug", env={**env, **more})
                said.append(ran)
                assert code is None or code == ran.code, f"{arguments}\n{ran.out}\n{ran.err}"
                return ran

            typed = url.replace("//", f"//git:{TYPED}@")
            run("init", typed, "--slug", "acme", "--argocd", ready["argocd_url"], "--argocd-repo-url", ready["repo_url"], *header)
            assert "is not remembered" in said[-1].err
            run("open", url, "--argocd", ready["argocd_url"], "--git-token-file", str(git_token), *header)
            run("create", "environment", "dev", "--yes", "--wait")
            run("create", "app", "web", "--image", IMAGE, "--yes")
            run("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:1.0", "--yes", "--wait", *header)
            id = json.loads(run("get", "deployments", "-o", "json").out)["items"][0]["id"]
            run("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes", "--reason", "more")
            run("rollback", id, "--yes")
            run("history", id)
            run("logs", id, *header, code=None)

            for number, step in enumerate(STEPS):
                arguments = ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:k{number}", "--yes", "--debug", *header)
                died = tiphys(home, str(crash), step, *arguments, env=env, program=())
                said.append(died)
                assert -signal.SIGKILL == died.code, died.err
            run("pending")

            run("get", "deployments", "--git-token-file", str(written(secrets / "bad", "git:other\n")), code=3)
            server.status = lambda method, path: 500
            server.body = f"you sent Authorization: Basic {base64.b64encode(f'git:{GIT}'.encode()).decode()} git:{GIT} {TYPED}".encode()
            for answer in (401, 500, 200):
                server.status = lambda method, path, answer=answer: answer  # type: ignore[misc]
                run("get", "deployments", code=None)
                assert said[-1].code in (1, 3, 5)
            server.status = lambda method, path: 0
            hook = remote / "hooks" / "pre-receive"
            hook.parent.mkdir(exist_ok=True)
            echo = written(secrets / "echo", f"your token {GIT} ({TYPED}) has expired\n")
            hook.write_text(f"#!/bin/sh\ncat {echo} >&2\nexit 1\n")
            hook.chmod(0o755)
            run("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:h", "--yes", code=3)
            assert "has expired" in said[-1].err
            hook.unlink()
            sent = {authorization for _, _, authorization in server.seen if authorization}
        tokens = (token, *TRACES)
        theirs = everything(remote.parent)

    assert f"Basic {base64.b64encode(f'git:{GIT}'.encode()).decode()}" in sent
    assert len(said) > 20
    places = everything(home, tmp_path / "tmp") | {place: text for place, text in theirs.items() if str(remote) in place}
    assert f"objects of {remote}" in places
    places |= {f"said {number}": f"{ran.out}\n{ran.err}" for number, ran in enumerate(said)}
    places |= {f"child {number}": text for number, text in enumerate(children.others)}
    assert len(places) > 100
    assert [] == [(place, trace) for place, text in places.items() for trace in tokens if trace in text]
    assert len(children.others) > 5
    assert [] == modes(home / ".cache", home / ".local", home / ".config")
    assert [] == [path for path in home.rglob("core*") if path.is_file() and path.name.startswith("core.")]
    remembered = (home / ".config" / "tiphys" / "workspaces.toml").read_text()
    assert str(git_token) in remembered


# ── what a failure says, and what the variables of its traceback hold ───────────────────────────────────────────────────────────────


@pytest.fixture
def dumped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each failure with the local variables of every frame, as a crash reporter would send it."""
    found: list[str] = []

    def trace(_output: Output, error: Exception) -> None:
        dump = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True)
        found.append("".join(dump.format()))

    monkeypatch.setattr(Output, "_trace", trace)
    return found


def echoing(server: HostileArgoCD, *secrets: str, user: str = "", status: str = "500 Oops", kind: str = "application/json") -> None:
    """Answer with everything that was sent."""
    said = " ".join(f"Authorization: Bearer {one} / {one}" for one in secrets)
    said += f" Basic {base64.b64encode(f'{user}:{secrets[0]}'.encode()).decode()}" if user else ""
    text = json.dumps({"code": 2, "message": said}) if "json" in kind else f"<html><title>{said}</title>"
    body = text.encode()
    server.refusal = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode() + b"Connection: close\r\n\r\n" + body
    )


@pytest.mark.parametrize("status", ["500 Oops", "401 No", "403 No", "400 Bad", "200 OK"])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_a_server_that_echoes_the_request_tells_nobody(
    status: str, kind: str, tmp_path: Path, dumped: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    token = written(tmp_path / "token", TOKEN)
    with serving("web") as server:
        echoing(server, TOKEN, HEADER, status=status, kind=kind)
        for command in (["get", "applications"], ["tree", "web"], ["sync", "web"]):
            execute([*command, "--argocd", server.url, "--auth-token-file", str(token), "--header", f"X-Canary: {HEADER}", "--debug"])
        assert {f"Bearer {TOKEN}"} == {headers["authorization"] for _, _, headers in server.seen}
        assert {HEADER} == {headers["x-canary"] for _, _, headers in server.seen}

    assert [] == found_in("\n".join([*dumped, *capsys.readouterr()]))


def found_in(text: str) -> list[str]:
    """What stands around each secret in a text."""
    places = [(text.find(trace), trace) for trace in (*TRACES, *traces(TOKEN))]
    return [text[max(0, place - 200) : place + len(trace)] for place, trace in places if place >= 0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--header", f"{HEADER}"],
        ["--header", f"Authorization: {HEADER}"],
        ["--header", f"X y: {HEADER}"],
        ["--header", f"X: {HEADER}\u00e9"],
        ["--auth-token-file", "BAD"],
        ["--auth-token-file", "SHARED"],
        ["--username", "ada", "--password-file", "PASSWORD"],
        ["--argocd-context", "none"],
        ["--argocd-context", "broken"],
        ["--repo", f"https://git:{TYPED}@127.0.0.1:1/x.git"],
        ["--repo", "https://git:c4n4ry/with@slashes@127.0.0.1:1/x.git"],
        ["--repo", f"ftp://user:{HEADER}@x/y"],
        ["--repo", f"https://{HEADER}@127.0.0.1:1/x.git?query"],
        ["--argocd", f"https://user:{HEADER}@127.0.0.1:1"],
        ["--argocd", f"https://user:{HEADER}/x@127.0.0.1:1 x"],
        ["nonsense", "--header", HEADER],
    ],
    ids=lambda arguments: " ".join(arguments[:2])[:40],
)
def test_a_failure_before_anything_is_sent_tells_nobody(
    arguments: list[str],
    tmp_path: Path,
    own_home: Path,
    dumped: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PROXY}@127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{PROXY}@127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = {
        "BAD": written(tmp_path / "a", f"{TOKEN} with blanks"),
        "SHARED": tmp_path / "b",
        "PASSWORD": written(tmp_path / "c", PASSWORD),
    }
    files["SHARED"].write_text(TOKEN)
    files["SHARED"].chmod(0o644)
    config = own_home / ".config" / "argocd"
    config.mkdir(parents=True)
    written(
        config / "config",
        f"contexts:\n- name: a\n  server: x\n  user: u\nusers:\n- name: u\n  auth-token: {TOKEN}\n{'{' if 'broken' in arguments else ''}\n",
    )
    with serving("web") as server:
        server.refusal = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        arguments = [str(files.get(one, one)) for one in arguments]
        command = [] if "nonsense" in arguments else ["get", "deployments"] if "--repo" in arguments else ["get", "clusters"]
        where = [] if {"--argocd", "--argocd-context"} & {*arguments} else ["--argocd", server.url]
        code = execute([*command, *arguments, *where, "--debug"])

    assert code in (1, 2, 3, 5)
    assert 2 == code or dumped
    assert [] == found_in("\n".join([*dumped, *capsys.readouterr()]))


def test_the_password_of_a_login_and_of_a_proxy_go_to_their_place_alone(
    tmp_path: Path, dumped: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    password = written(tmp_path / "password", PASSWORD)
    with serving("web") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{PROXY}@127.0.0.1:{proxy.server_address[1]}")
        for status in ("500 Oops", "407 Who", "401 No"):
            echoing(proxy, PROXY, PASSWORD, user="user", status=status)
            for form in ("table", "json"):
                login = ["--username", "ada", "--password-file", str(password)]
                assert execute(["get", "clusters", "--argocd", "http://argocd.invalid", *login, "--debug", "-o", form]) in (1, 3, 5)
        seen = [headers for _, _, headers in proxy.seen]
        assert {"Basic " + base64.b64encode(f"user:{PROXY}".encode()).decode()} == {headers["proxy-authorization"] for headers in seen}

    assert dumped
    assert [] == found_in("\n".join([*dumped, *capsys.readouterr()]))


# ── tokens and their origins ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def other() -> Iterator[HostileArgoCD]:
    """Somebody else's server: nothing of ours may reach it."""
    with serving("web") as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_token_along(status: int, tmp_path: Path, other: HostileArgoCD) -> None:
    token = written(tmp_path / "token", TOKEN)
    with serving("web") as server:
        for place in (other.url, other.url.replace("127.0.0.1", "localhost"), f"//127.0.0.1:{other.server_address[1]}"):
            server.refusal = (
                f"HTTP/1.1 {status} Moved\r\nLocation: {place}/api/version\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            for command in (["get", "applications"], ["sync", "web"], ["logs", "web"], ["watch", "web"]):
                code = execute([*command, "--argocd", server.url, "--auth-token-file", str(token), "--header", f"X-Canary: {HEADER}"])
                assert code in (3, 5)

    assert [] == other.seen


def test_an_argo_cd_that_only_the_repository_names_is_told_and_never_asked(
    tmp_path: Path, own_home: Path, other: HostileArgoCD, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPHYS_ARGOCD_TOKEN", TOKEN)
    remote = bare(tmp_path / "ws.git")
    assert 0 == execute(["init", str(remote), "--slug", "acme", "--yes"])
    described = git(remote, "cat-file", "blob", "main:tiphys.yaml")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(remote), str(clone))
    (clone / "tiphys.yaml").write_text(described.replace('url: ""', f'url: "{other.url}"') + "\n")
    git(clone, "commit", "-qam", "mine")
    git(clone, "push", "-q")
    capsys.readouterr()

    assert 0 == execute(["open", str(remote), "--name", "acme"])

    assert other.url in capsys.readouterr().out
    for command in (["get", "environments"], ["history"], ["get", "deployments"]):
        assert 0 == execute(command)
    assert 1 == execute(["get", "clusters"])
    assert [] == other.seen


def test_a_remembered_token_is_not_sent_to_another_argo_cd(tmp_path: Path, own_home: Path, other: HostileArgoCD) -> None:
    token = written(tmp_path / "token", TOKEN)
    with serving("web") as server:
        assert 0 == execute(["open", "--argocd", server.url, "--auth-token-file", str(token), "--name", "a"])
        assert 0 == execute(["get", "clusters", "--workspace", "a"])
        assert f"Bearer {TOKEN}" == server.seen[-1][2]["authorization"]

        assert 0 == execute(["get", "clusters", "--workspace", "a", "--argocd", other.url])
        assert 0 == execute(["open", "--argocd", other.url, "--name", "a"])
        assert 0 == execute(["get", "clusters"])

    assert other.seen
    assert {None} == {headers.get("authorization") for _, _, headers in other.seen}


def test_a_token_of_the_environment_is_not_sent_where_its_server_is_not(
    own_home: Path, other: HostileArgoCD, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOCD_SERVER", "127.0.0.1:1")
    monkeypatch.setenv("ARGOCD_AUTH_TOKEN", TOKEN)
    config = own_home / ".config" / "argocd"
    config.mkdir(parents=True)
    contexts = "".join(f"- {{name: {name}, server: '{name}:443', user: {name}}}\n" for name in ("a.example", "b.example"))
    users = "".join(f"- {{name: {name}, auth-token: {TOKEN}}}\n" for name in ("a.example", "b.example"))
    servers = "".join(f"- {{server: '{name}:443'}}\n" for name in ("a.example", "b.example"))
    written(config / "config", f"contexts:\n{contexts}current-context: a.example\nusers:\n{users}servers:\n{servers}")

    assert 0 == execute(["get", "clusters", "--argocd", other.url])
    assert 3 == execute(["get", "clusters", "--argocd", other.url, "--argocd-context", "b.example"])

    assert {None} == {headers.get("authorization") for _, _, headers in other.seen}


@pytest.mark.parametrize(
    "arguments",
    [
        ["init", "REMOTE", "--slug", "x", "--yes", "--argocd-repo-url", f"https://user:{HEADER}@git.example.org/x.git"],
        ["init", "REMOTE", "--slug", "x", "--yes", "--argocd-repo-url", f"https://{HEADER}@git.example.org/x.git"],
        ["create", "app", "web", "--image", IMAGE, "--source", f"https://user:{HEADER}@git.example.org/x.git", "--yes"],
        ["create", "app", "dd", "--addon", "--chart", "dd", "--chart-repo", f"https://user:{HEADER}@charts.example.org", "--yes"],
        ["create", "cluster", "eu", "--server", f"https://user:{HEADER}@10.0.0.1", "--yes"],
    ],
    ids=lambda arguments: " ".join(arguments[:2] + arguments[-2:-1]),
)
def test_a_url_with_a_password_is_never_committed(
    arguments: list[str], tmp_path: Path, own_home: Path, dumped: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    remote = bare(tmp_path / "ws.git")
    if arguments[0] != "init":
        assert 0 == execute(["init", str(remote), "--slug", "acme", "--yes"])
    before = git(remote, "rev-list", "--all", "--count")

    assert 1 == execute([str(remote) if one == "REMOTE" else one for one in arguments])

    assert before == git(remote, "rev-list", "--all", "--count")
    places = everything(own_home, tmp_path) | {"said": "".join(capsys.readouterr())}
    assert [] == [(place, trace) for place, text in places.items() for trace in TRACES if trace in text]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "XDG_STATE_HOME"])
def test_a_folder_of_somebody_else_is_refused(
    variable: str, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "theirs" / "tiphys"
    theirs.mkdir(parents=True)
    os.chown(theirs, 12345, 12345)
    monkeypatch.setenv(variable, str(theirs.parent))

    assert 3 == execute(["init", str(bare(tmp_path / "ws.git")), "--slug", "acme", "--yes"])

    assert "belongs to somebody else" in capsys.readouterr().err
    assert [] == list(theirs.iterdir())
