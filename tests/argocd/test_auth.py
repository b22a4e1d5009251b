"""Tokens: private files, expiry, logging in once, renewing once, and never a token in a text."""

import base64
import json
import logging
import os
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.argocd.auth import FixedToken, Login, TokenFile, TokenFrom, expires_at, expiry_notice, parse_token, read_private
from backends.argocd.session import Session
from backends.errors import BackendError, Refused, Unauthorized
from backends.secret import Secret
from tests.argocd.wire import TOKEN, Request, answering, client, head, raw, serving, stream_head

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
VERSION = {"Version": "v3.5.1"}


def jwt(**payload: Any) -> str:
    """A token with a payload; nobody checks its signature here."""
    part = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{part}.c2lnbmF0dXJl"


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_the_users_alone_is_read(tmp_path: Path, mode: int) -> None:
    assert "abc" == TokenFile(private(tmp_path / "token", "abc\n", mode)).read().reveal()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666, 0o602])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "token", "abc", mode)
    with pytest.raises(Refused, match=f"others may read it \\(mode {mode:04o}\\)") as caught:
        TokenFile(path).read()
    assert f"chmod 600 {path}" == caught.value.hint


def test_a_pipe_has_no_other_readers(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"abc\n")
    os.close(writing)
    assert "abc\n" == read_private(Path(f"/dev/fd/{reading}"), "token")


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_an_empty_file_is_no_token(tmp_path: Path, content: str) -> None:
    with pytest.raises(Unauthorized, match="there is no token in the file"):
        TokenFile(private(tmp_path / "token", content)).read()


@pytest.mark.parametrize("content", ["two words", "a\nb", "tok\x1ben", "tökén", "a\x00b", "x" * 70_000])
def test_what_could_not_stand_in_a_header_is_no_token_and_is_not_shown(content: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        parse_token(content, "the file x")
    assert content not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unauthorized, match=r"the token file .*/none cannot be read: No such file"):
        TokenFile(tmp_path / "none").read()


def test_the_end_of_a_token_is_in_its_payload() -> None:
    end = NOW + timedelta(minutes=12)
    assert end == expires_at(Secret(jwt(exp=end.timestamp())))


@pytest.mark.parametrize(
    "token", ["", "abc", "a.b", "a.b.c", jwt(), jwt(exp=None), jwt(exp="soon"), jwt(exp=1e30), "a.W10.c", f"a.{'W' * 9}.c"]
)
def test_a_token_that_says_no_end_has_none(token: str) -> None:
    assert None is expires_at(Secret(token))


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(minutes=12, seconds=30), "the token expires in 12 min"),
        (timedelta(seconds=5), "the token expires in 5 s"),
        (timedelta(minutes=31), ""),
        (timedelta(seconds=-90), "the token expired 1 min ago"),
        (timedelta(hours=-3), "the token expired 3 h ago"),
        (timedelta(days=-3), "the token expired 3 days ago"),
    ],
)
def test_an_expiry_is_said_ahead(left: timedelta, said: str) -> None:
    assert said == expiry_notice(NOW + left, NOW)


def test_no_end_is_nothing_to_say() -> None:
    assert "" == expiry_notice(None, NOW)


def guarded(tokens: set[str], renewal: str = "") -> Any:
    """A server that takes these tokens; a login with the right password gives the newest of them."""

    async def handler(request: Request, writer: Any) -> None:
        if request.path == "/api/v1/session":
            right = request.json == {"username": "admin", "password": "right"}
            refusal = {"error": "Invalid username or password", "code": 16, "message": "Invalid username or password"}
            await answering({"token": max(tokens)} if right else refusal, 200 if right else 401)(request, writer)
            return
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        more = {"grpc_metadata_renew_token": renewal} if renewal else {}
        if bearer in tokens:
            await answering(VERSION, **more)(request, writer)
        else:
            text = "invalid session: token is expired"
            await answering({"error": text, "code": 16, "message": text}, 401)(request, writer)

    return handler


async def test_a_refused_token_is_read_again_from_its_file_once(tmp_path: Path) -> None:
    path = private(tmp_path / "token", "old")
    async with serving(guarded({"new"})) as wire, client(wire.url, source=TokenFile(path)) as argocd:
        with pytest.raises(Unauthorized, match="is not accepted"):
            await argocd.version()
        path.write_text("new")
        assert "v3.5.1" == (await argocd.version()).version
    assert ["Bearer old", "Bearer old", "Bearer new"] == [request.headers["authorization"] for request in wire.requests]


async def test_a_login_is_renewed_when_its_token_is_refused() -> None:
    tokens = {"token-1"}
    async with serving(guarded(tokens)) as wire, client(wire.url, source=Login("admin", Secret("right"))) as argocd:
        await argocd.version()
        tokens.clear()
        tokens.add("token-2")
        await argocd.version()
    paths = [(request.path, request.headers.get("authorization", "")) for request in wire.requests]
    assert [
        ("/api/v1/session", ""),
        ("/api/version", "Bearer token-1"),
        ("/api/version", "Bearer token-1"),
        ("/api/v1/session", ""),
        ("/api/version", "Bearer token-2"),
    ] == paths


