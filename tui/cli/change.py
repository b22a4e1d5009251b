"""The verbs that write Git: `deploy`, `set`, `rollback`, `pause`, `resume`, `delete`. Each makes one intent; `write` carries it out."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from backends.errors import Invalid, NotFound
from backends.gitops import resolve
from backends.gitops.intents import Delete, EditValues, Pause, Resume, Rollback
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean
from tui.cli.output import Output
from tui.cli.session import fetched, opened
from tui.cli.waiting import carried_out

if TYPE_CHECKING:
    from backends.domain.release import Release
    from backends.gitops.layout import Place
    from backends.workspace import Workspace


async def deploy(arguments: argparse.Namespace, output: Output) -> int:
    """An image or a chart version to one or more places, in one commit."""
    if not arguments.image and not arguments.chart_version:
        raise Invalid("nothing to deploy was named", hint="--image [NAME=]REF, or --chart-version V")
    async with opened(arguments, output, repo=True, argocd=arguments.wait) as workspace:
        tree = await fetched(workspace, output)
        intent = resolve.deploy(
            tree,
            arguments.app,
            arguments.to,
            images=arguments.image,
            chart_version=arguments.chart_version,
            source=arguments.source,
            build=arguments.build,
            taken=frozenset(await workspace.last_changes()),
        )
        return await carried_out(workspace, intent, arguments, output)


async def set_(arguments: argparse.Namespace, output: Output) -> int:
    """Values of one layer."""
    async with opened(arguments, output, repo=True, argocd=arguments.wait) as workspace:
        tree = await fetched(workspace, output)
        layer = resolve.layer(tree, arguments.target)
        intent = EditValues(layer=layer, edits=tuple(resolve.edit(text) for text in arguments.changes))
        return await carried_out(workspace, intent, arguments, output)


async def rollback(arguments: argparse.Namespace, output: Output) -> int:
    """The release files of an earlier commit, in a new one."""
    async with opened(arguments, output, repo=True, argocd=arguments.wait) as workspace:
        tree = await fetched(workspace, output)
        place = resolve.deployment(tree, arguments.id)
        release = await _earlier(workspace, place, arguments.to)
        old = workspace.tree(release.commit)
        files = dict(LAYOUT.release_files(old, LAYOUT.find(old, place.id)))
        if arguments.with_values:
            values = old.read(f"{place.folder}/values.yaml")
            files |= {"values.yaml": values} if values is not None else {}
        output.note(f"back to {release.commit[:10]} of {release.at:%Y-%m-%d %H:%M} by {release.author}: {release.subject}")
        return await carried_out(workspace, Rollback(id=place.id, commit=release.commit, files=files), arguments, output)


async def pause(arguments: argparse.Namespace, output: Output) -> int:
    """Automation off until a time."""
    async with opened(arguments, output, repo=True, argocd=arguments.wait) as workspace:
        tree = await fetched(workspace, output)
        until = moment(arguments.until, now=datetime.now().astimezone())
        intent = Pause(target=resolve.layer(tree, arguments.target), until=until, reason=arguments.reason)
        return await carried_out(workspace, intent, arguments, output)


async def resume(arguments: argparse.Namespace, output: Output) -> int:
    """Automation on again."""
    async with opened(arguments, output, repo=True, argocd=arguments.wait) as workspace:
        tree = await fetched(workspace, output)
        return await carried_out(workspace, Resume(target=resolve.layer(tree, arguments.target)), arguments, output)


async def delete(arguments: argparse.Namespace, output: Output) -> int:
    """A deployment's directory: the Manager prunes the Application, its finalizer removes the workloads."""
    async with opened(arguments, output, repo=True, argocd=arguments.wait) as workspace:
        tree = await fetched(workspace, output)
        return await carried_out(workspace, Delete(id=resolve.deployment(tree, arguments.id).id), arguments, output)


async def _earlier(workspace: Workspace, place: Place, wanted: str) -> Release:
    """The release that a rollback restores: the one named, else the newest that differs from now and was Live if that is known."""
    releases = await workspace.history(deployment=place.id)
    hint = f"tiphys history {place.id} lists them"
    if wanted:
        found = [one for one in releases if one.commit.startswith(wanted.lower())]
        if len(found) != 1:
            raise NotFound(f"{len(found) or 'no'} releases of {place.id} begin with {clean(wanted, limit=60)}", hint=hint)
        return found[0]
    found = await workspace.earlier(place, releases)
    if not found:
        raise NotFound(f"{place.id} has no earlier release that differs from now", hint=hint)
    return found[0]


def moment(text: str, *, now: datetime) -> datetime:
    """When "18:00", "2h", "3d", "2026-11-26T18:00:00Z" or "2026-11-26 18:00" is, in UTC. A time of day is the next one here.

    Raises `Invalid` for what is no time, or not in the future.
    """
    units = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
    try:
        if text[-1:] in units and text[:-1].replace(".", "", 1).isdigit():
            when = now + float(text[:-1]) * units[text[-1]]
        elif len(text) <= 5 and ":" in text:
            hour, _, minute = text.partition(":")
            when = now.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
            when += timedelta(days=1) if when <= now else timedelta(0)
        else:
            when = datetime.fromisoformat(text)
            when = when if when.tzinfo else when.replace(tzinfo=now.tzinfo)
    except (ValueError, OverflowError):
        raise Invalid(f"not a time: {clean(text, limit=60)!r}", hint="18:00, 2h, 3d, or 2026-11-26T18:00:00Z") from None
    if when <= now:
        raise Invalid(f"{clean(text, limit=60)} is over already")
    return when.astimezone(UTC).replace(microsecond=0)
