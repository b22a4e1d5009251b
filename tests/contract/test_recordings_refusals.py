"""Recorded refusals of a real Argo CD and its accepted writes: status and body → the right error, or what was changed."""

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from backends.argocd.actions import ActionParameter
from backends.argocd.auth import Login
from backends.argocd.failures import NoSuchCall, ServerFailed
from backends.argocd.http import HttpArgoCD
from backends.argocd.types import Node
from backends.domain.ids import AppKey
from backends.errors import BackendError, Conflict, Forbidden, Invalid, NotFound, ProtocolError, Refused, Unauthorized
from backends.secret import Secret
from tests.argocd.wire import Request, answering, client, serving
from tests.contract import test_recordings_reading as reading
from tests.contract.test_recordings_reading import DEPLOYMENT, WEB, recorded, replayed, replaying
from tests.shared import need_shared

Calling = Callable[[HttpArgoCD], Awaitable[Any]]
MISSING = AppKey("argocd", "no-such")
NOWHERE = Node(group="apps", version="v1", kind="Deployment", namespace="dev", name="nope", uid="x")


async def first_line(argocd: HttpArgoCD) -> Any:
    return [line async for line in argocd.logs(WEB, namespace="dev")]


REFUSALS: list[tuple[str, Calling, type[BackendError], str]] = [
    ("008-list-no-token", lambda a: a.list_applications(), Unauthorized, "no session information"),
    ("009-list-garbage-token", lambda a: a.list_applications(), Unauthorized, "no session information"),
    ("010-list-broken-jwt", lambda a: a.list_applications(), Unauthorized, "signature is invalid"),
    ("015-list-selector-invalid", lambda a: a.list_applications(selector="a in ("), Invalid, "unable to parse requirement"),
    ("021-get-app-wrong-project", lambda a: a.get_application(WEB, project="prod"), NotFound, '"web-dev-aaaaaa" not found'),
    ("023-get-missing-no-project", lambda a: a.get_application(MISSING), Forbidden, "does not exist, or you may not see it"),
    ("024-get-missing-with-project", lambda a: a.get_application(MISSING, project="dev"), NotFound, '"no-such" not found'),
    ("025-get-missing-unknown-project", lambda a: a.get_application(MISSING, project="nope"), NotFound, '"no-such" not found'),
    ("026-get-unenabled-namespace", lambda a: a.get_application(AppKey("other", "web-dev-aaaaaa")), Forbidden, "may not see it"),
    ("034-revision-metadata-unknown", lambda a: a.revision_metadata(WEB, "0" * 40), NotFound, "not our ref"),
    ("037-resource-not-in-tree", lambda a: a.resource(WEB, NOWHERE), NotFound, "not found as part of application"),
    ("043-action-unknown", lambda a: a.run_action(WEB, DEPLOYMENT, "fly", project="dev"), NotFound, "no such action"),
    ("046-cluster-missing", lambda a: a.clusters(), Forbidden, "may not see it"),
    ("050-project-missing", lambda a: a.projects(), NotFound, '"nope" not found'),
    ("055-post-wrong-content-type", lambda a: a.sync(WEB), ProtocolError, "Invalid content type"),
    ("056-delete-no-content-type", lambda a: a.terminate(WEB), ProtocolError, "Invalid content type"),
    ("057-unknown-path", lambda a: a.settings(), NoSuchCall, "HTTP 404"),
    ("058-wrong-method", lambda a: a.settings(), NoSuchCall, "HTTP 405"),
    ("059-bad-json", lambda a: a.sync(WEB), Invalid, "invalid character"),
    ("060-terminate-nothing-running", lambda a: a.terminate(WEB, project="dev"), Refused, "No operation is in progress"),
    ("061-rollback-with-auto-sync", lambda a: a.sync(WEB), Refused, "auto-sync is enabled"),
    ("062-sync-other-revision-with-auto-sync", lambda a: a.sync(WEB, project="dev", revision="a5b7db5a"), Refused, "currently set to main"),
    ("064-sync-while-running", lambda a: a.sync(WEB, project="dev"), Conflict, "already in progress"),
    ("065-sync-unknown-branch", lambda a: a.sync(WEB, project="dev", revision="no-such-branch"), Refused, "Cannot sync to no-such-branch"),
    ("067-create-invalid-destination", lambda a: a.create_application({}), Invalid, "no clusters with this name: no-such-cluster"),
    ("068-create-repo-not-permitted", lambda a: a.create_application({}), Invalid, "repository not found"),
    ("069-create-repo-unreachable", lambda a: a.create_application({}), Invalid, "repository not found"),
    ("072-viewer-get-forbidden", lambda a: a.get_application(WEB), Forbidden, "may not see it"),
    ("073-viewer-get-forbidden-with-project", lambda a: a.get_application(WEB, project="prod"), Forbidden, "may not see it"),
    ("074-viewer-get-forbidden-wrong-project", lambda a: a.get_application(WEB, project="dev"), NotFound, "not found"),
    ("075-viewer-get-missing-with-project", lambda a: a.get_application(MISSING, project="dev"), NotFound, "not found"),
    ("076-viewer-get-missing", lambda a: a.get_application(MISSING), Forbidden, "may not see it"),
    ("077-viewer-logs-forbidden", first_line, Forbidden, "permission denied: logs, get"),
    ("083-viewer-sync-forbidden", lambda a: a.sync(WEB, project="dev"), Forbidden, "permission denied: applications, sync"),
    (
        "084-viewer-delete-forbidden",
        lambda a: a.delete_application(WEB, project="dev"),
        Forbidden,
        "permission denied: applications, delete",
    ),
]


