"""`tree`, `logs` and `diff`: looking at one Application through Argo CD, managed by a workspace or not."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from backends.text import clean
from tui.cli import nouns, plans
from tui.cli.application import find
from tui.cli.output import Column, Output
from tui.cli.session import opened

_DEEPEST = 80
"""Columns of indentation: deeper ones are not told apart."""
_TREE = (
    Column("RESOURCE", "resource"),
    Column("SYNC", "sync"),
    Column("HEALTH", "health"),
    Column("WAVE", "wave", right=True),
    Column("HOOK", "hook"),
    Column("AGE", "createdAt", right=True),
    Column("IMAGES", "images", wide=True),
    Column("MESSAGE", "message"),
)


async def tree(arguments: argparse.Namespace, output: Output) -> int:
    """The objects of an Application, owners above what they own."""
    async with opened(arguments, output, argocd=True) as workspace:
        found = await find(workspace.server, arguments.name)
        seen = await workspace.server.resource_tree(found.key, project=found.project)
        items = [nouns.node(one, found) for one in seen.nodes or ()]
        output.listing([*indented(items)] if not output.machine else items, _TREE)
        return 0


def indented(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The nodes in the order of their hierarchy, each once, with a `resource` cell that draws its place; owners in a circle stand at the top."""
    known = {item["uid"] for item in items if item["uid"]}
    below: dict[str | None, list[int]] = defaultdict(list)
    order = sorted(range(len(items)), key=lambda at: (items[at]["wave"] or 0, items[at]["kind"], items[at]["name"]))
    for at in order:
        below[items[at]["parent"] if items[at]["parent"] in known else None].append(at)
    shown: set[int] = set()
    for top in (*below[None], *order):
        # a stack of (node, what stands before it, what stands before those that it owns): a chain of owners may be longer than Python's calls
        waiting = [(top, "", "")]
        while waiting:
            at, before, indent = waiting.pop()
            if at in shown:
                continue
            shown.add(at)
            item = items[at]
            yield {**item, "resource": f"{before}{item['kind']} {item['name']}"}
            owned = below.pop(item["uid"], []) if item["uid"] else []
            for number, child in enumerate(reversed(owned)):
                branch, deeper = ("└ ", "  ") if number == 0 else ("├ ", "│ ")
                waiting.append((child, indent + branch, (indent + deeper)[:_DEEPEST]))


async def logs(arguments: argparse.Namespace, output: Output) -> int:
    """Log lines of an Application's pods, each with its pod where there are several."""
    async with opened(arguments, output, argocd=True) as workspace:
        found = await find(workspace.server, arguments.name)
        lines = workspace.server.logs(
            found.key,
            project=found.project,
            pod=arguments.pod,
            namespace=str((found.spec.get("destination") or {}).get("namespace") or ""),
            container=arguments.container,
            follow=arguments.follow,
            previous=arguments.previous,
            tail=arguments.tail,
        )
        async for line in lines:
            if line.last:
                break
            if output.machine:
                output.record(
                    {"at": line.time_stamp_str or None, "type": "log", "pod": clean(line.pod_name), "message": clean(line.content)}
                )
            else:
                output.line(f"{line.pod_name} {line.content}" if line.pod_name and not arguments.pod else line.content)
        return 0


async def diff(arguments: argparse.Namespace, output: Output) -> int:
    """What differs between the cluster and Git, object by object; exit 0 also where something does."""
    from backends.render.diff import compare_live

    async with opened(arguments, output, argocd=True) as workspace:
        found = await find(workspace.server, arguments.name)
        changes = compare_live(await workspace.server.managed_resources(found.key, project=found.project))
        if output.machine:
            output.document({"items": [plans.object_document(change) for change in changes], "feeds": []})
            return 0
        for change in changes:
            output.line(f"--- {plans.object_title(change)}")
            for line in plans.diff_lines(change.hunks):
                output.line(line)
        if not changes:
            output.note(f"{found.key}: nothing differs at {found.status.sync.revision or 'the compared revisions'}")
        return 0
