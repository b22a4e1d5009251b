"""The fleet that a sandbox starts with: believable, with some of it unwell for reasons that can be found."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.gitops import catalog
from backends.gitops.repo import Repo
from backends.gitops.tree import Tree
from backends.sandbox import scenarios
from backends.sandbox.clock import parse
from backends.sandbox.objects import Key, Manifest, dig
from backends.sandbox.past import IDS, SLUG
from backends.sandbox.sandbox import Options, Sandbox
from tests.sandbox.virtual import VirtualLoop


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A prepared sandbox's Applications, pods and problems, with how it was made."""
    folder = tmp_path_factory.mktemp("fleet") / "kept"

    async def make() -> dict[str, Any]:
        sandbox = Sandbox(Options(folder=folder), timer=asyncio.get_running_loop().time)
        assert SLUG == await scenarios.prepare(sandbox, empty=False)
        sandbox.start()
        await asyncio.sleep(5)
        shown = {name: sandbox.applications.shown(name) for name in sandbox.applications.names()}
        applications = {name: one.document() for name, one in shown.items() if one is not None}
        await sandbox.close()
        return {"sandbox": sandbox, "applications": applications, "folder": folder}

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(make())


@pytest.fixture
def applications(fleet: dict[str, Any]) -> dict[str, Manifest]:
    found: dict[str, Manifest] = fleet["applications"]
    return found


def state(application: Manifest) -> tuple[str, str]:
    return str(dig(application, "status", "sync", "status")), str(dig(application, "status", "health", "status"))


def test_it_has_two_clusters_three_environments_eight_apps_and_an_add_on(fleet: dict[str, Any], applications: dict[str, Manifest]) -> None:
    assert {*IDS.values(), "tiphys-harbor", *(f"tiphys-harbor--{name}" for name in ("dev", "staging", "prod"))} == applications.keys()
    assert 22 == len(IDS)
    assert {"in-cluster", "eu-1"} == {dig(one, "spec", "destination", "name") for one in applications.values()}
    assert ["in-cluster", "eu-1"] == [cluster.name for cluster in fleet["sandbox"].fleet.clusters]


def test_most_of_it_is_well_and_what_is_not_has_its_state(applications: dict[str, Manifest]) -> None:
    unwell = {name: state(one) for name, one in applications.items() if state(one) != ("Synced", "Healthy")}
    assert {
        "checkout-dev-a7s5pr": ("Synced", "Degraded"),
        "shop-api-dev-w4n2yb": ("Synced", "Degraded"),
        "payments-dev-h2h5ay": ("OutOfSync", "Healthy"),
        "notifications-dev-l5d2eb": ("Unknown", "Healthy"),
        "catalog-prod-n7a4gd": ("OutOfSync", "Healthy"),
        "search-staging-f6k3yw": ("OutOfSync", "Healthy"),
        "web-staging-p2m5vd": ("OutOfSync", "Healthy"),
    } == unwell


def test_each_cause_can_be_found(fleet: dict[str, Any], applications: dict[str, Manifest]) -> None:
    home = fleet["sandbox"].fleet.home
    reasons = {
        dig(pod, "metadata", "labels", "app.kubernetes.io/instance"): dig(
            pod, "status", "containerStatuses", 0, "state", "waiting", "reason"
        )
        for pod in home.of_kind("Pod")
        if dig(pod, "status", "containerStatuses", 0, "state", "waiting")
    }
    assert {"checkout-dev-a7s5pr": "CrashLoopBackOff", "shop-api-dev-w4n2yb": "ImagePullBackOff"} == reasons
    hook = dig(applications["payments-dev-h2h5ay"], "status", "operationState")
    assert ("Failed", 5) == (hook["phase"], hook["retryCount"])
    assert "Job has reached the specified backoff limit" in [one.get("message") for one in hook["syncResult"]["resources"]]
    (broken,) = dig(applications["notifications-dev-l5d2eb"], "status", "conditions")
    assert "error converting YAML to JSON" in broken["message"]
    assert False is dig(applications["catalog-prod-n7a4gd"], "spec", "syncPolicy", "automated", "enabled")
    drifted = home.get(Key("apps", "Deployment", "search-staging", "search-staging-f6k3yw"))
    assert 4 == dig(drifted, "spec", "replicas")


def test_its_past_lies_in_the_past_and_is_in_order(applications: dict[str, Manifest]) -> None:
    now = datetime.now(UTC)
    for name, one in applications.items():
        times = [parse(entry["deployedAt"]) for entry in dig(one, "status", "history", default=[])]
        assert times, name
        assert sorted(times) == times
        assert parse(one["metadata"]["creationTimestamp"]) < times[0] + timedelta(seconds=1)
        assert times[-1] < now
    ages = {now - parse(dig(one, "status", "history", 0, "deployedAt")) for one in applications.values()}
    assert timedelta(days=20) < max(ages) < timedelta(days=24)
    assert 3 <= max(len(dig(one, "status", "history", default=[])) for one in applications.values())


def test_its_repository_reads_without_problems_but_for_the_broken_file(fleet: dict[str, Any], tmp_path: Path) -> None:
    repo = Repo.open(fleet["sandbox"].repo_url, cache_dir=tmp_path)
    repo.fetch()
    tree: Tree = repo.tree()
    found = catalog.read(tree)

    assert sorted(IDS.values()) == sorted(str(name) for name in found.deployments)
    assert {"web", "shop-api", "checkout", "search", "payments", "notifications", "catalog", "exporter"} == {str(app) for app in found.apps}
    assert all("notifications-dev-l5d2eb" in problem.path for problem in found.problems)
    authors = {commit.author for commit in repo.log()}
    assert 4 <= len(authors)
