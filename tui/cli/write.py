"""From an intent to a commit, as every writing command does it: plan, show, confirm, run, report, and with `--wait` follow.

What is protected is confirmed by its typed name, never by `--yes`; without a terminal and without a confirmation nothing is written.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backends.domain.ids import mint_change_id
from backends.errors import BackendError, Refused
from backends.gitops.intents import Init
from backends.gitops.journal import Outcome
from backends.text import clean, is_one_line
from tui.cli import plans
from tui.cli.output import Output

if TYPE_CHECKING:
    from backends.gitops.intent import Intent
    from backends.gitops.journal import Entry
    from backends.gitops.plan import Plan
    from backends.gitops.writer import Written
    from backends.workspace import Workspace

NOTHING = "nothing to do: the repository is as wanted already"


async def planned_and_run(
    workspace: Workspace,
    intent: Intent,
    arguments: argparse.Namespace,
    output: Output,
    *,
    ask: bool = True,
    again: Entry | None = None,
) -> int:
    """Plan, show, confirm and run.

    Args:
        ask: False: confirmed by the command itself.
        again: the unfinished change that this is; its id and its reason are kept.
    """
    plan = await planned(workspace, intent, arguments, output, again=again)
    if arguments.plan:
        plans.printed(plan, output)
        return 0
    if plan.empty:
        unneeded(workspace, plan, output, again)
        return 0
    written = await run(workspace, plan, arguments, output, shown=confirmed(plan, arguments, output) if ask else False, again=again)
    if written.commit is not None and workspace.has_server:
        for notice in await workspace.nudge(written):
            output.note(notice.text)
    elif written.commit is not None:
        output.note("no Argo CD was named: nobody has seen this commit yet")
    return 0


async def run(
    workspace: Workspace, plan: Plan, arguments: argparse.Namespace, output: Output, *, shown: bool, again: Entry | None = None
) -> Written:
    """Carry out a confirmed plan and say what was written. Raises what `Workspace.run` raises."""
    change, reason = (again.change, again.reason) if again else (mint_change_id(), arguments.reason)
    written = await workspace.run(plan, shown=shown, change=change, reason=reason, progress=output.transfer)
    said(written, plan, output)
    return written


def unneeded(workspace: Workspace, plan: Plan, output: Output, again: Entry | None) -> None:
    """Say that there is nothing to do; an unfinished change that nobody needs any more is forgotten."""
    if again is not None:
        workspace.journal.clear(again.change)
    said(None, plan, output)


async def planned(
    workspace: Workspace, intent: Intent, arguments: argparse.Namespace, output: Output, *, again: Entry | None = None
) -> Plan:
    """The plan of an intent on the repository's head. Raises `Refused` when the reason is not one line, or in read-only mode."""
    if not is_one_line(arguments.reason):
        raise Refused("a reason is one line without control characters", hint="--reason 'black friday'")
    if workspace.readonly and not arguments.plan:
        raise Refused("read-only: nothing is written", hint="--plan shows what would change")
    await reported(workspace, output, but=again)
    output.progress("planning")
    observed = None
    if workspace.has_server and not isinstance(intent, Init):
        try:
            observed = await workspace.observed()
        except BackendError as error:
            output.warn(f"what runs now is not known: {error}")
    return await workspace.plan(intent, observed=observed)


async def reported(workspace: Workspace, output: Output, *, reading: bool = False, but: Entry | None = None) -> None:
    """Say which earlier changes have not arrived. A writing command forgets those that have; one that reads leaves the journal alone."""
    for entry, outcome in workspace.pending():
        if but is not None and entry.change == but.change:
            continue
        if outcome is Outcome.PUSHED and not reading:
            workspace.journal.clear(entry.change)
            output.note(f"an earlier change had arrived after all: {clean(entry.subject)}")
        elif outcome is Outcome.ABSENT:
            output.warn(f"an earlier change has not arrived: {clean(entry.subject)} (tiphys pending {entry.change} --run or --drop)")


def confirmed(plan: Plan, arguments: argparse.Namespace, output: Output) -> bool:
    """Have the plan confirmed; says whether it was shown for that (else the options alone confirmed it).

    Raises `Refused` when it is not confirmed, naming what would confirm it.
    """
    names = plan.protected
    typed = {name.strip() for name in arguments.confirm.split(",") if name.strip()}
    missing = [name for name in names if name not in typed]
    if not missing and (names or arguments.yes or typed & set(plan.confirmable)):
        for warning in plan.warnings:
            output.warn(warning.text)
        return False
    plans.summarised(plan, output)
    for name in missing:
        _typed(name, plan, output)
    if not names and not arguments.yes:
        _agreed(output)
    return True


def _typed(name: str, plan: Plan, output: Output) -> None:
    try:
        answer = output.ask(f"type {name} to confirm: ")
    except EOFError:
        raise Refused(f"{plan.message.subject}: {name} is protected", hint=f"--confirm {name}") from None
    if answer.strip() != name:
        raise Refused("not confirmed: nothing is written")


def _agreed(output: Output) -> None:
    try:
        answer = output.ask("write this? (y/N) ")
    except EOFError:
        raise Refused("not confirmed, and there is no terminal to ask", hint="--yes confirms, --plan shows and stops") from None
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("not confirmed: nothing is written")


def said(written: Written | None, plan: Plan, output: Output) -> None:
    """Report what was written, or that nothing had to be."""
    commit = written.commit if written else None
    if commit is None:
        output.note(NOTHING)
    if output.machine:
        record = {
            "at": datetime.now(UTC),
            "type": "written" if commit else "nothing",
            "commit": commit,
            "change": written.change if written and commit else None,
            "attempts": written.attempts if written else None,
            "subject": plan.message.subject,
            "deployments": [str(one) for one in plan.deployments],
        }
        output.record(record)
    elif commit is not None and written is not None:
        again = f", attempt {written.attempts}" if written.attempts > 1 else ""
        output.line(f"{commit[:10]} {plan.message.subject}{again}")
