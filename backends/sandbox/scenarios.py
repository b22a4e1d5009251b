"""What a sandbox starts with: nothing but an empty repository, or a believable fleet with its past.

The past is played, not written down: the same controllers go through it, two thousand times as fast as life and with the clock set back,
so that ages, histories and causes are real ones.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from backends.engine import in_thread
from backends.gitops.intent import Intent
from backends.sandbox import documents
from backends.sandbox.commits import Branch, make_bare
from backends.sandbox.objects import Key, Manifest, dig, with_
from backends.sandbox.past import EU, EU_SERVER, SLUG, Edited, Scaled, Step, Synced, steps
from backends.sandbox.projects import sources_of
from backends.sandbox.sandbox import CHARTS, REPOSITORY, Sandbox

_LIMIT = 5.0
"""Real seconds that one phase of the past may take to come to rest."""

ADDON = {
    "Chart.yaml": "apiVersion: v2\nname: exporter\nversion: {version}\ndescription: Metrics of the nodes\n",
    "values.yaml": "env: {{}}\nport: 9100\n",
    "templates/daemonset.yaml": """apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{{{ .Release.Name }}}}
spec:
  selector: {{matchLabels: {{app.kubernetes.io/instance: {{{{ .Release.Name }}}}}}}}
  template:
    metadata: {{labels: {{app.kubernetes.io/instance: {{{{ .Release.Name }}}}}}}}
    spec:
      containers:
        - name: exporter
          image: "quay.io/example/exporter:v{version}"
          ports: [{{containerPort: {{{{ .Values.port }}}}}}]
""",
}
ADDON_VERSIONS = ("0.1.0", "0.2.0")


async def prepare(sandbox: Sandbox, *, empty: bool) -> str:
    """Fill a sandbox that was just made, unless its folder already holds one; gives the workspace's slug ("" when there is none)."""
    bare = sandbox.options.folder / REPOSITORY
    await in_thread(write_charts, sandbox.options.folder / CHARTS)
    sandbox.fleet.add(EU, EU_SERVER)
    if sandbox.resumed:
        return slug_of(sandbox)
    await in_thread(make_bare, bare)
    if empty:
        return ""
    await play(sandbox, Branch(bare))
    return SLUG


def write_charts(folder: Path) -> None:
    """The Helm repository that add-ons come from."""
    for version in ADDON_VERSIONS:
        for name, text in ADDON.items():
            file = folder / "charts.example.org" / "exporter" / version / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.format(version=version))


async def play(sandbox: Sandbox, branch: Branch) -> None:
    """Let the fleet's past happen; the clock is the present's again afterwards."""
    now, phase = datetime.now(UTC), list[Step]()
    for step in steps(sandbox.repo_url):
        phase.append(step)
        if step.settles:
            await _happen(sandbox, branch, phase, now)
            phase = []
    sandbox.world.clock.present()


async def _happen(sandbox: Sandbox, branch: Branch, phase: list[Step], now: datetime) -> None:
    """What was done before everything came to rest again, and that it did."""
    await in_thread(_commit, branch, [step for step in phase if isinstance(step.what, Intent | Edited)], now)
    sandbox.world.clock.past(now - phase[-1].ago)
    for step in phase:
        if isinstance(step.what, Synced):
            _sync(sandbox, step.what.deployment)
        elif isinstance(step.what, Scaled):
            _scale(sandbox, step.what)
    if not sandbox.applications.names():
        for manifest in documents.objects(branch.read("bootstrap/root.yaml")):
            sandbox.fleet.home.apply(manifest)
    sandbox.controller.compare_all()
    await _rest(sandbox)


def slug_of(sandbox: Sandbox) -> str:
    """The slug of the workspace whose root runs here."""
    for name in sandbox.applications.names():
        if dig(sandbox.applications.get(name), "metadata", "labels", "tiphys.dev/role") == "root":
            return name.removeprefix("tiphys-")
    return ""


def _commit(branch: Branch, made: list[Step], now: datetime) -> None:
    if not made:
        return
    with branch.batch():
        for step in made:
            if isinstance(step.what, Edited):
                branch.write(step.what.files, step.what.subject, author=step.who, at=now - step.ago)
            elif isinstance(step.what, Intent):
                branch.run(step.what, author=step.who, at=now - step.ago, reason=step.reason)


def _sync(sandbox: Sandbox, name: str) -> None:
    application = sandbox.applications.get(name)
    if application is None:
        return
    source = sources_of(application["spec"])[0]
    sync: Manifest = {"revision": dig(application, "status", "sync", "revision", default=""), "source": source}
    sync["syncOptions"] = dig(application, "spec", "syncPolicy", "syncOptions", default=[])
    sandbox.applications.set_operation(name, {"sync": sync, "initiatedBy": {"username": "grace"}, "retry": {}})


def _scale(sandbox: Sandbox, what: Scaled) -> None:
    application = sandbox.applications.get(what.deployment)
    cluster = sandbox.fleet.find(dig(application, "spec", "destination", default={}))
    key = Key("apps", "Deployment", str(dig(application, "spec", "destination", "namespace", default="")), what.deployment)
    if cluster is not None:
        cluster.edit(key, lambda obj: with_(obj, what.replicas, "spec", "replicas"), manager="kubectl-scale")


async def _rest(sandbox: Sandbox) -> None:
    """Wait until nothing is compared or synced and nothing is on its way to healthy."""
    calm, end = 0, time.monotonic() + _LIMIT
    while calm < 5 and time.monotonic() < end:
        await asyncio.sleep(0.01)
        applications = [sandbox.applications.get(name) for name in sandbox.applications.names()]
        moving = any(dig(one, "status", "health", "status") == "Progressing" for one in applications)
        calm = calm + 1 if sandbox.controller.idle and not moving else 0