async def test_many_calls_at_once_log_in_once() -> None:
    import asyncio

    async with serving(guarded({"token-1"})) as wire, client(wire.url, source=Login("admin", Secret("right"))) as argocd:
        await asyncio.gather(*(argocd.version() for _ in range(8)))
    assert 1 == len([request for request in wire.requests if request.path == "/api/v1/session"])


async def test_a_wrong_password_is_asked_about_once() -> None:
    async with serving(guarded({"token-1"})) as wire, client(wire.url, source=Login("admin", Secret("wrong"))) as argocd:
        for _ in range(3):
            with pytest.raises(Unauthorized, match=r"log in .*Invalid username or password"):
                await argocd.version()
    assert 1 == len(wire.requests)


async def test_a_login_token_is_renewed_before_it_ends() -> None:
    asked = []

    async def ask(login: Login) -> Secret:
        asked.append(login.username)
        return Secret(jwt(exp=(datetime.now(UTC) + timedelta(seconds=20)).timestamp()))

    session = Session(Login("admin", Secret("x")), ask)
    await session.token()
    await session.token()
    assert ["admin", "admin"] == asked


async def test_the_servers_renewal_is_used_from_then_on() -> None:
    renewed = jwt(exp=(NOW + timedelta(days=1)).timestamp())
    async with serving(guarded({"one", renewed}, renewal=renewed)) as wire, client(wire.url, token="one") as argocd:
        await argocd.version()
        await argocd.version()
        assert NOW + timedelta(days=1) == argocd.token_expires
    assert ["Bearer one", f"Bearer {renewed}"] == [request.headers["authorization"] for request in wire.requests]


async def test_a_renewal_that_is_no_token_is_left_alone() -> None:
    async with serving(guarded({"one"}, renewal="not a token")) as wire, client(wire.url, token="one") as argocd:
        await argocd.version()
        await argocd.version()
    assert ["Bearer one", "Bearer one"] == [request.headers["authorization"] for request in wire.requests]


async def test_an_expired_token_says_since_when() -> None:
    token = jwt(exp=(datetime.now(UTC) - timedelta(hours=3)).timestamp())
    async with serving(guarded({"other"})) as wire, client(wire.url, token=token) as argocd:
        with pytest.raises(Unauthorized, match=r"the token of the test \(the token expired 3 h ago\) is not accepted") as caught:
            await argocd.version()
    assert "argocd login" in caught.value.hint


async def test_a_source_that_can_be_read_again_is() -> None:
    texts = ["old", "new"]
    async with serving(guarded({"new"})) as wire, client(wire.url, source=TokenFrom("a context", lambda: texts.pop(0))) as argocd:
        await argocd.version()
    assert ["Bearer old", "Bearer new"] == [request.headers["authorization"] for request in wire.requests]


async def test_nobody_sends_no_token() -> None:
    async with serving(answering(VERSION)) as wire, client(wire.url, token="") as argocd:
        await argocd.version()
    assert "authorization" not in wire.requests[0].headers


async def test_no_secret_is_in_any_text(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, whatever a server sends back, at every log level."""
    secrets = (TOKEN, "canary-header-value", "canary-password", "canary-renewed")
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)

    async def echo(request: Request, writer: Any) -> None:
        said = f"you sent {request.headers} {request.body!r}"
        match request.path.rsplit("/", 1)[-1]:
            case "version":
                await answering({"error": said, "code": 2, "message": said}, 500)(request, writer)
            case "settings":
                await answering(f"<html><title>{said}</title>", 200, "text/html")(request, writer)
            case "userinfo":
                await answering(said, 502, "text/plain")(request, writer)
            case "clusters":
                await raw(head(content_type="application/json", content_length="9999") + said.encode())(request, writer)
            case "applications":
                refusal = {"error": {"grpc_code": 14, "message": said}}
                await raw(stream_head() + b"data: " + json.dumps(refusal).encode() + b"\n\n")(request, writer)
            case "session":
                await answering({"error": said, "code": 16, "message": said}, 401)(request, writer)
            case _:
                await answering({}, grpc_metadata_renew_token="canary-renewed", set_cookie="argocd.token=canary-renewed")(request, writer)

    texts: list[str] = []
    headers = (("X-Api-Key", Secret("canary-header-value")),)
    async with serving(echo) as wire:
        async with client(wire.url, headers=headers) as argocd:
            calls = [argocd.version(), argocd.settings(), argocd.user_info(), argocd.clusters(), anext(argocd.watch_applications())]
            for call in calls:
                texts += await failing(call)
            await argocd.projects()
            texts += [repr(argocd), str(argocd), repr(argocd.connection), repr(argocd.connection.endpoint), repr(argocd.connection.session)]
        async with client(wire.url, source=Login("admin", Secret("canary-password"))) as argocd:
            texts += await failing(argocd.version())
    texts += [repr(source) for source in (FixedToken(Secret(TOKEN)), Login("u", Secret("canary-password")))]

    everything = "\n".join([*texts, caplog.text])
    assert [] == [secret for secret in secrets if secret in everything]
    assert "you sent" in everything


async def failing(call: Any) -> list[str]:
    with pytest.raises(BackendError) as caught:
        await call
    error = caught.value
    return [str(error), repr(error), error.hint, "".join(traceback.format_exception(error))]
