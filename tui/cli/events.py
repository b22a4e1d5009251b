"""`events`: what happened to one Application or to everything; with `-f`, as it happens.

Joined from three sources: changes of Applications as Argo CD's stream shows them, Kubernetes events (asked for, since nobody streams them),
and commits of the workspace repository.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from backends.domain.event import EventSource, LiveEvent
from backends.domain.ids import AppKey, DeploymentId
from backends.errors import BackendError
from backends.live.events import AT_ONCE, EventsFeed
from backends.live.feeds import ApplicationsFeed
from backends.live.pace import at_most
from backends.live.store import Store
from backends.live.tail import Tail, of_release
from tui.cli import nouns
from tui.cli.application import find
from tui.cli.columns import COLUMNS
from tui.cli.output import Output, clock
from tui.cli.session import fetched, opened

if TYPE_CHECKING:
    from backends.argocd.types import Application
    from backends.domain.release import Release
    from backends.workspace import Workspace

COMMITS = 50
"""Commits that are shown before the first live line."""
REMOTE_SECONDS = 30.0
"""Between two looks for others' commits (contract: 30 s over https, 60 s over ssh)."""
MOST = 200
"""Applications whose events are asked for at once, without a name."""


async def events(arguments: argparse.Namespace, output: Output) -> int:
    """Print what Kubernetes still keeps and the newest commits; then, with `-f`, every event as it comes."""
    async with opened(arguments, output, argocd=True) as workspace:
        server = workspace.server
        found = await find(server, arguments.name) if arguments.name else None
        if workspace.has_repo:
            await fetched(workspace, output)
        store = Store()
        tail = Tail(store)
        kubernetes = EventsFeed(server, store, tail)
        applications = (found,) if found else await server.list_applications()
        if len(applications) > MOST:
            output.warn(f"the events of {MOST} of {len(applications)} Applications are asked for; name one to see its own")
        store.apply_list(applications[:MOST], store.begin_list())
        for one in applications[:MOST]:
            kubernetes.follow(one.key)
        await at_most(AT_ONCE, [partial(kubernetes.look, one.key) for one in applications[:MOST]])
        tail.add([of_release(one) for one in reversed(await _commits(workspace, found))])
        if not arguments.follow:
            output.listing([nouns.event(one) for one in tail.events], COLUMNS["event"])
            return 0
        for line in tail.events:
            _told(line, output)
        async for line in _following(workspace, found, store, tail, kubernetes, output):
            _told(line, output)
        return 0


async def _following(
    workspace: Workspace, found: Application | None, store: Store, tail: Tail, kubernetes: EventsFeed, output: Output
) -> AsyncIterator[LiveEvent]:
    """Events from now on; of one Application where one is named. Its feeds end with it."""
    label = found.label("tiphys.dev/workspace") if found else ""
    selector = f"tiphys.dev/workspace={label}" if label else ""
    feed = ApplicationsFeed(workspace.server, store, selector=selector, rows=not selector)
    tasks = [asyncio.ensure_future(work) for work in (feed.run(), kubernetes.run())]
    if workspace.has_repo:
        tasks.append(asyncio.ensure_future(_new_commits(workspace, found, tail, output)))
    try:
        async for event in tail.follow():
            if found is None or _concerns(event, found.key):
                yield event
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _new_commits(workspace: Workspace, found: Application | None, tail: Tail, output: Output) -> None:
    """Others' commits, as they reach the remote."""
    seen = {one.commit for one in await _commits(workspace, found)}
    while True:
        await asyncio.sleep(REMOTE_SECONDS)
        try:
            await workspace.fetch()
        except BackendError as error:
            output.warn(f"commits are not seen now: {error}")
            continue
        fresh = [one for one in await _commits(workspace, found) if one.commit not in seen]
        seen.update(one.commit for one in fresh)
        tail.add(of_release(one) for one in reversed(fresh))


async def _commits(workspace: Workspace, found: Application | None) -> tuple[Release, ...]:
    if not workspace.has_repo:
        return ()
    deployment = DeploymentId(found.metadata.name) if found else None
    return await workspace.history(deployment=deployment, limit=COMMITS)


def _concerns(event: LiveEvent, key: AppKey) -> bool:
    return event.application == key or event.deployment == key.name or (event.source is EventSource.ARGO and event.application is None)


def _told(event: LiveEvent, output: Output) -> None:
    if output.machine:
        output.record({"type": "event", **nouns.event(event)})
        return
    about = event.deployment or (event.application.name if event.application else "")
    many = f" ×{event.count}" if event.count > 1 else ""
    output.line(f"{clock(event.at)}  {event.source:<10}  {about}  {event.kind} {event.name}  {event.reason}{many}  {event.message}")
