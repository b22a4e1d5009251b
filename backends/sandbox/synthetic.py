"""Thousands of lightweight Applications that change: for benchmarks and for long lists on screens.

Nothing runs behind them. Each is a few numbers; its JSON is put together from templates that are projected and encoded once per
`fields` and shape, so that an event costs microseconds and 10,000 of them a few megabytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from hashlib import sha1
from typing import NamedTuple

from backends.sandbox.applications import NAMESPACE, Applications
from backends.sandbox.objects import Manifest
from backends.sandbox.projection import Fields
from backends.sandbox.world import World

_SLOT = re.compile(rb"@@(\w+)@@")
_TICK = 0.01
_TEAMS = ("payments", "search", "checkout", "identity", "catalog", "billing", "fulfilment")
_PLACES = (("dev", "in-cluster"), ("staging", "in-cluster"), ("prod", "eu-1"))
_SHAPES = (
    # sync, health, operation phase ("" for none requested), requested
    ("Synced", "Healthy", "Succeeded", False),
    ("OutOfSync", "Healthy", "Running", True),
    ("Synced", "Progressing", "Succeeded", False),
    ("Synced", "Healthy", "Succeeded", False),
)
_Template = tuple[tuple[bytes, str], ...]


class _Values(NamedTuple):
    """What differs between two of one shape."""

    name: str
    version: str
    revision: str
    at: str


class Light(NamedTuple):
    """One synthetic Application at one moment."""

    number: int
    beat: int
    """How often it has changed."""
    version: int
    at: str

    @property
    def name(self) -> str:
        return f"load-{self.number:05d}"

    @property
    def project(self) -> str:
        return "default"

    @property
    def labels(self) -> dict[str, str]:
        environment, cluster = _PLACES[self.number % len(_PLACES)]
        return {"team": _TEAMS[self.number % len(_TEAMS)], "environment": environment, "cluster": cluster}

    @property
    def revision(self) -> str:
        return sha1(b"%d" % (self.beat // len(_SHAPES)), usedforsecurity=False).hexdigest()

    def document(self) -> Manifest:
        return _document(self.number, self.beat, _Values(self.name, str(self.version), self.revision, self.at))

    def event(self, kind: str, fields: Fields) -> bytes:
        return self._fill(_template(fields, self._shape, self.number % _VARIETY, f"event:{kind}"))

    def item(self, fields: Fields) -> bytes:
        return self._fill(_template(fields, self._shape, self.number % _VARIETY, "item"))

    @property
    def _shape(self) -> int:
        return self.beat % len(_SHAPES)

    def _fill(self, template: _Template) -> bytes:
        values = {"NAME": self.name, "VERSION": str(self.version), "REVISION": self.revision, "AT": self.at, "UID": f"{self.number:012x}"}
        return b"".join([literal + values[slot].encode() if slot else literal for literal, slot in template])


_VARIETY = len(_TEAMS) * len(_PLACES)
_TEMPLATES: dict[tuple[str, int, int, str], _Template] = {}


class Synthetic:
    """The synthetic Applications of one sandbox.

    Args:
        count: how many.
        rate: changes a second, all of them together.
    """

    def __init__(self, applications: Applications, world: World, count: int, rate: float) -> None:
        self._applications = applications
        self._world = world
        self._count = count
        self.rate = rate
        self._task: asyncio.Task[None] | None = None
        self.changes = 0
        at = world.clock.stamp()
        for index in range(count):
            world.version += 1
            light = Light(index, 0, world.version, at)
            applications.light[light.name] = light

    def start(self) -> None:
        if self._count and self.rate > 0:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def change(self, count: int) -> None:
        """Let `count` of them change now, one after the other, evenly spread."""
        at = self._world.clock.stamp()
        for _ in range(count):
            index = self.changes * 7919 % self._count
            self.changes += 1
            self._world.version += 1
            name = f"load-{index:05d}"
            old = self._applications.light[name]
            light = Light(index, getattr(old, "beat", 0) + 1, self._world.version, at)
            self._applications.light[name] = light
            self._applications.tell("MODIFIED", light)

    def tree(self, name: str) -> Manifest | None:
        """The tree of one of them: a Deployment with two pods and a Service."""
        light = self._applications.light.get(name)
        return None if light is None else _tree(name, light.version, light.labels)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        began, done = loop.time(), 0
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(_TICK)
                due = int((loop.time() - began) * self.rate)
                if due > done:
                    self.change(due - done)
                    done = due


def _template(fields: Fields, shape: int, variety: int, kind: str) -> _Template:
    key = (fields.text, shape, variety, kind)
    if key not in _TEMPLATES:
        if len(_TEMPLATES) > 5_000:
            _TEMPLATES.clear()
        document = _document(variety, shape, _Values("@@NAME@@", "@@VERSION@@", "@@REVISION@@", "@@AT@@"))
        event = {"result": {"type": kind.partition(":")[2], "application": document}}
        data = fields.encode_item(document) if kind == "item" else fields.encode(event)
        parts = _SLOT.split(data)
        slots = [part.decode() for part in parts[1::2]]
        _TEMPLATES[key] = tuple(zip(parts[::2], [*slots, ""], strict=True))
    return _TEMPLATES[key]


def _document(index: int, beat: int, values: _Values) -> Manifest:
    """One of them whole, as get and an unprojected stream send it."""
    name, version, revision, at = values
    sync, health, phase, requested = _SHAPES[beat % len(_SHAPES)]
    team, (environment, cluster) = _TEAMS[index % len(_TEAMS)], _PLACES[index % len(_PLACES)]
    uid = "@@UID@@" if name.startswith("@@") else f"{index:012x}"
    source = {
        "repoURL": f"https://git.example.org/{team}/deploy.git",
        "path": f"apps/{environment}",
        "targetRevision": "main",
        "helm": {"valueFiles": [f"/values/{environment}.yaml", f"/values/{team}.yaml"]},
    }
    destination = {"name": cluster, "namespace": f"{team}-{environment}"}
    operation = {
        "sync": {"revision": revision, "prune": True, "source": source},
        "initiatedBy": {"automated": True},
        "retry": {"limit": 5},
    }
    state: Manifest = {"operation": operation, "phase": phase, "startedAt": at}
    if not requested:
        state |= {
            "message": "successfully synced (all tasks run)",
            "finishedAt": at,
            "syncResult": {"revision": revision, "source": source},
        }
    resources = [
        {"version": "v1", "kind": "Service", "namespace": destination["namespace"], "name": name, "status": "Synced"},
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": destination["namespace"], "name": name, "status": sync},
    ]
    out: Manifest = {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"00000000-0000-4000-8000-{uid}",
            "resourceVersion": version,
            "generation": 1,
            "creationTimestamp": "2026-11-01T08:00:00Z",
            "labels": {"team": team, "environment": environment, "cluster": cluster},
            "annotations": {"argocd.argoproj.io/manifest-generate-paths": f"/apps/{environment};/values"},
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "source": source,
            "destination": destination,
            "project": "default",
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
        "status": {
            "resources": resources,
            "sync": {"status": sync, "comparedTo": {"source": source, "destination": destination}, "revision": revision},
            "health": {"status": health, "lastTransitionTime": at},
            "history": [
                {
                    "revision": revision,
                    "deployedAt": at,
                    "id": 0,
                    "source": source,
                    "deployStartedAt": at,
                    "initiatedBy": {"automated": True},
                }
            ],
            "reconciledAt": at,
            "operationState": state,
            "sourceType": "Helm",
            "summary": {"images": [f"registry.example.org/{team}/app:{environment}"]},
            "resourceHealthSource": "appTree",
            "controllerNamespace": NAMESPACE,
            "sourceHydrator": {},
        },
    }
    return out | ({"operation": operation} if requested else {})


def _tree(name: str, version: int, labels: dict[str, str]) -> Manifest:
    space = f"{labels['team']}-{labels['environment']}"

    def node(kind: str, own: str, number: int, parent: Manifest | None, **more: object) -> Manifest:
        group = {} if kind in ("Pod", "Service") else {"group": "apps"}
        base: Manifest = group | {"version": "v1", "kind": kind, "namespace": space, "name": own, "uid": f"{name}-{number}"}
        above = (
            {}
            if parent is None
            else {"parentRefs": [{k: parent[k] for k in ("group", "version", "kind", "namespace", "name", "uid") if k in parent}]}
        )
        return base | above | more | {"resourceVersion": str(version), "health": {"status": "Healthy"}, "createdAt": "2026-11-01T08:00:00Z"}

    deployment = node("Deployment", name, 1, None, info=[{"name": "Revision", "value": "Rev:1"}])
    replica_set = node("ReplicaSet", f"{name}-7c9d8b6f5d", 2, deployment, info=[{"name": "Revision", "value": "Rev:1"}])
    state = [{"name": "Status Reason", "value": "Running"}, {"name": "Node", "value": "node-1"}, {"name": "Containers", "value": "1/1"}]
    image = [f"registry.example.org/{labels['team']}/app:{labels['environment']}"]
    pods = [
        node("Pod", f"{replica_set['name']}-{end}", 3 + index, replica_set, info=state, images=image)
        for index, end in enumerate(("x2v9k", "b7w4q"))
    ]
    return {"nodes": [*pods, node("Service", name, 9, None), deployment, replica_set]}
