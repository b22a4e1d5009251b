"""`watch`, and the waiting of `sync --wait`: one Application followed without a commit of ours."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from backends.domain.ids import DeploymentId
from backends.domain.stage import Stage
from backends.domain.verdict import FAILED, OK, REFUSED, TIMED_OUT
from backends.live.following import FollowKind, FollowOptions
from backends.text import clean
from tui.cli.application import find
from tui.cli.output import Output
from tui.cli.session import fetched, opened
from tui.cli.waiting import newest_release, told

if TYPE_CHECKING:
    from backends.argocd.types import Application, OperationState
    from backends.workspace import Workspace

POLL_SECONDS = 0.5
_ENDS: Mapping[Stage, int] = {
    Stage.LIVE: OK,
    Stage.DEGRADED: FAILED,
    Stage.SYNC_FAILED: FAILED,
    Stage.MISSING: FAILED,
    Stage.SUSPENDED: REFUSED,
    Stage.BLOCKED: REFUSED,
    Stage.PAUSED: REFUSED,
}


async def watch(arguments: argparse.Namespace, output: Output) -> int:
    """Every change of where an Application stands, until interrupted or `--timeout` is over."""
    async with opened(arguments, output, argocd=True) as workspace:
        found = await find(workspace.server, arguments.name)
        if workspace.has_repo:
            await fetched(workspace, output)
        async with await workspace.watcher(found.key) as follower:
            await follower.ready()
            try:
                async with asyncio.timeout(arguments.timeout or None):
                    await told(follower.watch(found.key), output)
            except TimeoutError:
                output.note(f"watched for {arguments.timeout:g} s")
        return 0


async def synced(workspace: Workspace, found: Application, output: Output, *, seconds: float, whole: bool) -> int:
    """Wait for the operation that was just requested, then for what comes of it; the exit code of `sync --wait`.

    Args:
        found: as it was before the request.
        whole: the sync was of everything and for real, so that its release can become live.
    """
    ended = await _operation(workspace, found, output, seconds)
    if ended is None:
        output.note(f"the operation has not ended after {seconds:g} s")
        return TIMED_OUT
    output.line(f"{found.key}: {clean(ended.phase)}: {clean(ended.message)}")
    if ended.phase != "Succeeded":
        return FAILED
    if not whole:
        return OK
    id = DeploymentId(found.metadata.name)
    if workspace.has_repo and await workspace.has_deployment(id):
        async with workspace.follower(FollowOptions(timeout=seconds, nudge=False)) as follower:
            await follower.ready()
            await told(follower.follow(await newest_release(workspace, (id,)), kind=FollowKind.RELEASE, targets=(id,)), output)
            return follower.exit_code
    async with await workspace.watcher(found.key) as follower:
        await follower.ready()
        try:
            async with asyncio.timeout(seconds):
                async for step in follower.watch(found.key):
                    output.note(f"{found.key}: {step.rollout.stage} {step.rollout.reason}".rstrip())
                    if step.rollout.stage in _ENDS:
                        return _ENDS[step.rollout.stage]
        except TimeoutError:
            pass
        return TIMED_OUT


async def _operation(workspace: Workspace, found: Application, output: Output, seconds: float) -> OperationState | None:
    """The operation that was requested, ended; None when it did not end in time.

    A request takes the state of the operation before away, so any other state is the requested one's. Clocks are not asked: Argo CD's may
    differ, and under load an operation can end before its request is answered.
    """
    before, said = found.status.operation_state, ""
    try:
        async with asyncio.timeout(seconds):
            while True:
                seen = await workspace.server.get_application(found.key, project=found.project)
                state = seen.status.operation_state
                if state is not None and seen.operation is None and state != before:
                    if state.phase in ("Succeeded", "Failed", "Error"):
                        return state
                    if state.message != said:
                        said = state.message
                        output.note(f"{found.key}: {clean(said)}")
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return None
