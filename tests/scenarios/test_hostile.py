"""Other people's text in every place where it can stand: none of it reaches a terminal or a script raw, nothing crashes, nothing vanishes.

An Argo CD that says nothing else (`hostile`), and real repositories that others have pushed to.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backends.domain.event import LiveEvent
from backends.live.tail import Tail
from tests.gitops import http_remote
from tests.gitops.remotes import bare, git
from tests.scenarios.hostile import EVIL, VISIBLE, HostileArgoCD, serving
from tests.scenarios.line import FORMS, IMAGE, Repository, run, safe

NAME = "web-dev-aaaaaa"


@pytest.fixture(scope="module")
def argocd() -> Iterator[HostileArgoCD]:
    with serving(NAME, EVIL) as server:
        yield server


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize(
    "command",
    [
        ["get", "applications"],
        ["get", "clusters"],
        ["get", "projects"],
        ["tree", NAME],
        ["events", NAME],
        ["events"],
        ["why", NAME],
        ["logs", NAME],
        ["diff", NAME],
        ["sync", NAME],
        ["refresh", NAME],
        ["open"],
    ],
    ids=" ".join,
)
def test_what_an_argo_cd_says_is_shown_harmless(argocd: HostileArgoCD, command: list[str], form: str) -> None:
    ran = safe(*command, "--argocd", argocd.url, "-o", form)

    assert 0 == ran.code
    assert VISIBLE in ran.out
    assert "�" in ran.out


@pytest.mark.parametrize("form", ["wide", "yaml"])
@pytest.mark.parametrize("command", [["get", "applications"], ["tree", NAME], ["get", "projects"]], ids=" ".join)
def test_the_other_forms_are_harmless_too(argocd: HostileArgoCD, command: list[str], form: str) -> None:
    assert VISIBLE in safe(*command, "--argocd", argocd.url, "-o", form).out


@pytest.mark.parametrize("command", [["watch", NAME, "--timeout", "0.5"], ["events", NAME, "-f"]], ids=" ".join)
def test_what_a_follower_prints_is_harmless(argocd: HostileArgoCD, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")  # a zone in which the first and the last moment there are cannot be told
    time.tzset()
    monkeypatch.setattr("backends.live.tail.Tail.follow", _nothing)
    for form in ("table", "json"):
        ran = safe(*command, "--argocd", argocd.url, "-o", form)
        assert 0 == ran.code
        assert VISIBLE in ran.out


async def _nothing(_tail: Tail) -> AsyncIterator[LiveEvent]:
    """No more events: what came before them is what is looked at."""
    for event in ():
        yield event


@pytest.mark.parametrize(
    "argument", [EVIL, "x\x1b[2J", "\u202egnp", "a\nb", "-\x07"], ids=["everything", "escape", "bidi", "line break", "bell"]
)
def test_what_was_typed_comes_back_harmless(argocd: HostileArgoCD, argument: str) -> None:
    argument = argument.replace("\0", "")
    for command in (["tree", argument], ["get", argument], ["get", "clusters", argument], ["get", "clusters", "--workspace", argument]):
        ran = safe(*command, "--argocd", argocd.url, "--debug")
        assert 0 != ran.code


def test_an_argument_that_is_not_utf8_is_refused_as_usage(argocd: HostileArgoCD) -> None:
    assert (2, "") == safe("tree", "web\udcff", "--argocd", argocd.url)[:2]


EVIL_LINE = EVIL.replace("\r\n", "").replace("\0", "").replace("\u2028", "")
JSON_ERROR = json.dumps({"error": EVIL, "code": 2, "message": f"first\n{EVIL}"}).encode()


def answer(status: str, body: bytes = b"", kind: str = "application/json", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{extra}\r\n"
    return head.encode("utf-8") + body


@pytest.mark.parametrize(
    ("refusal", "codes"),
    [
        (answer("500 Oops", JSON_ERROR), (1,)),
        (answer("403 No", json.dumps({"code": 7, "message": EVIL}).encode()), (3,)),
        (answer("401 No", json.dumps({"code": 16, "message": EVIL}).encode()), (3,)),
        (answer("503 No", f"<html><title>{EVIL}</title>".encode(), "text/html"), (5,)),
        (answer("502 No", EVIL.encode(), "text/plain"), (5,)),
        (answer("200 OK", EVIL.encode(), f"text/{EVIL_LINE}"), (5,)),
        (answer("200 OK", b'{"items": "' + EVIL.replace("\0", "").encode()), (5,)),
        (answer("429 No", JSON_ERROR, extra="Retry-After: 99999999\r\n"), (5,)),
        (answer("302 Found", extra="Location: /\x1b[2J\u202e?token=x\r\n"), (5,)),
        (answer("302 Found", extra="Location: https://evil.example/%1b[2J%e2%80%ae/login\r\n"), (3, 5)),
        (answer(f"200 {EVIL_LINE}", b"{}"), (0, 1, 5)),
        (answer("200 OK", b"{}", extra=f"X-{EVIL_LINE}: {EVIL_LINE}\r\n"), (0, 1, 5)),
        (f"HTTP/9.9 {EVIL}".encode(), (5,)),
        (EVIL.encode() * 100, (5,)),
        (b"\x15\x03\x01" + EVIL.encode(), (5,)),
    ],
)
def test_a_refusal_is_a_sentence_whatever_it_says(refusal: bytes, codes: tuple[int, ...]) -> None:
    with serving(NAME) as server:
        server.refusal = refusal
        for command in (["get", "applications"], ["tree", NAME], ["open"]):
            ran = safe(*command, "--argocd", server.url, "--debug", "-o", "json")
            assert ran.code in codes, ran.err


# ── a repository that others push to ────────────────────────────────────────────────────────────────────────────────────────────────


VALUES = (
    "# \u202e\u200b comments may hold what they like\r\n"
    '"k\\e\\u202e": "\\e]52;c;cm0gLXJm\\a\\u200b EVIL"\r\n'
    "replicas: 1   # EVIL \u2066\r\n"
    f"long: {'a' * 1_000_000}\r\n"
    "\u4f60\u597d: \U0001f600 e\u0301\r\n"
).encode()
NAMES = (
    b"x\x1b[2J\xff\xe2\x80\xae.yaml",
    b"apps/x\x1b]0;t\x07\xff/app.yaml",
    b"clusters/evil\x1b.yaml",
    b"environments/\xe2\x80\xaeevil/environment.yaml",
)


@pytest.fixture
def repository(workspace: Repository) -> Repository:
    """The workspace after others pushed to it."""
    one = workspace
    here = one.folder.encode()
    one.pushed(
        {
            b"%s/values.yaml" % here: VALUES,
            b"%s/more\x07\xe2\x80\x8b.yaml" % here: b"\xff\xfe\x00\x1b",
            NAMES[0]: b"a: 1\n",
            NAMES[1]: b"kind: x\n\x1b",
            NAMES[2]: b"server: \xff\n",
            NAMES[3]: 'kind: "\\e[2J\u202e"\n'.encode(),
            b"apps/evil/app.yaml": b'kind: git\nimages:\n  main:\n    repository: "\\e]52;c;x\\a EVIL"\n',
        },
        f"{EVIL}\n\n{EVIL}\n\nTiphys-Op: deploy{EVIL_LINE}\nTiphys-Deployment: {one.id}\nTiphys-Reason: {EVIL_LINE}\n"
        f"Tiphys-Image: \x1b]0;a\x07\nTiphys-Change: \x1b\u202e\n".replace("\0", "").encode(),
        author=b"\x1b[2J\xc2\x9b\xe2\x80\xaeMallory EVIL\xff",
        mail=b"m\x1b]0;x\x07@example.org",
    )
    one.pushed({b"%s/note.txt" % here: b"x"}, b"\xff\xfe\x1b[2J EVIL \r\n" + b"z" * 1_000_000)
    return one


def test_what_others_committed_is_shown_harmless(repository: Repository) -> None:
    for form in FORMS:
        for command in (["get", "apps"], ["get", "environments"], ["get", "deployments"], ["history"], ["history", repository.id]):
            ran = safe(*command, "-o", form)
            assert 0 == ran.code, ran.err
            assert "�" in ran.out + ran.err
            if command[0] == "history":
                assert VISIBLE in ran.out
    assert [repository.id] == [one["id"] for one in json.loads(run("get", "deployments", "-o", "json").out)["items"]]
    named = run("get", "apps").err
    for path in NAMES[1:]:
        assert path.decode("utf-8", "replace").split("/")[0] in named


def test_what_others_committed_comes_live_with_a_hostile_argo_cd(repository: Repository) -> None:
    with serving(repository.id, EVIL) as server:
        for form in ("table", "json"):
            for command in (["get", "deployments"], ["events"], ["why", repository.id], ["tree", repository.id], ["get", "applications"]):
                ran = safe(*command, "--repo", str(repository.remote), "--argocd", server.url, "-o", form)
                assert 0 == ran.code, ran.err


def test_plans_show_hostile_values_harmless_and_a_change_leaves_their_bytes(repository: Repository) -> None:
    values = f"{repository.folder}/values.yaml".encode()
    for form in ("table", "json"):
        plan = safe("set", repository.id, "replicas=2", "--plan", "-o", form)
        assert 0 == plan.code, plan.err
        assert VISIBLE in plan.out
        assert 0 == safe("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:1.1", "--plan", "-o", form).code
    assert VALUES == repository.blob(values)
    others = {name: repository.blob(name) for name in (*NAMES, f"{repository.folder}/more\x07\u200b.yaml".encode())}

    assert 0 == safe("set", repository.id, "replicas=2", "--yes", "--reason", "Straße – 你好").code

    assert VALUES.replace(b"replicas: 1", b"replicas: 2") == repository.blob(values)
    assert others == {name: repository.blob(name) for name in others}
    assert "Straße – 你好" in safe("history", repository.id).out


@pytest.mark.parametrize("reason", ["a\nTiphys-Op: delete", "a\rb", "\x1b[2J", "x\u202ey", "x\u2028y", "\x9b1m"])
def test_a_reason_that_is_not_one_plain_line_is_refused(workspace: Repository, reason: str) -> None:
    before = git(workspace.remote, "rev-parse", "main")

    assert 3 == safe("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes", "--reason", reason).code

    assert before == git(workspace.remote, "rev-parse", "main")


@pytest.mark.parametrize(
    "command",
    [
        ["deploy", "web", "--to", "dev", "--image", f"{IMAGE}:\x1b[2J"],
        ["deploy", "\u202ebew", "--to", "dev", "--image", f"{IMAGE}:1"],
        ["deploy", "web", "--to", "dev\x07", "--image", f"{IMAGE}:1"],
        ["set", "ID", "k\x1b=1"],
        ["create", "app", "x\x1b", "--image", IMAGE],
        ["create", "app", "y", "--image", "\x1b]52;c;x\x07"],
        ["create", "environment", "\u202ex"],
        ["create", "cluster", "eu", "--server", "https://x\x1b\u202e"],
        ["create", "cluster", "e\x1bu", "--server", "https://x"],
        ["delete", "\x1b"],
        ["pause", "ID", "--until", "\x1b"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_name_with_hidden_characters_never_gets_into_git(workspace: Repository, command: list[str]) -> None:
    one = workspace
    before = git(one.remote, "rev-parse", "main")

    ran = safe(*(one.id if part == "ID" else part for part in command), "--yes")

    assert ran.code in (1, 2, 3)
    assert before == git(one.remote, "rev-parse", "main")


def test_what_a_hook_of_the_remote_says_is_shown_harmless(workspace: Repository) -> None:
    one = workspace
    (one.remote / "says").write_bytes(b"\x1b]52;c;x\x07\xff \xe2\x80\xae EVIL\r\n" * 3 + b"GH013: \x1b[2J EVIL " + b"x" * 100_000 + b"\n")
    hook = one.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ncat {one.remote}/says >&2\nexit 1\n")
    hook.chmod(0o755)

    ran = safe("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2", "--yes", "--debug")

    assert 3 == ran.code
    assert VISIBLE in ran.err
    assert 0 == safe("pending", "-o", "json").code


def test_what_a_git_server_answers_is_shown_harmless(tmp_path: Path, own_home: Path) -> None:
    bare(tmp_path / "root" / "w.git", {"a": "1"})
    with http_remote.serving(tmp_path / "root") as server:
        server.body = EVIL.encode()
        for status in (401, 403, 404, 429, 500, 200):
            server.status = lambda method, path, status=status: status  # type: ignore[misc]
            ran = safe("get", "deployments", "--repo", f"{server.url}/w.git", "--debug")
            assert ran.code in (1, 3, 5), (status, ran.err)


def test_a_branch_of_a_hostile_name_is_told_of_harmless(tmp_path: Path, own_home: Path) -> None:
    remote = bare(tmp_path / "ws.git", {"a": "1"})
    git(remote, "branch", "-m", "main", "\u202eniam\u200b")

    ran = safe("get", "deployments", "--repo", str(remote))

    assert 1 == ran.code
    assert "it has �niam�" in ran.err


def test_a_root_that_somebody_changed_is_handed_over_harmless_or_not_at_all(workspace: Repository) -> None:
    one = workspace
    root = one.blob(b"bootstrap/root.yaml")
    with serving(NAME) as server:
        server.refusal = answer("403 No", json.dumps({"code": 7, "message": "permission denied"}).encode())
        untouched = safe("bootstrap", "--argocd", server.url, "--repo", str(one.remote))
        assert (3, root.decode()) == untouched[:2]
        for evil in ("# \u202e\u200b hidden\n".encode(), b"# \xff\n", b"# \x1b[2J\n"):
            one.pushed({b"bootstrap/root.yaml": evil + root}, b"mine")
            ran = safe("bootstrap", "--argocd", server.url, "--repo", str(one.remote))
            assert ran.code in (1, 3)
            assert "" == ran.out
