"""What becomes of workloads in a simulated cluster, by image tag and over time."""

import asyncio

import pytest

from backends.sandbox.objects import Key, dig, find_condition, with_
from tests.sandbox.place import Place

HERE = Key("apps", "Deployment", "dev", "web")
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: task}
spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: main, image: "IMAGE"}]}}}
"""
SET = """
apiVersion: apps/v1
kind: KIND
metadata: {name: set}
spec:
  replicas: 3
  selector: {matchLabels: {app: set}}
  template: {metadata: {labels: {app: set}}, spec: {containers: [{name: main, image: "IMAGE"}]}}
"""


def ready(place: Place) -> int:
    return int(dig(place.get("Deployment", group="apps"), "status", "readyReplicas", default=0))


async def test_an_ordinary_image_is_ready_after_about_two_seconds(place: Place) -> None:
    place.deploy("web:1")
    took = await place.until(lambda: ready(place) == 2)

    assert 1 < took < 5
    assert ("Healthy", "") == place.health("Deployment")
    assert ["Scheduled", "Pulled", "Created", "Started"] == [reason for reason, _ in place.events(place.pods[0])]
    replica_set = next(place.cluster.of_kind("ReplicaSet", "apps"))
    assert ["ScalingReplicaSet"] == [reason for reason, _ in place.events(place.get("Deployment", group="apps"))]
    assert replica_set["metadata"]["name"] == f"web-{replica_set['metadata']['labels']['pod-template-hash']}"
    assert place.pods[0]["metadata"]["name"].startswith(f"{replica_set['metadata']['name']}-")


async def test_a_slow_image_takes_twenty_seconds(place: Place) -> None:
    place.deploy("web:1-slow")
    assert 20 < await place.until(lambda: ready(place) == 2) < 25


async def test_a_crashing_image_loops_and_the_deployment_misses_its_deadline(place: Place) -> None:
    place.deploy("web:1-crash", progressDeadlineSeconds=30)
    await place.until(lambda: place.reasons() == ["CrashLoopBackOff"] * 2)
    assert "Progressing" == place.health("Deployment")[0]

    took = await place.until(lambda: place.health("Deployment")[0] == "Degraded")
    assert 20 < took < 35
    assert ("Degraded", 'Deployment "web" exceeded its progress deadline') == place.health("Deployment")
    pod = place.pods[0]
    assert 1 < dig(pod, "status", "containerStatuses", 0, "restartCount")
    assert ("Error", 1) == tuple(
        dig(pod, "status", "containerStatuses", 0, "lastState", "terminated")[field] for field in ("reason", "exitCode")
    )
    assert "BackOff" in [reason for reason, _ in place.events(pod)]


async def test_an_image_that_cannot_be_pulled_is_tried_again_and_again(place: Place) -> None:
    place.deploy("web:1-pull")
    await place.until(lambda: place.reasons() == ["ImagePullBackOff"] * 2)
    await place.passes(100)

    events = dict(place.events(place.pods[0]))
    assert "Error: ErrImagePull" == events["Failed"]
    assert 'Back-off pulling image "web:1-pull"' == events["BackOff"]
    counts = {one["reason"]: one["count"] for one in place.cluster.events.of(place.pods[0]["metadata"]["uid"])}
    assert 5 < counts["BackOff"] < 12


async def test_what_never_gets_ready_runs_all_the_same(place: Place) -> None:
    place.deploy("web:1-never")
    await place.passes(60)
    assert ["Running", "Running"] == place.reasons()
    assert 0 == ready(place)


async def test_a_pod_that_no_node_can_hold_waits_and_says_why(place: Place) -> None:
    place.apply(
        """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: main, image: "web:1", resources: {requests: {cpu: "65"}}}]}
        """
    )
    await place.until(lambda: len(place.pods) == 1)
    await place.passes(5)

    said = (
        "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not "
        "helpful for scheduling."
    )
    assert [("FailedScheduling", said)] == place.events(place.pods[0])
    scheduled = find_condition(dig(place.pods[0], "status", "conditions"), "PodScheduled")
    assert ("False", "Unschedulable", said) == tuple((scheduled or {}).get(field) for field in ("status", "reason", "message"))


async def test_room_that_is_made_lets_the_next_pod_in(place: Place) -> None:
    request = {"requests": {"cpu": "40"}}
    container = {"name": "main", "image": "web:1", "resources": request}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    place.deploy("web:1", replicas=3, template=template)  # two nodes of 64 CPUs hold one each
    await place.until(lambda: ready(place) == 2)
    await place.passes(30)
    assert ["Pending", "Running", "Running"] == place.reasons()

    running = next(pod for pod in place.pods if dig(pod, "status", "phase") == "Running")
    place.cluster.edit(HERE, lambda one: with_(one, 2, "spec", "replicas"), manager="test")
    await place.until(lambda: place.reasons() == ["Running", "Running"])
    assert running["metadata"]["name"] in [pod["metadata"]["name"] for pod in place.pods]


async def test_a_rollout_keeps_most_pods_available_and_one_revision_counts_up(place: Place) -> None:
    place.deploy("web:1", replicas=4)
    await place.until(lambda: ready(place) == 4)
    place.deploy("web:2", replicas=4)
    least, most = 4, 0
    while place.health("Deployment")[0] != "Healthy" or len(place.pods) != 4:
        least, most = min(least, ready(place)), max(most, len([pod for pod in place.pods if not dig(pod, "metadata", "deletionTimestamp")]))
        await place.passes(0.05)

    assert 3 == least
    assert most <= 5
    assert {"web:2"} == {pod["spec"]["containers"][0]["image"] for pod in place.pods}
    assert "2" == dig(place.get("Deployment", group="apps"), "metadata", "annotations", "deployment.kubernetes.io/revision")
    assert 2 == len(list(place.cluster.of_kind("ReplicaSet", "apps")))


async def test_going_back_uses_the_old_replica_set_again(place: Place) -> None:
    place.deploy("web:1")
    await place.passes(10)
    place.deploy("web:2-crash")
    await place.passes(10)
    place.deploy("web:1")
    await place.until(lambda: place.health("Deployment")[0] == "Healthy" and len(place.pods) == 2)

    assert 2 == len(list(place.cluster.of_kind("ReplicaSet", "apps")))
    assert "3" == dig(place.get("Deployment", group="apps"), "metadata", "annotations", "deployment.kubernetes.io/revision")


async def test_a_paused_deployment_does_not_roll(place: Place) -> None:
    place.deploy("web:1")
    await place.until(lambda: ready(place) == 2)
    place.deploy("web:2", paused=True)
    await place.passes(30)

    assert ("Suspended", "Deployment is paused") == place.health("Deployment")
    assert {"web:1"} == {pod["spec"]["containers"][0]["image"] for pod in place.pods}


@pytest.mark.parametrize(
    ("image", "status", "message"),
    [
        ("task:1", "Healthy", "Reached expected number of succeeded pods"),
        ("task-fail:1", "Degraded", "Job has reached the specified backoff limit"),
    ],
)
async def test_a_job_ends_well_or_fails_by_its_image(place: Place, image: str, status: str, message: str) -> None:
    place.apply(JOB.replace("IMAGE", image))
    assert 2 < await place.until(lambda: dig(place.get("Job", "task", "batch"), "status", "conditions")) < 8
    assert (status, message) == place.health("Job", "task", "batch")


async def test_a_stateful_set_goes_one_pod_after_the_other(place: Place) -> None:
    place.apply(SET.replace("KIND", "StatefulSet").replace("IMAGE", "db:1"))
    await place.until(lambda: place.health("StatefulSet", "set")[0] == "Healthy")

    names = [
        message.split()[2] for reason, message in place.events(place.get("StatefulSet", "set", "apps")) if reason == "SuccessfulCreate"
    ]
    assert ["set-0", "set-1", "set-2"] == names
    assert 1 == len(list(place.cluster.of_kind("ControllerRevision", "apps")))
    place.apply(SET.replace("KIND", "StatefulSet").replace("IMAGE", "db:2"))
    await place.until(lambda: {"db:2"} == {pod["spec"]["containers"][0]["image"] for pod in place.pods})
    await place.until(lambda: place.health("StatefulSet", "set")[0] == "Healthy")
    assert 2 == len(list(place.cluster.of_kind("ControllerRevision", "apps")))


async def test_a_daemon_set_has_a_pod_on_every_node(place: Place) -> None:
    place.apply(SET.replace("KIND", "DaemonSet").replace("IMAGE", "agent:1").replace("  replicas: 3\n", ""))
    await place.until(lambda: place.health("DaemonSet", "set")[0] == "Healthy")
    assert ["node-1", "node-2"] == sorted(pod["spec"]["nodeName"] for pod in place.pods)


async def test_small_things_get_their_status(place: Place) -> None:
    place.apply("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: web}, spec: {accessModes: [ReadWriteOnce]}}")
    place.apply("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}")
    place.apply(
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {minReplicas: 2, maxReplicas: 5}}"
    )
    place.apply("{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 1}}")
    place.apply(
        "{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}, spec: {schedule: '@daily', jobTemplate: {spec: {template: {spec: {containers: [{name: main, image: x}]}}}}}}"
    )
    assert ("Progressing", "") == place.health("PersistentVolumeClaim", group="")
    assert ("Progressing", "Waiting to Autoscale") == place.health("HorizontalPodAutoscaler", group="autoscaling")
    await place.passes(1)

    assert ("Healthy", "") == place.health("PersistentVolumeClaim", group="")
    assert ("Healthy", "") == place.health("Service", group="")
    assert ("Healthy", "recommended size matches current size") == place.health("HorizontalPodAutoscaler", group="autoscaling")
    assert ("Healthy", "PodDisruptionBudget has SufficientPods") == place.health("PodDisruptionBudget", group="policy")
    assert ("Healthy", "CronJob has not been scheduled yet") == place.health("CronJob", group="batch")


async def test_deleting_in_the_foreground_ends_with_the_last_pod(place: Place) -> None:
    place.deploy("web:1")
    await place.until(lambda: ready(place) == 2)
    place.cluster.delete(HERE)
    assert ("Progressing", "Pending deletion") == place.health("Deployment")
    await place.until(lambda: place.cluster.get(HERE) is None)

    assert [] == place.pods
    assert [] == list(place.cluster.of_kind("ReplicaSet", "apps"))


async def test_two_clusters_that_were_asked_the_same_say_the_same(place: Place) -> None:
    other = Place(asyncio.get_running_loop().time)
    for one in (place, other):
        one.deploy("web:1")
    await place.until(lambda: ready(place) == 2 == ready(other))
    assert sorted(pod["metadata"]["name"] for pod in place.pods) == sorted(pod["metadata"]["name"] for pod in other.pods)
