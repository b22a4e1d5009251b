"""`pending`: changes that were confirmed and are not known to have arrived; looked up, run again, or dropped."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backends.errors import Invalid, Refused
from backends.gitops.intents import decode
from backends.gitops.journal import Outcome
from backends.text import clean
from tui.cli.output import Column, Output
from tui.cli.session import opened
from tui.cli.waiting import carried_out

if TYPE_CHECKING:
    from backends.gitops.journal import Entry
    from backends.workspace import Workspace

_COLUMNS = (
    Column("CHANGE", "change"),
    Column("AGE", "at", right=True),
    Column("OUTCOME", "outcome"),
    Column("COMMIT", "commit", wide=True),
    Column("SUBJECT", "subject"),
    Column("REASON", "reason"),
)


async def pending(arguments: argparse.Namespace, output: Output) -> int:
    """List them, or run or drop the one that is named."""
    if (arguments.run or arguments.drop) and not arguments.change:
        raise Invalid("which change?", hint="tiphys pending lists them")
    async with opened(arguments, output, repo=True) as workspace:
        if arguments.change and arguments.drop:
            entry = workspace.journal.find(arguments.change)
            workspace.journal.clear(entry.change)
            output.note(f"{entry.change} is forgotten; whatever of it arrived stays")
            return 0
        await workspace.fetch(progress=output.transfer)
        if arguments.change and arguments.run:
            return await _run(workspace, workspace.journal.find(arguments.change), arguments, output)
        return _listed(workspace, arguments.change, output)


def _listed(workspace: Workspace, change: str, output: Output) -> int:
    entries, problems = workspace.journal.entries()
    for problem in problems:
        output.warn(f"{problem.path} cannot be read and is left as it is: {problem.reason}")
    items = []
    for entry in entries:
        if change and entry.change != change:
            continue
        outcome, commit = workspace.journal.outcome(entry, workspace.repo)
        items.append(
            {
                "change": entry.change,
                "at": entry.at,
                "outcome": str(outcome),
                "commit": commit or entry.commit,
                "subject": clean(entry.subject) or None,
                "reason": clean(entry.reason) or None,
            }
        )
        if outcome is Outcome.PUSHED:
            workspace.journal.clear(entry.change)
    output.listing(items, _COLUMNS)
    return 0


async def _run(workspace: Workspace, entry: Entry, arguments: argparse.Namespace, output: Output) -> int:
    outcome, commit = workspace.journal.outcome(entry, workspace.repo)
    if outcome is Outcome.RUNNING:
        raise Refused(f"another process is at {entry.change} right now")
    if outcome is Outcome.PUSHED:
        workspace.journal.clear(entry.change)
        output.note(f"it had arrived: {str(commit)[:10]} {clean(entry.subject)}")
        return 0
    return await carried_out(workspace, decode(entry.intent.encode()), arguments, output, again=entry)
