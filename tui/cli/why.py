"""`why`: one sentence for a deployment or an Application that is not live, what it rests on, and what could be done."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backends.domain import remedies
from backends.domain.ids import DeploymentId
from backends.domain.rollout import FeedState, Rollout, Seen
from backends.domain.why import Why, unmanaged
from backends.errors import BackendError
from tui.cli.application import find
from tui.cli.output import Output
from tui.cli.session import fetched, opened

if TYPE_CHECKING:
    from backends.argocd.types import Application
    from backends.workspace import Workspace

_COMMANDS = {
    remedies.SYNC: "tiphys sync {name} --wait",
    remedies.FULL_SYNC: "tiphys sync {name} --wait",
    remedies.REFRESH: "tiphys refresh {name}",
    remedies.HARD_REFRESH: "tiphys refresh --hard {name}",
    remedies.TERMINATE: "tiphys terminate {name}",
    remedies.ROLLBACK: "tiphys rollback {name} --wait",
    remedies.RESUME: "tiphys resume {name} --wait",
    remedies.EDIT_VALUES: "tiphys set {name} KEY=VALUE --wait",
    remedies.LOGS: "tiphys logs {name}",
    remedies.EVENTS: "tiphys events {name}",
    remedies.DIFF: "tiphys diff {name}",
    remedies.MANAGER_REFRESH: "tiphys refresh of its environment's Manager",
    remedies.MANAGER_SYNC_PRUNE: "tiphys sync --prune of its environment's Manager",
    remedies.BOOTSTRAP: "tiphys bootstrap",
    remedies.RECONNECT: "tiphys get clusters, to see whether Argo CD answers",
}
"""The command for each action of `Why.actions`."""


async def why(arguments: argparse.Namespace, output: Output) -> int:
    """Say why; the exit code is 0, whatever the answer is."""
    async with opened(arguments, output, argocd=True) as workspace:
        name = arguments.name.rpartition("/")[2]
        if workspace.has_repo:
            await fetched(workspace, output)
            if await workspace.has_deployment(name):
                looked, status = await workspace.look((DeploymentId(name),))
                if status.error:
                    output.warn(f"Argo CD is not seen as it is now: {status.error}")
                one = looked[DeploymentId(name)]
                _said(name, one.rollout, one.why, output)
                return 0
        found = await find(workspace.server, arguments.name)
        rollout, answer = unmanaged(await _seen(workspace, found, output), now=datetime.now(UTC))
        _said(found.metadata.name, rollout, answer, output)
        return 0


async def _seen(workspace: Workspace, found: Application, output: Output) -> Seen:
    """Everything that tells of one Application outside the workspace; what cannot be had is said and does without."""
    tree = windows = None
    try:
        tree = await workspace.server.resource_tree(found.key, project=found.project)
        if found.status.sync.status == "OutOfSync":
            windows = await workspace.server.sync_windows(found.key, project=found.project)
    except BackendError as error:
        output.warn(str(error))
    return Seen(feed=FeedState.LIVE, application=found, tree=tree, windows=windows)


def _said(name: str, rollout: Rollout, answer: Why, output: Output) -> None:
    if output.machine:
        output.document(
            {
                "application": name,
                "stage": str(rollout.stage),
                "flags": sorted(str(flag) for flag in rollout.flags),
                "sentence": answer.sentence,
                "evidence": answer.evidence,
                "actions": list(answer.actions),
            }
        )
        return
    output.line(f"{name}: {rollout.stage}: {answer.sentence}")
    for one in answer.evidence:
        text = one.text.removeprefix(f"{one.object.rpartition('/')[2]}: ") if one.object else one.text
        about = f"{one.object}: " if one.object else ""
        at = f"  ({one.at:%H:%M:%S} UTC)" if one.at else ""
        output.line(f"  {one.kind:<12} {about}{text}{at}")
    for action in answer.actions:
        output.line(f"  may help     {_COMMANDS.get(action, action).format(name=name)}")
