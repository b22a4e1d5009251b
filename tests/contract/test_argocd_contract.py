"""What Tiphys relies on of an Argo CD, held against every server there is: the sandbox and a real one answer alike.

Nothing here is taken from a recording; `conftest` says which servers take part.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import msgspec
import pytest

from backends.argocd.auth import FixedToken
from backends.argocd.endpoint import Endpoint
from backends.argocd.failures import NoSuchCall
from backends.argocd.http import HttpArgoCD, connect
from backends.argocd.projection import parse_version
from backends.argocd.types import Application, Node, WatchEvent
from backends.domain.ids import AppKey, is_sha
from backends.errors import BackendError, Conflict, Forbidden, Invalid, NotFound, Refused, Unauthorized
from backends.secret import Secret
from tests.contract.conftest import ArgoServer, settled

PATIENCE = 120.0


async def first(server: ArgoServer, wanted: Callable[[Application], bool]) -> Application:
    """The Application as the stream first shows it as wanted."""
    async with aclosing(server.argocd.watch_applications(name=server.application.name, read=PATIENCE)) as events:
        async for event in events:
            if event is not None and event.application.key == server.application and wanted(event.application):
                return event.application
    raise AssertionError("the stream ended")


async def idle(server: ArgoServer) -> Application:
    """The Application once no operation runs."""
    return await first(server, lambda app: app.operation is None and (app.status.operation_state is None or not _running(app)))


def _running(app: Application) -> bool:
    state = app.status.operation_state
    return state is not None and state.phase in ("Running", "Terminating")


async def deployment(server: ArgoServer) -> Node:
    """A live Deployment of the Application."""
    tree = await server.argocd.resource_tree(server.application, project=server.project)
    return next(node for node in tree.nodes or () if node.kind == "Deployment" and node.uid)


@asynccontextmanager
async def somebody(server: ArgoServer, token: str) -> AsyncIterator[HttpArgoCD]:
    """A client with another token; without one it is nobody."""
    source = FixedToken(Secret(token)) if token else None
    argocd = connect(Endpoint(url=server.place.url, token=source))
    try:
        yield argocd
    finally:
        await argocd.close()


async def refused(work: object) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await work  # type: ignore[misc]
    return caught.value


# who we are


async def test_the_version_can_be_read_by_anybody(argocd_server: ArgoServer) -> None:
    async with somebody(argocd_server, "") as nobody:
        assert parse_version((await nobody.version()).version) is not None


async def test_a_token_says_who_it_is_and_nobody_is_nobody(argocd_server: ArgoServer) -> None:
    assert (await argocd_server.argocd.user_info()).logged_in
    async with somebody(argocd_server, "") as nobody:
        assert not (await nobody.user_info()).logged_in


async def test_settings_tell_the_namespace_of_argo_cd_only_to_who_is_logged_in(argocd_server: ArgoServer) -> None:
    assert argocd_server.application.namespace == (await argocd_server.argocd.settings()).controller_namespace
    async with somebody(argocd_server, "") as nobody:
        assert "" == (await nobody.settings()).controller_namespace


@pytest.mark.parametrize("token", ["", "garbage", "a.b.c"])
async def test_without_a_good_token_nothing_is_listed(argocd_server: ArgoServer, token: str) -> None:
    async with somebody(argocd_server, token) as stranger:
        assert Unauthorized is type(await refused(stranger.list_applications()))
        with pytest.raises(Unauthorized):
            await anext(stranger.watch_applications())


async def test_an_administrator_may_sync(argocd_server: ArgoServer) -> None:
    argocd = argocd_server.argocd
    assert await argocd.can_i("applications", "sync", f"{argocd_server.project}/{argocd_server.application.name}")
    assert await argocd.can_i("applications", "sync")
    assert await argocd.can_i("clusters", "get")


# lists


async def test_a_list_shows_the_application_as_a_partial_row(argocd_server: ArgoServer) -> None:
    rows = await argocd_server.argocd.list_applications()
    row = next(app for app in rows if app.key == argocd_server.application)

    assert row.partial
    assert argocd_server.project == row.project
    assert row.status.sync.status in ("Synced", "OutOfSync")
    assert row.status.health.status
    assert row.metadata.creation_timestamp is not None
    assert row.spec["destination"]["namespace"]
    assert ("", None, None) == (row.metadata.uid, row.status.conditions, row.status.history)


async def test_a_full_list_lacks_nothing(argocd_server: ArgoServer) -> None:
    apps = await argocd_server.argocd.list_applications(full=True)
    app = next(app for app in apps if app.key == argocd_server.application)

    assert not app.partial
    assert app.metadata.uid
    assert app.status.history
    assert app.status.sync.compared_to


async def test_lists_are_narrowed_by_name_project_and_selector(argocd_server: ArgoServer) -> None:
    argocd, key = argocd_server.argocd, argocd_server.application
    labels = (await argocd.get_application(key, project=argocd_server.project)).metadata.labels or {}
    label, value = next(iter(labels.items()))

    assert [key] == [app.key for app in await argocd.list_applications(name=key.name)]
    assert () == await argocd.list_applications(name="no-such-application")
    assert key in [app.key for app in await argocd.list_applications(projects=[argocd_server.project])]
    assert () == await argocd.list_applications(projects=["no-such-project"])
    assert key in [app.key for app in await argocd.list_applications(selector=f"{label}={value}")]
    assert key not in [app.key for app in await argocd.list_applications(selector=f"{label}!={value}")]
    assert Invalid is type(await refused(argocd.list_applications(selector="a in (")))


async def test_clusters_and_projects_are_listed(argocd_server: ArgoServer) -> None:
    assert "in-cluster" in [cluster.name for cluster in await argocd_server.argocd.clusters()]
    assert argocd_server.project in [project.metadata.name for project in await argocd_server.argocd.projects()]


# one application, and the difference between missing and forbidden


async def test_an_application_comes_with_its_history(argocd_server: ArgoServer) -> None:
    app = await argocd_server.argocd.get_application(argocd_server.application, project=argocd_server.project)

    assert (argocd_server.application, argocd_server.project, False) == (app.key, app.project, app.partial)
    assert app.metadata.uid
    assert app.metadata.resource_version
    assert app.status.history
    assert app.status.reconciled_at is not None


async def test_missing_is_told_from_forbidden_only_with_a_project(argocd_server: ArgoServer) -> None:
    argocd, missing = argocd_server.argocd, AppKey(argocd_server.application.namespace, "no-such-application")
    bare = await refused(argocd.get_application(missing))
    wrong = await refused(argocd.get_application(argocd_server.application, project="no-such-project"))
    elsewhere = await refused(argocd.get_application(AppKey("no-such-namespace", argocd_server.application.name)))

    assert (Forbidden, True) == (type(bare), getattr(bare, "maybe_missing", None))
    assert NotFound is type(await refused(argocd.get_application(missing, project=argocd_server.project)))
    assert NotFound is type(wrong)
    assert Forbidden is type(elsewhere)


async def test_a_refresh_answers_after_the_comparison(argocd_server: ArgoServer) -> None:
    before = await idle(argocd_server)
    app = await argocd_server.argocd.get_application(argocd_server.application, project=argocd_server.project, refresh="normal")

    assert "argocd.argoproj.io/refresh" not in (app.metadata.annotations or {})
    assert before.status.reconciled_at is not None
    assert app.status.reconciled_at is not None
    assert app.status.reconciled_at >= before.status.reconciled_at


# what belongs to it


async def test_the_tree_names_the_pods_below_the_deployment(argocd_server: ArgoServer) -> None:
    tree = await argocd_server.argocd.resource_tree(argocd_server.application, project=argocd_server.project)
    kinds = {node.uid: node.kind for node in tree.nodes or ()}
    pods = [node for node in tree.nodes or () if node.kind == "Pod" and kinds.get((node.parent_refs or (Node(),))[0].uid) == "ReplicaSet"]

    assert pods
    assert all(pod.about("Status Reason") and pod.created_at and pod.images for pod in pods)


async def test_managed_resources_and_manifests_are_json_texts(argocd_server: ArgoServer) -> None:
    argocd, key, project = argocd_server.argocd, argocd_server.application, argocd_server.project
    diffs = await argocd.managed_resources(key, project=project)
    manifests = await argocd.manifests(key, project=project)
    live = await argocd.resource(key, await deployment(argocd_server), project=project)

    assert "Deployment" in [msgspec.json.decode(diff.normalized_live_state)["kind"] for diff in diffs if diff.normalized_live_state]
    assert "Deployment" in [msgspec.json.decode(manifest)["kind"] for manifest in manifests]
    assert "Deployment" == msgspec.json.decode(live)["kind"]


async def test_events_are_of_the_application_or_of_one_object(argocd_server: ArgoServer) -> None:
    argocd, key, node = argocd_server.argocd, argocd_server.application, await deployment(argocd_server)
    of_app = await argocd.events(key, project=argocd_server.project)
    of_node = await argocd.events(key, project=argocd_server.project, node=node)

    assert {"Application"} == {event.involved_object.kind for event in of_app}
    assert {"Deployment"} == {event.involved_object.kind for event in of_node}
    assert all(event.at is not None and event.reason for event in (*of_app, *of_node))


async def test_what_is_not_in_the_tree_is_not_found(argocd_server: ArgoServer) -> None:
    nowhere = Node(group="apps", version="v1", kind="Deployment", namespace="default", name="no-such", uid="no-such")
    error = await refused(argocd_server.argocd.resource(argocd_server.application, nowhere, project=argocd_server.project))
    assert NotFound is type(error)


async def test_a_commit_has_an_author_and_an_unknown_one_fails(argocd_server: ArgoServer) -> None:
    argocd, key = argocd_server.argocd, argocd_server.application
    commit = await argocd.revision_metadata(key, argocd_server.place.revision, project=argocd_server.project)

    assert commit.author
    assert commit.date is not None
    assert commit.message
    assert isinstance(await refused(argocd.revision_metadata(key, "0" * 40, project=argocd_server.project)), BackendError)


async def test_sync_windows_say_that_it_may_sync(argocd_server: ArgoServer) -> None:
    assert (await argocd_server.argocd.sync_windows(argocd_server.application, project=argocd_server.project)).can_sync


async def test_a_pod_has_logs(argocd_server: ArgoServer) -> None:
    tree = await argocd_server.argocd.resource_tree(argocd_server.application, project=argocd_server.project)
    pod = next(node for node in tree.nodes or () if node.kind == "Pod" and node.about("Status Reason") == "Running")
    lines = [
        line
        async for line in argocd_server.argocd.logs(
            argocd_server.application, project=argocd_server.project, pod=pod.name, namespace=pod.namespace, tail=3
        )
    ]

    assert lines
    assert len(lines) <= 3
    assert {pod.name} >= {line.pod_name for line in lines if line.pod_name}


# streams


async def test_a_stream_begins_with_every_application(argocd_server: ArgoServer) -> None:
    listed = {app.key for app in await argocd_server.argocd.list_applications()}
    seen: dict[AppKey, WatchEvent] = {}
    async with aclosing(argocd_server.argocd.watch_applications(read=PATIENCE)) as events:
        async for event in events:
            if event is not None:
                seen.setdefault(event.application.key, event)
            if seen.keys() >= listed:
                break

    event = seen[argocd_server.application]
    assert "ADDED" == event.type
    assert not event.application.partial
    assert event.application.metadata.uid
    assert event.application.metadata.resource_version
    assert event.application.status.sync.compared_to
    assert event.application.status.history
    assert event.application.status.reconciled_at


async def test_a_stream_of_rows_is_partial_and_still_says_which_version(argocd_server: ArgoServer) -> None:
    async with aclosing(argocd_server.argocd.watch_applications(name=argocd_server.application.name, rows=True, read=PATIENCE)) as events:
        event = await anext(events)

    assert event is not None
    assert event.application.partial
    assert event.application.metadata.resource_version
    assert argocd_server.project == event.application.project
    assert None is event.application.status.history


async def test_a_stream_with_a_selector_sends_only_what_it_selects(argocd_server: ArgoServer) -> None:
    app = await argocd_server.argocd.get_application(argocd_server.application, project=argocd_server.project)
    label, value = next(iter((app.metadata.labels or {}).items()))
    async with aclosing(argocd_server.argocd.watch_applications(selector=f"{label}={value}", read=PATIENCE)) as events:
        event = await anext(events)
    assert event is not None
    assert value == event.application.label(label)


async def test_a_tree_stream_tells_of_new_pods(argocd_server: ArgoServer) -> None:
    argocd, key, project = argocd_server.argocd, argocd_server.application, argocd_server.project
    node = await deployment(argocd_server)
    before = {each.uid for each in (await argocd.resource_tree(key, project=project)).nodes or ()}
    assert "restart" in [action.name for action in await argocd.resource_actions(key, node, project=project)]

    async with aclosing(argocd.watch_tree(key, project=project, read=PATIENCE)) as trees:
        waiting = asyncio.ensure_future(anext(trees))
        while not waiting.done():  # nothing is sent at connect, so keep it moving until something is
            await argocd.run_action(key, node, "restart", project=project)
            await asyncio.wait({waiting}, timeout=2)
        tree = await waiting
        while tree is None or not {each.uid for each in tree.nodes or () if each.kind == "Pod"} - before:
            tree = await anext(trees)
    assert tree.nodes


async def test_an_unknown_action_is_not_found(argocd_server: ArgoServer) -> None:
    node = await deployment(argocd_server)
    error = await refused(argocd_server.argocd.run_action(argocd_server.application, node, "fly", project=argocd_server.project))
    assert isinstance(error, NotFound | NoSuchCall)


async def test_a_live_resource_is_patched_and_deleted(argocd_server: ArgoServer) -> None:
    argocd, key, project, node = argocd_server.argocd, argocd_server.application, argocd_server.project, await deployment(argocd_server)
    await argocd.patch_resource(key, node, '{"metadata":{"annotations":{"example.test/patched":"yes"}}}', project=project)
    live = msgspec.json.decode(await argocd.resource(key, node, project=project))
    assert "yes" == live["metadata"]["annotations"]["example.test/patched"]

    tree = await argocd.resource_tree(key, project=project)
    pod = next(each for each in tree.nodes or () if each.kind == "Pod" and each.about("Status Reason") == "Running")
    await argocd.delete_resource(key, pod, project=project)
    async with asyncio.timeout(PATIENCE):
        while pod.uid in {each.uid for each in (await argocd.resource_tree(key, project=project)).nodes or ()}:
            await asyncio.sleep(0.1)


# operations


async def test_a_sync_runs_to_its_end_and_enters_history(argocd_server: ArgoServer) -> None:
    before = await idle(argocd_server)
    accepted = await argocd_server.argocd.sync(argocd_server.application, project=argocd_server.project)
    assert accepted.operation is not None

    running = await first(argocd_server, _running)
    assert running.status.operation_state is not None
    app = await idle(argocd_server)
    state = app.status.operation_state
    assert state is not None
    assert "Succeeded" == state.phase
    assert state.finished_at is not None
    assert state.sync_result is not None
    assert is_sha(state.sync_result.revision or (state.sync_result.revisions or ("",))[-1])
    assert (before.status.history or ())[-1].id < (app.status.history or ())[-1].id


async def test_one_operation_at_a_time_and_it_can_be_terminated(argocd_server: ArgoServer) -> None:
    argocd, key, project = argocd_server.argocd, argocd_server.application, argocd_server.project
    await idle(argocd_server)
    await argocd.sync(key, project=project)
    await first(argocd_server, _running)

    assert Conflict is type(await refused(argocd.sync(key, project=project)))
    await argocd.terminate(key, project=project)
    app = await idle(argocd_server)
    assert app.status.operation_state is not None
    assert ("Failed", "Operation terminated") == (app.status.operation_state.phase, app.status.operation_state.message)
    assert Refused is type(await refused(argocd.terminate(key, project=project)))

    await argocd.sync(key, project=project)
    await settled(argocd, argocd_server.place)


async def test_a_dry_run_is_an_operation_that_changes_nothing(argocd_server: ArgoServer) -> None:
    before = await idle(argocd_server)
    accepted = await argocd_server.argocd.sync(argocd_server.application, project=argocd_server.project, dry_run=True)
    assert accepted.operation is not None
    assert accepted.operation.sync is not None
    assert accepted.operation.sync.dry_run

    await first(argocd_server, lambda app: app.operation is None and app.status.operation_state is not None)
    app = await idle(argocd_server)
    assert [entry.id for entry in before.status.history or ()] == [entry.id for entry in app.status.history or ()]


async def test_a_wrong_sync_is_refused(argocd_server: ArgoServer) -> None:
    missing = AppKey(argocd_server.application.namespace, "no-such-application")
    assert NotFound is type(await refused(argocd_server.argocd.sync(missing, project=argocd_server.project)))
    await idle(argocd_server)
    error = await refused(argocd_server.argocd.sync(argocd_server.application, project=argocd_server.project, revision="no-such-branch"))
    assert Refused is type(error)


# setting up


async def test_projects_and_applications_are_put_twice_without_a_change(argocd_server: ArgoServer) -> None:
    argocd, place = argocd_server.argocd, argocd_server.place
    app = await argocd.get_application(place.application, project=place.project)
    project = next(each for each in await argocd.projects() if each.metadata.name == place.project)
    await argocd.create_project({"metadata": {"name": place.project}, "spec": project.spec})
    manifest = {
        "metadata": {
            "name": place.application.name,
            "labels": app.metadata.labels or {},
            "finalizers": list(app.metadata.finalizers or ()),
        },
        "spec": app.spec,
    }

    again = await argocd.create_application(manifest, validate=False)
    assert (app.metadata.uid, app.spec) == (again.metadata.uid, again.spec)
    changed = {**manifest, "spec": {**app.spec, "revisionHistoryLimit": 7}}
    assert Conflict is type(await refused(argocd.create_application(changed, upsert=False, validate=False)))


async def test_an_application_without_a_cluster_or_a_repository_is_invalid(argocd_server: ArgoServer) -> None:
    argocd, place = argocd_server.argocd, argocd_server.place
    app = await argocd.get_application(place.application, project=place.project)
    nowhere = {**app.spec, "destination": {"name": "no-such-cluster", "namespace": "default"}}
    assert Invalid is type(await refused(argocd.create_application({"metadata": {"name": "contract-bad"}, "spec": nowhere})))


async def test_an_application_is_created_without_anything_running_and_deleted(argocd_server: ArgoServer) -> None:
    argocd, place = argocd_server.argocd, argocd_server.place
    app = await argocd.get_application(place.application, project=place.project)
    spec = {key: value for key, value in app.spec.items() if key != "syncPolicy"}
    key = AppKey(place.application.namespace, f"{place.application.name}-b")

    created = await argocd.create_application({"metadata": {"name": key.name}, "spec": spec}, validate=False)
    assert (key, None) == (created.key, created.operation)
    await argocd.delete_application(key, project=place.project, cascade=False)
    async with asyncio.timeout(PATIENCE):
        while await argocd.list_applications(name=key.name):
            await asyncio.sleep(0.05)
    assert NotFound is type(await refused(argocd.get_application(key, project=place.project)))
