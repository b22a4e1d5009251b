"""The sandbox goes through what a real server went through: the same sequence of sync, health, phase and requested operation.

Repeats are dropped; an operation that is requested counts as running, since which of the two a message shows is a matter of a
hundredth of a second on the real server too. Where that holds for a whole self-heal after a sync, self-heals are looked past.
"""

from typing import Any

import pytest

from backends.domain.app import App, AppImage, Chart
from backends.gitops.intents import CreateApp
from backends.sandbox.objects import Key, dig, with_
from tests.sandbox.rig import (
    MANAGER,
    SHOP_DEV,
    SHOP_PROD,
    WEB_DEV,
    Rig,
    as_if_healed,
    is_heal,
    messages,
    state_of,
    without_repeats,
)
from tests.shared import stream

OLD_LAYOUT = "web-dev-aaaaaa"
"""The Application that the older recordings follow."""


def recorded(name: str, application: str, *, begin: float = 0.0, end: float = 1e9, heals: bool = True) -> list[tuple[Any, ...]]:
    states = []
    for line in stream(name):
        if line.get("stream") == "apps" and "data" in line and begin <= line["t"] <= end:
            result = line["data"]["result"]
            if result["application"]["metadata"]["name"] == application:
                state = state_of(result["type"], result["application"])
                states.append(state if heals or not is_heal(result["application"]) else as_if_healed(state))
    return taken_up(states)


