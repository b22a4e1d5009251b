"""`sync`, `refresh` and `terminate`: what Argo CD is asked to do to one Application, managed by a workspace or not."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from backends.argocd.types import SyncResource
from backends.errors import Forbidden, Invalid, Refused
from backends.text import clean
from tui.cli.application import find
from tui.cli.output import Output
from tui.cli.session import opened

if TYPE_CHECKING:
    from backends.argocd.types import Application


async def refresh(arguments: argparse.Namespace, output: Output) -> int:
    """Ask for a comparison now, and say what it found."""
    async with opened(arguments, output, argocd=True) as workspace:
        server = workspace.server
        found = await find(server, arguments.name)
        seen = await server.get_application(found.key, project=found.project, refresh="hard" if arguments.hard else "normal")
        _said(output, "refreshed", seen)
        return 0


async def terminate(arguments: argparse.Namespace, output: Output) -> int:
    """End the operation that runs."""
    async with opened(arguments, output, argocd=True) as workspace:
        found = await find(workspace.server, arguments.name)
        try:
            await workspace.server.terminate(found.key, project=found.project)
        except Forbidden as error:
            if not error.maybe_missing:
                raise
            raise Forbidden(
                "you may see it and not end its operation", target=str(found.key), hint="it takes the right to sync it"
            ) from None
        output.note(f"{found.key}: the operation is being terminated")
        return 0


async def sync(arguments: argparse.Namespace, output: Output) -> int:
    """Ask for a sync; with `--wait` until the operation has ended and the result is known."""
    async with opened(arguments, output, argocd=True) as workspace:
        server = workspace.server
        found = await find(server, arguments.name)
        if arguments.prune and not arguments.dry_run and not (arguments.yes or arguments.confirm == found.metadata.name):
            raise Refused(
                "a sync with prune deletes what Git no longer has", hint=f"--yes, or --confirm {shlex.quote(clean(found.metadata.name))}"
            )
        resources = [_resource(text, found) for text in arguments.resource]
        if resources:
            output.note("a sync of single resources runs no hooks and leaves no history entry")
        seen = await server.sync(found.key, project=found.project, prune=arguments.prune, dry_run=arguments.dry_run, resources=resources)
        _said(output, "sync requested" if not arguments.dry_run else "dry run requested", seen)
        if not arguments.wait:
            return 0
        from tui.cli.watch import synced

        return await synced(workspace, found, output, seconds=arguments.timeout, whole=not (arguments.dry_run or resources))


def _resource(text: str, application: Application) -> SyncResource:
    """`[GROUP/]KIND/NAME`, as the Application's own list of resources names it."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts[-2:]):
        raise Invalid(f"not a resource: {clean(text, limit=120)!r}", hint="[GROUP/]KIND/NAME, such as apps/Deployment/web")
    group, kind, name = (["", *parts] if len(parts) == 2 else parts)[-3:]
    fitting = [
        one
        for one in application.status.resources or ()
        if (one.kind.lower(), one.name) == (kind.lower(), name) and (len(parts) == 2 or one.group == group)
    ]
    if len(fitting) > 1:
        raise Invalid(
            f"{text!r} names {len(fitting)} resources", hint=", ".join(f"{one.group}/{one.kind}/{one.name}" for one in fitting[:5])
        )
    if not fitting:
        return SyncResource(group=group, kind=kind, name=name)
    return SyncResource(group=fitting[0].group, kind=fitting[0].kind, name=name, namespace=fitting[0].namespace)


def _said(output: Output, what: str, seen: Application) -> None:
    operation = seen.status.operation_state
    facts = {
        "namespace": seen.metadata.namespace,
        "name": seen.metadata.name,
        "sync": clean(seen.status.sync.status) or None,
        "health": clean(seen.status.health.status) or None,
        "revision": clean(seen.status.sync.revision or ", ".join(seen.status.sync.revisions or ())) or None,
        "operation": clean(operation.phase) if operation else ("Requested" if seen.operation else None),
    }
    if output.machine:
        output.document(facts)
    else:
        output.line(f"{seen.key}: {what}; {facts['sync'] or 'not compared yet'}, {facts['health'] or 'health not known yet'}")
