"""`--wait`: the follower is open before the push, so that nothing between the two is missed; then every step is told to the verdict."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from backends.domain.ids import DeploymentId, Sha
from backends.domain.stage import Flag
from backends.errors import Unavailable
from backends.gitops.cautions import Caution
from backends.gitops.intents import CreateEnvironment, Delete, Deploy, EditValues, Pause, Resume, Rollback
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.workspace_layout import LAYOUT
from backends.live.following import Followed, FollowKind, FollowOptions
from tui.cli import plans
from tui.cli.output import Output, clock
from tui.cli.write import confirmed, planned, planned_and_run, run, unneeded

if TYPE_CHECKING:
    from backends.gitops.intent import Intent
    from backends.gitops.journal import Entry
    from backends.gitops.plan import Plan
    from backends.gitops.tree import Tree
    from backends.live.follow import Follower
    from backends.live.observations import Observations
    from backends.workspace import Workspace

_KINDS: Mapping[type, FollowKind] = {
    CreateEnvironment: FollowKind.ENVIRONMENT,
    Delete: FollowKind.REMOVAL,
    Pause: FollowKind.SPEC,
    Resume: FollowKind.SPEC,
}


async def carried_out(
    workspace: Workspace, intent: Intent, arguments: argparse.Namespace, output: Output, *, again: Entry | None = None
) -> int:
    """Plan, show, confirm and run; with `--wait` follow, and the exit code is the verdict's. `again`: the unfinished change that this is."""
    if not arguments.wait:
        return await planned_and_run(workspace, intent, arguments, output, again=again)
    plan = await planned(workspace, intent, arguments, output, again=again)
    if arguments.plan:
        plans.printed(plan, output)
        return 0
    shown = False if plan.empty else confirmed(plan, arguments, output)
    options = FollowOptions(
        timeout=arguments.timeout,
        full_sync=arguments.full_sync,
        prune_manager=any(warning.code is Caution.LAST_ONE for warning in plan.warnings),
    )
    targets = plan.deployments or targets_of(intent, workspace.tree())
    async with workspace.follower(options) as follower:
        try:
            await follower.ready()
        except Unavailable as error:  # a deploy commits nevertheless; the verdict says what could not be seen
            output.warn(str(error))
        if plan.empty:
            unneeded(workspace, plan, output, again)
            head = isinstance(intent, Pause | Resume)  # these are no releases: what is wanted is the newest spec
            commit = workspace.repo.require_head() if head else await newest_release(workspace, targets)
        else:
            written = await run(workspace, plan, arguments, output, shown=shown, again=again)
            commit = written.commit or await newest_release(workspace, targets)
        observations = workspace.observations()
        try:
            await told(followed(follower, commit, intent, plan, targets), output, observations)
        finally:
            observations.save()
        return follower.exit_code


def followed(
    follower: Follower, commit: Sha, intent: Intent, plan: Plan, targets: tuple[DeploymentId, ...] = ()
) -> AsyncIterator[Followed]:
    """Follow the commit of a plan as its intent wants it followed."""
    return follower.follow(
        commit,
        kind=_KINDS.get(type(intent), FollowKind.RELEASE),
        targets=targets or plan.deployments,
        environment=_environment(intent, plan),
        changed_paths=tuple(diff.path for diff in plan.files),
        has_hooks={one.deployment: bool(one.hooks) for one in plan.rendered if not (one.missing or one.error)},
    )


def targets_of(intent: Intent, tree: Tree) -> tuple[DeploymentId, ...]:
    """The deployments that an intent is about, also where it has nothing to change."""
    match intent:
        case Deploy():
            return tuple(target.id for target in intent.targets)
        case Rollback() | Delete():
            return (intent.id,)
        case EditValues():
            return tuple(place.id for place in LAYOUT.reached(tree, intent.layer))
        case Pause() | Resume():
            return tuple(place.id for place in LAYOUT.reached(tree, intent.target))
    return ()


async def newest_release(workspace: Workspace, targets: tuple[DeploymentId, ...]) -> Sha:
    """The newest release of the targets; the head where they have none in common."""
    releases = await workspace.last_changes()
    commits = {releases[target].commit for target in targets if target in releases}
    return commits.pop() if len(commits) == 1 else workspace.repo.require_head()


async def told(steps: AsyncIterator[Followed], output: Output, observations: Observations | None = None) -> None:
    """Say every step as it comes, a line for people, a JSON object for machines; and remember what was seen of releases.

    What says nothing that was not said before is left out: a verdict on the stage shown, a flag that the line spells out already.
    """
    said: dict[str | None, object] = {}
    async for step in steps:
        if observations is not None and step.deployment is not None and step.milestones is not None:
            observations.add(step.deployment, step.milestones, step.rollout.stage)
        for record in records(step):
            news = _news(record) if output.machine else _told(record)
            if record["type"] == "stage" and said.get(step.deployment) == news:
                continue
            if record["type"] == "stage":
                said[step.deployment] = news
            if output.machine:
                output.record(record)
            elif record["type"] == "note":
                output.note(f"{step.deployment or 'argo cd'}: {record['note']}")
            else:
                output.line(f"{clock(step.at)}  {step.deployment or 'environment'}  {news}")


def records(step: Followed) -> list[dict[str, Any]]:
    """One step as the objects a follower prints: a note, or a stage; and the verdict where it ends the wait."""
    head: dict[str, Any] = {"at": step.at, "deployment": step.deployment}
    rollout = step.rollout
    place: dict[str, Any] = {
        "stage": str(rollout.stage),
        "flags": sorted(str(flag) for flag in rollout.flags),
        "reason": rollout.reason or None,
    }
    if step.note:
        found: list[dict[str, Any]] = [{**head, "type": "note", "note": step.note}]
    else:
        found = [
            {
                **head,
                "type": "stage",
                **place,
                "progress": rollout.progress or None,
                "since": rollout.since,
                "revision": rollout.revision or None,
            }
        ]
    if step.verdict is not None:
        verdict = step.verdict
        found.append(
            {
                **head,
                "type": "verdict",
                **place,
                "exitCode": verdict.exit_code,
                "sentence": verdict.sentence,
                "warning": verdict.warning or None,
            }
        )
    return found


def _news(record: Mapping[str, Any]) -> object:
    """What a record says, whenever it says it."""
    return {key: value for key, value in record.items() if key not in ("at", "since")}


def _told(record: Mapping[str, Any]) -> str:
    """A stage or a verdict for people."""
    if record["type"] == "note":
        return ""
    if record["type"] == "verdict":
        warning = f"; warning: {record['warning']}" if record["warning"] else ""
        return f"{'done' if not record['exitCode'] else 'ended'}: {record['sentence']}{warning}"
    progress, reason = record["progress"] or "", record["reason"] or ""
    spelled = {str(Flag.RETRYING)} if "attempt" in reason else set[str]()
    details = ("" if progress in reason else progress, reason, ", ".join(flag for flag in record["flags"] if flag not in spelled))
    return "  ".join(filter(None, (record["stage"], " · ".join(filter(None, details)))))


def _environment(intent: Intent, plan: Plan) -> str:
    match intent:
        case CreateEnvironment():
            return intent.name
        case Pause(target=Layer(kind=LayerKind.ENVIRONMENT, name=name)) | Resume(target=Layer(kind=LayerKind.ENVIRONMENT, name=name)):
            return name
    return next((reach.environment for reach in plan.reaches), "")