def taken_up(states: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """A requested operation counts as one that runs."""
    return without_repeats([(*state[:2], "Running", True) if len(state) == 4 and state[3] and not state[2] else state for state in states])


def hook_job(rig: Rig) -> object:
    return rig.sandbox.fleet.home.get(Key("batch", "Job", "web-dev", f"{WEB_DEV}-migrate"))


def message(rig: Rig, name: str) -> str:
    return str(dig(rig.app(name), "status", "operationState", "message", default=""))


async def test_a_good_deploy(rig: Rig) -> None:
    place = rig.mark()
    rig.deploy(WEB_DEV, "2.0.0")
    answered = await rig.refresh(WEB_DEV)
    await rig.settle()

    assert recorded("deploy-good", OLD_LAYOUT) == taken_up(rig.states(WEB_DEV, place))
    assert "OutOfSync" == answered["status"]["sync"]["status"]  # the refresh is answered after the comparison
    assert [
        f"waiting for deletion of hook batch/Job/{WEB_DEV}-migrate",
        f"waiting for completion of hook batch/Job/{WEB_DEV}-migrate",
        "successfully synced (all tasks run)",
    ] == list(messages(rig, WEB_DEV, place))[1:]


async def test_a_commit_that_changes_nothing_for_an_application(rig: Rig) -> None:
    before = rig.app(WEB_DEV)
    place = rig.mark()
    commit = rig.branch.write({"README.md": "hello\n"}, "words")
    after = await rig.refresh(WEB_DEV)

    assert [("Synced", "Healthy", "Succeeded", False)] == rig.states(WEB_DEV, place)
    assert commit == after["status"]["sync"]["revision"]
    assert before["status"]["operationState"] == after["status"]["operationState"]
    assert before["status"]["history"] == after["status"]["history"]


async def test_a_push_while_an_operation_runs_is_applied_by_a_partial_one(rig: Rig) -> None:
    place = rig.mark()
    entries = len(rig.app(WEB_DEV)["status"]["history"])
    first = rig.deploy(WEB_DEV, "5.0.0")
    await rig.refresh(WEB_DEV)
    await rig.until(lambda: "hook" in message(rig, WEB_DEV) and hook_job(rig))
    second = rig.deploy(WEB_DEV, "5.0.1")
    await rig.refresh(WEB_DEV)
    await rig.settle()

    assert recorded("push-during-operation", WEB_DEV, end=17.1) == taken_up(rig.states(WEB_DEV, place))
    status = rig.app(WEB_DEV)["status"]
    assert [first] == [entry["revision"] for entry in status["history"][entries:]]
    assert second == status["operationState"]["syncResult"]["revision"]
    assert [{"group": "apps", "kind": "Deployment", "name": WEB_DEV}, {"group": "batch", "kind": "Job", "name": f"{WEB_DEV}-migrate"}] == (
        status["operationState"]["operation"]["sync"]["resources"]
    )


async def test_a_child_refreshed_before_its_manager_runs_the_old_spec_first(rig: Rig) -> None:
    old, new = "charts/service/1.0.0", "charts/service/1.1.0"
    chart = {path.replace(old, new): rig.branch.read(path) for path in rig.branch.tree.paths(old)}
    chart[f"{new}/templates/service.yaml"] = chart[f"{new}/templates/service.yaml"].replace("port: 80,", "port: 81,")
    rig.branch.write(chart, "another version of the chart")
    child, manager = rig.mark(), len(rig.seen)
    files = {f"{rig.folder(WEB_DEV)}/{name}": "" for name in ("application.yaml", "values.release.yaml")}
    files = {path: rig.branch.read(path).replace(old, new).replace('"1.0.0"', '"1.0.1"') for path in files}
    rig.branch.write(files, "the chart and a value move")
    await rig.refresh(WEB_DEV)
    await rig.until(lambda: "completion of hook" in message(rig, WEB_DEV))
    assert old == rig.app(WEB_DEV)["spec"]["source"]["path"]
    await rig.refresh(MANAGER)
    await rig.settle()

    first_part = recorded("spec-change-child-refreshed-first", WEB_DEV, end=16.2)
    assert first_part == taken_up(rig.states(WEB_DEV, child))[: len(first_part)]
    assert recorded("spec-change-child-refreshed-first", MANAGER, begin=0.01) == taken_up(rig.states(MANAGER, manager - 7))
    assert new == rig.app(WEB_DEV)["spec"]["source"]["path"]


async def test_a_file_outside_the_generate_paths_stays_stale_until_a_hard_refresh(rig: Rig) -> None:
    place = rig.mark()
    rig.edit(f"{rig.folder(SHOP_DEV)}/application.yaml", "/environments/dev/values.yaml;", "")
    await rig.refresh(MANAGER)
    await rig.settle()
    await rig.refresh(SHOP_DEV)
    await rig.settle()
    commit = rig.branch.write({"environments/dev/values.yaml": 'env: {LOG_LEVEL: "trace"}\n'}, "a file that it does not name")
    stale = await rig.refresh(SHOP_DEV)
    assert ("Synced", commit) == (stale["status"]["sync"]["status"], stale["status"]["sync"]["revision"])
    await rig.refresh(SHOP_DEV, "hard")
    await rig.settle()

    assert recorded("file-outside-generate-paths", SHOP_DEV) == taken_up(rig.states(SHOP_DEV, place))
    deployment = rig.sandbox.fleet.home.get(Key("apps", "Deployment", "shop-api-dev", SHOP_DEV))
    assert [{"name": "LOG_LEVEL", "value": "trace"}] == dig(deployment, "spec", "template", "spec", "containers", 0, "env")


async def test_a_first_deploy_and_its_end(rig: Rig) -> None:
    name = "new-dev-abcdef"
    chart, repository = Chart(path="charts/service", version="1.0.0"), "registry.example.org/acme/new"
    rig.branch.run(CreateApp(app=App(name="new", chart=chart, images={"main": AppImage(repository=repository)})))
    rig.deploy(name, "1.0.0", repository=repository, new=True)
    rig.edit(f"{rig.folder(name)}/values.yaml", r"\{\}", 'migrate: {image: "migrate:1"}')
    await rig.refresh(MANAGER)
    await rig.settle()
    states = taken_up(rig.states(name))
    expected = recorded("create-then-delete-directory", "tmp-dev-eeeeee", end=19.4)
    # it flashes OutOfSync, before the workload itself was seen, then heals itself; what health is told first is a matter of milliseconds
    assert states in (expected, expected[:3] + expected[4:])

    gone = rig.mark()
    rig.branch.write(dict.fromkeys(rig.branch.tree.paths(rig.folder(name))), "its end")
    await rig.refresh(MANAGER)
    await rig.settle()
    assert ("DELETED",) == rig.states(name, gone)[-1]
    assert ("OutOfSync", "Progressing", "Succeeded", False) in rig.states(name, gone)
    assert ("OutOfSync", "Progressing", "Succeeded", False) in rig.states(MANAGER, gone)
    assert ("Synced", "Healthy", "Succeeded", False) == rig.states(MANAGER, gone)[-1]


async def test_a_whole_environment_is_not_pruned_by_itself(rig: Rig) -> None:
    manager = "tiphys-acme--prod"
    place = rig.mark()
    commit = rig.branch.write({p: None for p in rig.branch.tree.paths("deployments/prod") if not p.endswith(".gitkeep")}, "all of it")
    refused = await rig.refresh(manager)
    assert [f"Skipping sync attempt to [{commit}]: auto-sync will wipe out all resources"] == [
        one["message"] for one in refused["status"]["conditions"]
    ]
    rig.request_sync(manager, prune=True)
    await rig.settle()

    assert recorded("delete-all-of-an-environment", manager, end=13.0) == taken_up(rig.states(manager, place))
    assert "conditions" not in rig.app(manager)["status"]


async def test_a_crash_loop_stays_progressing_and_a_rollback_is_quick(rig: Rig) -> None:
    place = rig.mark()
    rig.deploy(SHOP_PROD, "crash-1")
    await rig.refresh(SHOP_PROD)
    await rig.until(lambda: "2" in restarts(rig, SHOP_PROD))
    rig.deploy(SHOP_PROD, "1.0.0")
    await rig.refresh(SHOP_PROD)
    await rig.settle()

    expected = recorded("crash-loop-then-rollback", SHOP_PROD, begin=0.08, heals=False)
    assert expected == taken_up(rig.states(SHOP_PROD, place, heals=False))


def restarts(rig: Rig, name: str) -> set[str]:
    nodes = rig.sandbox.applications.trees[name]["nodes"]
    return {item["value"] for node in nodes for item in node.get("info", ()) if item["name"] == "Restart Count"}


async def test_a_manifest_error_and_its_fix(rig: Rig) -> None:
    place = rig.mark()
    values = f"{rig.folder(WEB_DEV)}/values.yaml"
    bad = rig.branch.write({values: "replicas: [\n"}, "broken")
    answered = await rig.refresh(WEB_DEV)
    assert ("Unknown", "main") == (answered["status"]["sync"]["status"], answered["status"]["sync"]["revision"])
    rig.request_sync(WEB_DEV)
    await rig.settle()
    rig.branch.write({values: "replicas: 3\n"}, "mended")
    stuck = await rig.refresh(WEB_DEV)
    await rig.settle()

    assert recorded("manifest-error", OLD_LAYOUT, end=57.0) == taken_up(rig.states(WEB_DEV, place))
    condition = stuck["status"]["conditions"][0]
    assert "SyncError" == condition["type"]
    assert condition["message"].startswith(f"Failed last sync attempt to [{bad}]: ComparisonError: Failed to load target state: ")


async def test_a_failing_hook_is_retried_terminated_and_mended(rig: Rig) -> None:
    place = rig.mark()
    values = f"{rig.folder(WEB_DEV)}/values.yaml"
    bad = rig.branch.write({values: 'migrate: {image: "fail:1"}\nreplicas: 1\n'}, "a hook that fails")
    await rig.refresh(WEB_DEV)
    await rig.until(lambda: dig(rig.app(WEB_DEV), "status", "operationState", "retryCount") == 2 and "completion" in message(rig, WEB_DEV))
    rig.sandbox.applications.change(WEB_DEV, lambda app: with_(app, "Terminating", "status", "operationState", "phase"))
    await rig.settle()
    assert [f"Failed last sync attempt to [{bad}]: Operation terminated (retried 2 times)."] == [
        one["message"] for one in rig.app(WEB_DEV)["status"]["conditions"]
    ]
    rig.branch.write({values: 'migrate: {image: "migrate:2"}\nreplicas: 1\n'}, "mended")
    await rig.refresh(WEB_DEV)
    await rig.settle()

    assert recorded("hook-fails", OLD_LAYOUT) == taken_up(rig.states(WEB_DEV, place))
    said = list(messages(rig, WEB_DEV, place))
    assert "Retrying operation. Attempt #1" in said
    waits = next(text for text in said if "Retrying attempt #1 at" in text)
    assert waits.startswith("one or more synchronization tasks completed unsuccessfully. Retrying attempt #1 at ")
    held = [
        look for look in rig.seen[place:] if look.name == WEB_DEV and dig(look.application, "status", "operationState", "message") == waits
    ]
    assert ("Running", True) == (held[0].state[2], "finishedAt" in held[0].application["status"]["operationState"])


async def test_a_terminated_operation_is_not_tried_again_by_itself(rig: Rig) -> None:
    place = rig.mark()
    rig.deploy(WEB_DEV, "2")
    await rig.refresh(WEB_DEV)
    await rig.until(lambda: dig(rig.app(WEB_DEV), "status", "operationState", "phase") == "Running")
    rig.sandbox.applications.change(WEB_DEV, lambda app: with_(app, "Terminating", "status", "operationState", "phase"))
    await rig.settle()
    await rig.refresh(WEB_DEV)
    await rig.settle()
    rig.request_sync(WEB_DEV)
    await rig.settle()

    assert recorded("terminate-running", OLD_LAYOUT, heals=False) == taken_up(rig.states(WEB_DEV, place, heals=False))


async def test_a_live_edit_is_healed(rig: Rig) -> None:
    place = rig.mark()
    key = Key("apps", "Deployment", "web-dev", WEB_DEV)
    rig.sandbox.fleet.home.edit(key, lambda obj: with_(obj, 5, "spec", "replicas"), manager="kubectl")
    await rig.until(lambda: rig.states(WEB_DEV, place)[-1] != ("Synced", "Healthy", "Succeeded", False))
    await rig.settle()

    expected = recorded("live-edit-self-healed", OLD_LAYOUT, end=15.0)
    assert [state for state in expected if state != ("Synced", "Progressing", "Succeeded", False)] == [
        state for state in taken_up(rig.states(WEB_DEV, place)) if state != ("Synced", "Progressing", "Succeeded", False)
    ]
    assert 2 == dig(rig.sandbox.fleet.home.get(key), "spec", "replicas")


async def test_an_edit_of_a_child_application_is_healed_by_its_manager(rig: Rig) -> None:
    place = rig.mark()
    rig.sandbox.applications.change(WEB_DEV, lambda app: with_(app, None, "spec", "syncPolicy", "automated"))
    await rig.until(lambda: "automated" in rig.app(WEB_DEV)["spec"]["syncPolicy"])
    await rig.settle()

    expected = recorded("live-edit-self-healed", "tiphys-root", end=16.31)
    assert expected == taken_up(rig.states(MANAGER, place))[: len(expected)]


@pytest.mark.parametrize("tag", ["never-1", "crash-2"])
async def test_what_never_gets_ready_is_degraded_after_its_deadline(rig: Rig, tag: str) -> None:
    rig.edit("apps/shop-api/values.yaml", "replicas: 2", "replicas: 2\nprogressDeadlineSeconds: 15")
    rig.deploy(SHOP_PROD, tag)
    await rig.refresh(SHOP_PROD)
    await rig.until(lambda: rig.app(SHOP_PROD)["status"]["health"]["status"] == "Degraded")
    tree = rig.sandbox.applications.trees[SHOP_PROD]
    deployment = next(node for node in tree["nodes"] if node["kind"] == "Deployment")
    assert {"status": "Degraded", "message": f'Deployment "{SHOP_PROD}" exceeded its progress deadline'} == deployment["health"]