@pytest.mark.parametrize(("name", "call", "error", "said"), REFUSALS, ids=[name for name, *_ in REFUSALS])
async def test_a_refusal_is_one_precise_error_with_the_servers_sentence(
    name: str, call: Calling, error: type[BackendError], said: str
) -> None:
    with pytest.raises(error) as caught:
        await replayed(name, call)

    assert error is type(caught.value)
    assert said in str(caught.value)
    assert caught.value.operation
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "maybe"), [("023-get-missing-no-project", True), ("072-viewer-get-forbidden", True), ("083-viewer-sync-forbidden", False)]
)
async def test_a_bare_refusal_may_mean_missing_and_one_that_names_the_right_does_not(name: str, maybe: bool) -> None:
    with pytest.raises(Forbidden) as caught:
        await replayed(name, lambda argocd: argocd.get_application(WEB))
    assert maybe is caught.value.maybe_missing


async def test_a_wrong_password_is_unauthorized_and_not_tried_again() -> None:
    async with serving(replaying("007-login-bad-password")) as wire, client(wire.url, source=Login("admin", Secret("wrong"))) as argocd:
        for _ in range(3):
            with pytest.raises(Unauthorized, match="Invalid username or password"):
                await argocd.settings()

    assert ["/api/v1/session"] == [request.path for request in wire.requests]


async def test_a_login_sends_the_recorded_request() -> None:
    method, path, _, body = recorded("006-login")
    async with serving(replaying("006-login")) as wire, client(wire.url, source=Login("admin", Secret("<password>"))) as argocd:
        await argocd.user_info()

    assert (method, path, body) == (wire.requests[0].method, wire.requests[0].path, wire.requests[0].json)
    assert "authorization" not in wire.requests[0].headers
    assert "Bearer <jwt>" == wire.requests[1].headers["authorization"]


WRITES: list[tuple[str, Calling]] = [
    ("042-action-restart-v2", lambda a: a.run_action(WEB, DEPLOYMENT, "restart", project="dev")),
    ("060-terminate-nothing-running", lambda a: a.terminate(WEB, project="dev")),
    ("062-sync-other-revision-with-auto-sync", lambda a: a.sync(WEB, project="dev", revision="a5b7db5a759aa337bfe11b1708f783e8c38dfa51")),
    ("063-sync-dry-run", lambda a: a.sync(WEB, project="dev", dry_run=True)),
    ("064-sync-while-running", lambda a: a.sync(WEB, project="dev")),
    ("084-viewer-delete-forbidden", lambda a: a.delete_application(WEB, project="dev")),
]


@pytest.mark.parametrize(("name", "call"), WRITES, ids=[name for name, _ in WRITES])
async def test_a_write_sends_the_recorded_request_as_json(name: str, call: Calling) -> None:
    async with serving(replaying(name)) as wire, client(wire.url) as argocd:
        with contextlib.suppress(BackendError):  # what the answer makes of it is tested above
            await call(argocd)
    request = wire.requests[-1]
    method, path, query, body = recorded(name)

    assert (method, path) == (request.method, request.path)
    assert "application/json" == request.headers["content-type"]
    assert {*query} <= {*request.query}
    if body is not None:
        assert {**body, "appNamespace": "argocd"} == request.json


async def test_an_accepted_sync_answers_with_the_operation_that_was_asked_for() -> None:
    app, _ = await replayed("063-sync-dry-run", lambda argocd: argocd.sync(WEB, project="dev", dry_run=True))

    assert (True, None) == (app.operation.sync.dry_run, app.status.operation_state)
    assert "admin" == app.operation.initiated_by.username


async def test_a_failed_manifest_is_told_in_helms_own_line() -> None:
    said = "failed to execute helm template command: `helm template . --name-template web` failed exit status 1: Error: no such file"
    async with serving(answering({"error": said, "code": 2, "message": said}, 500)) as wire, client(wire.url) as argocd:
        with pytest.raises(ServerFailed) as caught:
            await argocd.manifests(WEB)
    assert "get the manifests of argocd/web-dev-aaaaaa: Argo CD failed: Error: no such file" == str(caught.value)


async def test_an_older_server_runs_an_action_by_its_older_call() -> None:
    async def handler(request: Request, writer: Any) -> None:
        await (answering("Not Found\n", 404, "text/plain") if request.path.endswith("/v2") else answering({}))(request, writer)

    async with serving(handler) as wire, client(wire.url) as argocd:
        await argocd.run_action(WEB, DEPLOYMENT, "restart", project="dev")
        with pytest.raises(NoSuchCall):
            await argocd.run_action(WEB, DEPLOYMENT, "scale", parameters=[ActionParameter(name="replicas", value="3")])

    old = wire.requests[1]
    assert ("POST", "/api/v1/applications/web-dev-aaaaaa/resource/actions", "restart") == (old.method, old.path, old.json)
    assert {"kind": "Deployment", "group": "apps", "project": "dev", "appNamespace": "argocd"}.items() <= dict(old.query).items()


NOT_ASKED = {
    "032-links",
    "039-resource-links",
    "045-cluster-by-name",
    "047-repositories",
    "049-project-detailed",
    "051-applicationsets",
    "052-account",
    "054-notifications-services",
    "066-patch-annotation-refresh",
    "079-viewer-repositories",
}
"""Recordings of calls that Tiphys does not make."""


def test_every_recorded_answer_of_a_call_that_tiphys_makes_is_held_against_the_client() -> None:
    names = {path.stem for path in need_shared("recordings/rest").glob("*.json")}
    held = Path(reading.__file__).read_text() + Path(__file__).read_text().split("NOT_ASKED = ")[0]
    assert NOT_ASKED == {name for name in names if f'"{name}"' not in held}
