"""Recorded answers of a real Argo CD, as the client gives them: the request that was recorded → a typed value."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from backends.argocd.http import HttpArgoCD
from backends.argocd.types import Node
from backends.domain.ids import AppKey
from tests.argocd.wire import Handler, Request, answering, client, serving
from tests.shared import recording

WEB = AppKey("argocd", "web-dev-aaaaaa")
DEPLOYMENT = Node(
    group="apps", version="v1", kind="Deployment", namespace="dev", name="web-dev-aaaaaa", uid="84fc30e9-d752-4ceb-befc-7639eafe7abe"
)


def replaying(name: str) -> Handler:
    """The recorded answer of a recording, byte for byte where it was not JSON."""
    answer = recording(name)["response"]
    body = answer["body"]
    kind = answer["headers"].get("content-type", "application/json")
    return answering(body if isinstance(body, str) else msgspec.json.encode(body), answer["status"], kind)


async def replayed(name: str, call: Callable[[HttpArgoCD], Awaitable[Any]], *, version: str = "v99.99.99+unknown") -> tuple[Any, Request]:
    """What a call gives for the recorded answer, and the request it sent."""
    answer, about = replaying(name), answering({"Version": version})

    async def handler(request: Request, writer: Any) -> None:
        await (about if request.path == "/api/version" and "version" not in name else answer)(request, writer)

    async with serving(handler) as wire, client(wire.url) as argocd:
        result = await call(argocd)
        return result, wire.requests[-1]


def recorded(name: str) -> tuple[str, str, list[tuple[str, str]], Any]:
    """Method, path, query and body of a recorded request."""
    request = recording(name)["request"]
    parts = urlsplit(request["path"])
    return request["method"], parts.path, parse_qsl(parts.query, keep_blank_values=True), request["body"]


READS: list[tuple[str, Callable[[HttpArgoCD], Awaitable[Any]]]] = [
    ("001-version", lambda argocd: argocd.version()),
    ("002-settings", lambda argocd: argocd.settings()),
    ("004-userinfo", lambda argocd: argocd.user_info()),
    ("011-list-full", lambda argocd: argocd.list_applications(full=True)),
    ("014-list-selector", lambda argocd: argocd.list_applications(selector="tiphys.dev/environment=dev")),
    ("016-list-by-name-missing", lambda argocd: argocd.list_applications(name="no-such")),
    ("017-list-projects", lambda argocd: argocd.list_applications(projects=["prod"])),
    ("020-get-app-project", lambda argocd: argocd.get_application(WEB, project="dev")),
    ("027-tree", lambda argocd: argocd.resource_tree(WEB)),
    ("028-managed-resources", lambda argocd: argocd.managed_resources(WEB)),
    ("029-manifests", lambda argocd: argocd.manifests(WEB)),
    ("030-events-app", lambda argocd: argocd.events(WEB)),
    ("031-syncwindows", lambda argocd: argocd.sync_windows(WEB)),
    ("033-revision-metadata", lambda argocd: argocd.revision_metadata(WEB, "43ca35b6c55d52f168dcf6221324cbdff2888802")),
    (
        "035-revision-metadata-multi",
        lambda argocd: argocd.revision_metadata(
            AppKey("argocd", "web-prod-cccccc"), "43ca35b6c55d52f168dcf6221324cbdff2888802", source_index=1
        ),
    ),
    ("036-resource", lambda argocd: argocd.resource(WEB, DEPLOYMENT)),
    ("038-resource-actions", lambda argocd: argocd.resource_actions(WEB, DEPLOYMENT)),
    ("040-events-resource", lambda argocd: argocd.events(WEB, node=DEPLOYMENT)),
    ("044-clusters", lambda argocd: argocd.clusters()),
    ("048-projects", lambda argocd: argocd.projects()),
    ("053-can-i-yes", lambda argocd: argocd.can_i("applications", "sync", "dev/web-dev-aaaaaa")),
]


@pytest.mark.parametrize(("name", "call"), READS, ids=[name for name, _ in READS])
async def test_a_read_sends_the_recorded_request(name: str, call: Callable[[HttpArgoCD], Awaitable[Any]]) -> None:
    _, request = await replayed(name, call)
    method, path, query, _ = recorded(name)

    assert (method, path) == (request.method, request.path)
    wanted = [pair for pair in query if pair[0] != "fields"]
    assert wanted == [pair for pair in request.query if pair in wanted]
    assert {"appNamespace", "fields", "sourceIndex"} >= {key for key, _ in request.query} - {key for key, _ in wanted}


async def test_the_version_is_read() -> None:
    version, _ = await replayed("001-version", lambda argocd: argocd.version())
    assert "v99.99.99+unknown" == version.version


async def test_settings_say_more_to_who_is_logged_in() -> None:
    known, _ = await replayed("002-settings", lambda argocd: argocd.settings())
    anonymous, _ = await replayed("003-settings-anonymous", lambda argocd: argocd.settings())

    assert ("argocd", "annotation") == (known.controller_namespace, known.tracking_method)
    assert ("", "annotation") == (anonymous.controller_namespace, anonymous.tracking_method)


async def test_user_info_tells_who_we_are_and_that_we_are_nobody() -> None:
    admin, _ = await replayed("004-userinfo", lambda argocd: argocd.user_info())
    nobody, _ = await replayed("005-userinfo-anonymous", lambda argocd: argocd.user_info())
    viewer, _ = await replayed("082-viewer-userinfo", lambda argocd: argocd.user_info())

    assert (True, "admin", "argocd") == (admin.logged_in, admin.username, admin.iss)
    assert (False, "") == (nobody.logged_in, nobody.username)
    assert "viewer" == viewer.username


async def test_a_full_list_holds_everything_and_is_not_partial() -> None:
    apps, _ = await replayed("011-list-full", lambda argocd: argocd.list_applications(full=True))
    web = next(app for app in apps if app.key == WEB)

    assert ["api-dev-bbbbbb", "api-prod-dddddd", "tiphys-root", "web-dev-aaaaaa", "web-prod-cccccc"] == [app.metadata.name for app in apps]
    assert not any(app.partial for app in apps)
    assert [0, 1, 2, 3] == [entry.id for entry in web.status.history]
    assert "charts/service" == web.status.sync.compared_to["source"]["path"]


async def test_a_projected_list_is_marked_partial() -> None:
    apps, request = await replayed("012-list-fields", lambda argocd: argocd.list_applications())
    first = apps[0]

    assert 5 == len(apps)
    assert all(app.partial for app in apps)
    assert ("Synced", "Healthy", "fdb56dbc562069e1bf112675a73bf6b49ccd56df") == (
        first.status.sync.status,
        first.status.health.status,
        first.status.sync.revision,
    )
    assert ("busybox", "nginx:1.1") == first.status.summary.images
    assert ("dev", {"namespace": "dev", "name": "in-cluster"}) == (first.project, first.spec["destination"])
    assert None is first.metadata.deletion_timestamp
    fields = dict(request.query)["fields"].split(",")
    assert "items.spec" not in fields
    assert "items.spec.destination" in fields


async def test_an_older_server_is_asked_for_the_whole_spec() -> None:
    _, request = await replayed("012-list-fields", lambda argocd: argocd.list_applications(), version="v2.14.3+abcdef0")
    fields = dict(request.query)["fields"].split(",")

    assert "items.spec" in fields
    assert not [field for field in fields if field.startswith("items.spec.")]


async def test_kubectls_copy_of_the_object_is_not_kept() -> None:
    apps, _ = await replayed("011-list-full", lambda argocd: argocd.list_applications(full=True))
    one, _ = await replayed("019-get-app", lambda argocd: argocd.get_application(WEB))

    assert not [app for app in (*apps, one) if "kubectl.kubernetes.io/last-applied-configuration" in app.metadata.annotations]
    assert "tiphys-root:argoproj.io/Application:argocd/web-dev-aaaaaa" == one.metadata.annotations["argocd.argoproj.io/tracking-id"]


@pytest.mark.parametrize(
    "name", ["013-list-fields-typo", "014-list-selector", "017-list-projects", "018-list-unknown-parameter", "070-viewer-list"]
)
async def test_lists_of_bare_names_are_read(name: str) -> None:
    apps, _ = await replayed(name, lambda argocd: argocd.list_applications())
    assert [item["metadata"]["name"] for item in recording(name)["response"]["body"]["items"]] == [app.metadata.name for app in apps]


async def test_null_items_are_an_empty_list() -> None:
    missing, _ = await replayed("016-list-by-name-missing", lambda argocd: argocd.list_applications(name="no-such"))
    clusters, _ = await replayed("078-viewer-clusters", lambda argocd: argocd.clusters())

    assert ((), ()) == (missing, clusters)


@pytest.mark.parametrize("name", ["019-get-app", "020-get-app-project", "071-viewer-get-allowed"])
async def test_an_application_comes_whole(name: str) -> None:
    app, _ = await replayed(name, lambda argocd: argocd.get_application(WEB, project="dev"))

    assert (WEB, "dev", "web") == (app.key, app.project, app.label("tiphys.dev/app"))
    assert ("resources-finalizer.argocd.argoproj.io",) == app.metadata.finalizers
    assert not app.partial


async def test_an_operation_that_failed_is_read_with_its_reason() -> None:
    app, _ = await replayed("019-get-app", lambda argocd: argocd.get_application(WEB))
    state = app.status.operation_state

    assert ("Error", "bb2e98f50248e92a1e993284133c8e85465c5616") == (state.phase, state.sync_result.revision)
    assert "did not find expected node content" in state.message
    assert ["SyncError"] == [condition.type for condition in app.status.conditions]
    assert [True] == [resource.hook for resource in app.status.resources if resource.kind == "Job"]


async def test_several_sources_have_several_revisions() -> None:
    app, _ = await replayed("022-get-multi-source", lambda argocd: argocd.get_application(AppKey("argocd", "web-prod-cccccc")))

    assert ("", 2) == (app.status.sync.revision, len(app.status.sync.revisions))
    assert 2 == len(app.spec["sources"])


async def test_a_tree_has_pods_with_what_is_told_of_them() -> None:
    tree, _ = await replayed("027-tree", lambda argocd: argocd.resource_tree(WEB))
    pods = [node for node in tree.nodes if node.kind == "Pod"]

    assert {("Running", "ReplicaSet"), ("Completed", "Job")} == {(pod.about("Status Reason"), pod.parent_refs[0].kind) for pod in pods}
    assert "" == pods[0].about("Restart Count")


async def test_managed_resources_hold_both_states() -> None:
    diffs, _ = await replayed("028-managed-resources", lambda argocd: argocd.managed_resources(WEB))

    assert [("ConfigMap", True), ("Service", False), ("Deployment", False)] == [(diff.kind, diff.modified) for diff in diffs]
    assert all('"kind"' in diff.normalized_live_state and '"kind"' in diff.predicted_live_state for diff in diffs)


async def test_manifests_are_json_texts() -> None:
    manifests, _ = await replayed("029-manifests", lambda argocd: argocd.manifests(WEB))
    assert ["ConfigMap", "Service", "Deployment"] == [msgspec.json.decode(each)["kind"] for each in manifests][:3]


async def test_events_have_a_time_and_a_cause() -> None:
    events, _ = await replayed("030-events-app", lambda argocd: argocd.events(WEB))
    of_deployment, _ = await replayed("040-events-resource", lambda argocd: argocd.events(WEB, node=DEPLOYMENT))

    assert ("OperationStarted", 1, "Application") == (events[0].reason, events[0].count, events[0].involved_object.kind)
    assert all(event.at is not None for event in (*events, *of_deployment))
    assert {"Deployment"} == {event.involved_object.kind for event in of_deployment}


async def test_sync_windows_say_whether_a_manual_sync_may_run() -> None:
    windows, _ = await replayed("031-syncwindows", lambda argocd: argocd.sync_windows(WEB))
    assert (True, None, None) == (windows.can_sync, windows.active_windows, windows.assigned_windows)


async def test_a_commit_has_an_author_and_a_message() -> None:
    revision = "43ca35b6c55d52f168dcf6221324cbdff2888802"
    commit, _ = await replayed("033-revision-metadata", lambda argocd: argocd.revision_metadata(WEB, revision))
    assert ("rig <rig@example.test>", "fix yaml") == (commit.author, commit.message)


async def test_a_live_resource_is_a_json_text() -> None:
    text, _ = await replayed("036-resource", lambda argocd: argocd.resource(WEB, DEPLOYMENT))
    assert "Deployment" == msgspec.json.decode(text)["kind"]


async def test_actions_say_which_are_disabled_and_what_they_take() -> None:
    actions, _ = await replayed("038-resource-actions", lambda argocd: argocd.resource_actions(WEB, DEPLOYMENT))

    assert [("resume", True), ("scale", False), ("pause", False), ("restart", False)] == [(a.name, a.disabled) for a in actions]
    assert ["replicas"] == [parameter.name for parameter in actions[1].params]


async def test_a_cluster_has_a_connection_and_a_count() -> None:
    clusters, _ = await replayed("044-clusters", lambda argocd: argocd.clusters())
    assert [("in-cluster", "Successful", 5)] == [(c.name, c.info.connection_state.status, c.info.applications_count) for c in clusters]


@pytest.mark.parametrize("name", ["048-projects", "080-viewer-projects"])
async def test_projects_are_read(name: str) -> None:
    projects, _ = await replayed(name, lambda argocd: argocd.projects())
    dev = next(project for project in projects if project.metadata.name == "dev")
    assert ["http://127.0.0.1:9480/ws.git"] == dev.spec["sourceRepos"]


@pytest.mark.parametrize(("name", "may"), [("053-can-i-yes", True), ("081-viewer-can-i-no", False)])
async def test_a_right_is_yes_or_no(name: str, may: bool) -> None:
    answer, _ = await replayed(name, lambda argocd: argocd.can_i("applications", "sync", "dev/web-dev-aaaaaa"))
    assert may is answer


async def test_logs_that_the_kubelet_refuses_are_a_line() -> None:
    async def lines(argocd: HttpArgoCD) -> list[Any]:
        return [line async for line in argocd.logs(WEB, pod="web-dev-aaaaaa-749564f644-pdjcv", namespace="dev", container="main", tail=5)]

    found, request = await replayed("041-logs-pod", lines)

    assert [("no preferred addresses found; known addresses: []", "")] == [(line.content, line.pod_name) for line in found]
    assert {"podName": "web-dev-aaaaaa-749564f644-pdjcv", "container": "main", "tailLines": "5", "namespace": "dev"}.items() <= dict(
        request.query
    ).items()
