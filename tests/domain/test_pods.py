"""Which pods are the release's, and what is wrong with them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from backends.argocd.types import ResourceTree
from backends.domain import pods
from tests.contract.replay import Recording
from tests.domain.looks import NOW, PUSH, pod, replicaset, tree


def names(one: ResourceTree, **more: Any) -> list[str]:
    return [node.name for node in pods.of_release(one, **more)]


def of(*nodes: dict[str, Any]) -> ResourceTree:
    return msgspec.convert({"nodes": nodes}, ResourceTree)


def test_pods_of_the_newest_replicaset_are_the_releases() -> None:
    assert ["new"] == names(tree(pod("old", "Running", owner="rs-1"), pod("new", "Running")))


def test_a_revived_replicaset_is_the_newest_by_revision_not_by_age() -> None:
    revived = of(
        replicaset("old", 3, created=-600),
        replicaset("new", 2, created=0),
        pod("a", "Running", owner="old"),
        pod("b", "Running", owner="new"),
    )
    assert ["a"] == names(revived)


def test_without_revisions_the_youngest_replicaset_counts() -> None:
    first, second = replicaset("one", 0, created=0), replicaset("two", 0, created=5)
    bare = [{**node, "info": []} for node in (first, second)]
    assert ["b"] == names(of(*bare, pod("a", "Running", owner="one"), pod("b", "Running", owner="two")))


def test_each_owner_has_its_own_newest_replicaset() -> None:
    nodes = (
        replicaset("web", 2, owner="web"),
        replicaset("db", 1, owner="db"),
        pod("a", "Running", owner="web"),
        pod("b", "Running", owner="db"),
    )
    assert ["a", "b"] == names(of(*nodes))


@pytest.mark.parametrize(("kind", "expected"), [("StatefulSet", ["a"]), ("DaemonSet", ["a"]), ("Job", [])])
def test_pods_of_stateful_and_daemon_sets_count_and_those_of_jobs_do_not(kind: str, expected: list[str]) -> None:
    assert expected == names(of({"kind": kind, "uid": "x", "name": "x"}, pod("a", "Running", owner="x")))


@pytest.mark.parametrize("gone", [{"reason": "Terminating"}, {"reason": "Running", "message": "Pending deletion"}])
def test_terminating_pods_never_count(gone: dict[str, str]) -> None:
    assert [] == names(tree(pod("a", **gone)))


def test_only_pods_created_since_the_operation_count_when_asked() -> None:
    one = tree(pod("before", "Running", created=9), pod("at", "Running", created=10), pod("after", "Running", created=11))
    assert ["at", "after"] == names(one, since=PUSH + timedelta(seconds=10))


def test_no_tree_has_no_pods() -> None:
    assert () == pods.of_release(None)
    assert "" == str(pods.readiness(None))


def test_readiness_counts_what_the_workload_wants_and_not_what_failed() -> None:
    said = "Waiting for rollout to finish: 1 out of 3 new replicas have been updated..."
    workload = {"kind": "Deployment", "name": "web", "uid": "web", "health": {"status": "Progressing", "message": said}}
    ready = pod("a", "Running", health="Healthy", Containers="1/1")
    assert "1/3 ready" == str(pods.readiness(tree(workload, ready, pod("b", "containerFailed", health="Degraded"))))
    assert "1/1 ready" == str(pods.readiness(tree(ready)))
    assert "Deployment web: 1 out of 3 new replicas have been updated" == pods.waits(tree(workload))


@pytest.mark.parametrize(
    ("reason", "info", "kind"),
    [
        ("CrashLoopBackOff", {}, "crash"),
        ("OOMKilled", {"Restart_Count": "1"}, "crash"),
        ("Error", {}, "failed"),
        ("Init:ErrImagePull", {}, "image"),
        ("CreateContainerConfigError", {}, "config"),
        ("containerFailed", {}, "failed"),
    ],
)
def test_troubles_are_told_by_kind(reason: str, info: dict[str, str], kind: str) -> None:
    found = pods.troubles(tree(pod("a", reason, health="Degraded", **info)).nodes[2:], now=NOW)
    assert [kind] == [str(one.kind) for one in found]


def test_a_pod_without_a_node_is_trouble_after_ten_seconds() -> None:
    waiting = tree(pod("a", "Pending", Node="", created=0)).nodes[2:]
    assert () == pods.troubles(waiting, now=PUSH + timedelta(seconds=9))
    assert ["a: waits for a node"] == [one.sentence() for one in pods.troubles(waiting, now=PUSH + timedelta(seconds=10))]


def test_a_pod_that_runs_and_is_not_ready_is_worth_a_word_and_no_alarm() -> None:
    found = pods.troubles(tree(pod("a", "Running", created=0)).nodes[2:], now=NOW)
    assert [("a: runs and is not ready", False)] == [(one.sentence(), one.kind.alarming) for one in found]
    assert () == pods.troubles(tree(pod("a", "Running", health="Healthy", Containers="1/1")).nodes[2:], now=NOW)
    assert () == pods.degrading(found)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Caused by apps/Deployment:web-prod/web", "waits for Deployment web"),
        (
            "Caused by /Service:web-prod/web, apps/StatefulSet:db/db and 2 more resources",
            "waits for Service web, StatefulSet db and 2 more resources",
        ),
        ("something else: apps", "something else: apps"),
        ("", ""),
    ],
)
def test_the_cause_of_a_health_is_told_as_people_name_resources(message: str, expected: str) -> None:
    assert expected == pods.cause(message)


@pytest.mark.parametrize(
    "message",
    [
        "Waiting for rollout to finish: observed deployment generation less than desired generation",
        "Waiting for statefulset spec update to be observed...",
        "Waiting for rollout to finish: observed daemon set generation less than desired generation",
    ],
)
def test_pods_of_before_are_not_counted_for_a_specification_nobody_has_begun_with(message: str) -> None:
    workload = {"kind": "Deployment", "uid": "web", "name": "web", "health": {"status": "Progressing", "message": message}}
    assert "" == str(pods.readiness(tree(workload, pod("a", "Running", health="Healthy", Containers="1/1"))))


def test_a_broken_pod_of_before_holds_a_stateful_set_up() -> None:
    workload = {"kind": "StatefulSet", "uid": "db", "name": "db", "health": {"status": "Progressing", "message": "Waiting for 1 pods"}}
    stuck = tree(workload, pod("db-1", "CrashLoopBackOff", owner="db", created=-60, health="Degraded", Restart_Count="6"))
    sentence = "a pod of the release before holds it up until it is deleted: db-1: CrashLoopBackOff, 6 restarts"

    assert [sentence, ""] == [pods.blocked(stuck, since=PUSH, now=PUSH + timedelta(seconds=at)) for at in (10, 9)]
    assert "" == pods.blocked(stuck, since=PUSH - timedelta(seconds=61), now=NOW)
    assert "" == pods.blocked(stuck, since=None, now=NOW)


def test_the_worst_comes_first() -> None:
    crash = pod("z", "CrashLoopBackOff", health="Degraded", Restart_Count="3")
    found = pods.troubles(tree(pod("a", "containerFailed", health="Degraded"), crash).nodes[2:], now=NOW)
    assert ["z", "a"] == [one.name for one in found]


def test_hostile_counts_and_names_do_no_harm() -> None:
    found = pods.troubles(tree(pod("\x1b[31m", "CrashLoopBackOff", health="Degraded", Restart_Count="9" * 5000)).nodes[2:], now=NOW)
    assert ["�[31m: CrashLoopBackOff"] == [one.sentence() for one in found]


def test_recorded_trees_are_read_whatever_is_in_them() -> None:
    recording = Recording("crash-loop-then-rollback")
    trees = [line["data"]["result"] for line in recording.lines if str(line.get("stream")).startswith("tree:") and "data" in line]
    counts = [str(pods.readiness(msgspec.convert(one, ResourceTree, strict=False))) for one in trees]
    assert ("3/3 ready", "0/3 ready", "3/3 ready") == (counts[0], counts[3], counts[-1])
