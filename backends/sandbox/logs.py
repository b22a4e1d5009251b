"""What the pods of the sandbox say: believable lines by what a pod does, the same ones each time they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from backends.sandbox.clock import parse
from backends.sandbox.cluster import Cluster
from backends.sandbox.objects import Key, Manifest, dig
from backends.sandbox.pods import behaviour

MOST_PODS = 10
_HELD = 500
"""Lines that a container keeps."""
_START = ("starting on port 8080", "configuration read from /etc/app/config.yaml", "connected to database", "ready to serve")
_WORK = (
    'level=info msg="request" method=GET path=/healthz status=200 duration=1ms',
    'level=info msg="request" method=GET path=/api/items status=200 duration=12ms',
    'level=warn msg="cache is cold" key=items',
    'level=info msg="request" method=POST path=/api/orders status=201 duration=34ms',
)
_CRASH = (
    "starting on port 8080",
    "panic: configuration: DATABASE_URL is not set",
    "goroutine 1 [running]:",
    "main.main()",
    "exit status 1",
)
_JOB = ("migration 0042_orders: begin", "migration 0042_orders: 1204 rows", "migration 0042_orders: done")
_FAILED = ("migration 0042_orders: begin", 'ERROR: relation "orders" does not exist', "migration 0042_orders: rolled back")


class Asked(NamedTuple):
    """What of the logs is wanted."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    tail: int | None = None
    since: int | None = None
    pattern: str = ""
    match_case: bool = False


def selected(nodes: list[Manifest], *, kind: str, group: str, name: str, namespace: str) -> list[Manifest]:
    """The pods of a tree that are what was asked for, or below it; all of them when nothing was."""
    by_uid = {node["uid"]: node for node in nodes if node.get("uid")}

    def fits(node: Manifest) -> bool:
        same = (not name or node["name"] == name) and (not kind or node["kind"] == kind) and (not group or node.get("group", "") == group)
        if same and (not namespace or node.get("namespace", "") == namespace):
            return True
        return any(fits(by_uid[ref["uid"]]) for ref in node.get("parentRefs", ()) if ref.get("uid") in by_uid)

    return [node for node in nodes if node["kind"] == "Pod" and node.get("uid") and fits(node)]


async def entries(cluster: Cluster, pods: list[Manifest], asked: Asked) -> AsyncIterator[dict[str, Any]]:
    """Log entries of several pods, merged by time; with `follow` until the reader goes or the pods end."""
    clock = cluster.world.clock
    lines = sorted(line for node in pods for line in _held(cluster, node, asked, clock.now()))
    if asked.tail is not None:
        kept: dict[str, list[tuple[datetime, str, str]]] = {}
        for line in lines:
            kept.setdefault(line[1], []).append(line)
        lines = sorted(line for some in kept.values() for line in some[len(some) - min(asked.tail, len(some)) :])
    for at, pod, text in lines:
        if _wanted(text, asked):
            yield _entry(at, pod, text)
    number = len(lines)
    while asked.follow and not asked.previous:
        await clock.sleep(1.0)
        running = [node for node in pods if dig(cluster.get(_key(node)), "status", "phase") == "Running"]
        if not any(cluster.get(_key(node)) for node in pods):
            break
        for node in running:
            text = _WORK[number % len(_WORK)]
            number += 1
            if _wanted(text, asked):
                yield _entry(clock.now(), node["name"], text)
        await asyncio.sleep(0)
    yield _entry(clock.now(), "", "", last=True)


def _held(cluster: Cluster, node: Manifest, asked: Asked, now: datetime) -> Iterator[tuple[datetime, str, str]]:
    pod = cluster.get(_key(node)) or {}
    name = node["name"]
    containers = [str(one.get("name")) for one in dig(pod, "spec", "containers", default=[])]
    status = dig(pod, "status", "containerStatuses", 0, default={})
    if asked.container and asked.container not in containers:
        yield _no_time(), "", f"container {asked.container} is not valid for pod {name}"
        return
    if not status or dig(status, "state", "waiting", "reason") == "ImagePullBackOff":
        reason = str(dig(status, "state", "waiting", "reason", default="ContainerCreating"))
        why = "trying and failing to pull image" if reason == "ImagePullBackOff" else "waiting to start: ContainerCreating"
        yield _no_time(), "", f'container "{(containers or ["main"])[0]}" in pod "{name}" is {why}'
        return
    if asked.previous and not int(status.get("restartCount", 0)):
        yield _no_time(), "", f'previous terminated container "{(containers or ["main"])[0]}" in pod "{name}" not found'
        return
    began = parse(str(dig(pod, "status", "startTime", default=dig(pod, "metadata", "creationTimestamp"))))
    for index, text in enumerate(_said(pod, began, now)):
        at = began + timedelta(milliseconds=300 * min(index, 4) + 2_000 * max(0, index - 4), microseconds=index)
        if at <= now and (asked.since is None or (now - at).total_seconds() <= asked.since):
            yield at, name, text


def _said(pod: Manifest, began: datetime, now: datetime) -> Iterator[str]:
    job = any(owner.get("kind") == "Job" for owner in dig(pod, "metadata", "ownerReferences", default=()))
    if job:
        yield from _FAILED if dig(pod, "status", "phase") == "Failed" else _JOB
    elif behaviour(pod) == "crash":
        yield from _CRASH
    else:
        yield from _START
        held = min(_HELD, int((now - began).total_seconds() / 2))
        yield from (_WORK[index % len(_WORK)] for index in range(held))


def _wanted(text: str, asked: Asked) -> bool:
    if not asked.pattern:
        return True
    inverse, literal = asked.pattern.startswith("!"), asked.pattern.removeprefix("!")
    found = literal in text if asked.match_case else literal.lower() in text.lower()
    return found != inverse


def _entry(at: datetime, pod: str, text: str, *, last: bool = False) -> dict[str, Any]:
    none = at == _no_time()
    fine = "0001-01-01T00:00:00Z" if none else at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return {
        "content": text,
        "timeStamp": None if none else at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "last": last,
        "timeStampStr": fine,
        "podName": pod,
    }


def _no_time() -> datetime:
    return datetime.fromisoformat("0001-01-01T00:00:00+00:00")


def _key(node: Manifest) -> Key:
    return Key("", "Pod", node.get("namespace", ""), node["name"])
