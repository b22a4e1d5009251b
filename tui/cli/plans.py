"""A plan as text: for people before they confirm, or as data for `--plan`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backends.text import clean
from tui.cli.output import Output

if TYPE_CHECKING:
    from backends.gitops.impact import TargetChange
    from backends.gitops.plan import Plan
    from backends.render.diff import ObjectDiff
    from backends.render.hunks import Hunk

_SHOWN = 200
"""Lines of one difference that are shown to people; JSON has all of them."""


def printed(plan: Plan, output: Output) -> None:
    """The plan as data on stdout."""
    if output.machine:
        output.document(document(plan))
        return
    for line in lines(plan):
        output.line(line)


def summarised(plan: Plan, output: Output) -> None:
    """The plan on stderr, for whoever is asked to confirm it."""
    for line in lines(plan):
        output.note(line)


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people: what it is, what it reaches, files, rendered objects, warnings, what has to be typed."""
    if plan.empty:
        yield f"plan: {plan.message.subject}: nothing to do"
        return
    yield f"plan: {plan.message.subject}"
    yield f"  {_count(len(plan.reaches), 'deployment')}, {_count(len(plan.files), 'file')}, on {(plan.base or 'an empty repository')[:10]}"
    for target in plan.targets:
        yield f"  {_target(target)}"
    for one in plan.files:
        yield f"--- {one.change} {clean(one.path)}"
        yield from _hunks(one.hunks)
    for rendered in plan.rendered:
        if rendered.missing:
            continue  # a warning says why
        if rendered.error:
            yield f"=== {rendered.deployment}: {clean(rendered.error)}"
            continue
        yield f"=== {rendered.deployment}: {_count(len(rendered.objects), 'object')} of what {rendered.by or 'Argo CD'} renders"
        for change in rendered.objects:
            yield f"--- {object_title(change)}"
            yield from _hunks(change.hunks)
    for warning in plan.warnings:
        yield f"warning: {warning.text}"
    if plan.protected:
        yield f"protected: --confirm {','.join(plan.protected)}"


def diff_lines(hunks: tuple[Hunk, ...]) -> Iterator[str]:
    """Hunks as a unified diff has them, every line cleaned."""
    for hunk in hunks:
        yield f"@@ -{hunk.before} +{hunk.after} @@"
        for line in hunk.lines:
            yield f"{line.kind}{clean(line.text)}"


def object_title(change: ObjectDiff) -> str:
    """ "changed Deployment shop/web (PreSync)"."""
    hook = f" ({change.hook})" if change.hook else ""
    return f"{change.change} {clean(change.kind)} {clean(change.namespace)}/{clean(change.name)}{hook}"


def object_document(change: ObjectDiff) -> dict[str, Any]:
    """One changed object as JSON shows it."""
    return {
        "change": change.change,
        "group": change.group,
        "kind": clean(change.kind),
        "namespace": clean(change.namespace),
        "name": clean(change.name),
        "hook": change.hook or None,
        "diff": list(diff_lines(change.hunks)),
    }


def document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON shows it; every text is cleaned."""
    return {
        "subject": plan.message.subject,
        "empty": plan.empty,
        "base": plan.base,
        "protected": list(plan.protected),
        "deployments": [
            {
                "id": one.id,
                "app": one.app,
                "environment": one.environment,
                "new": one.new,
                "removed": one.removed,
                "application": one.application,
                "files": list(one.files),
            }
            for one in plan.reaches
        ],
        "targets": [
            {
                "id": one.id,
                "cluster": one.cluster,
                "namespace": one.namespace,
                "images": {
                    image.name: {"before": str(image.before) if image.before else None, "after": str(image.after) if image.after else None}
                    for image in one.images
                },
                "chart": {"before": one.chart_before or None, "after": one.chart_after or None},
            }
            for one in plan.targets
        ],
        "files": [{"path": one.path, "change": one.change, "diff": list(diff_lines(one.hunks))} for one in plan.files],
        "rendered": [
            {
                "deployment": one.deployment,
                "by": one.by or None,
                "missing": clean(one.missing) or None,
                "error": clean(one.error) or None,
                "objects": [object_document(change) for change in one.objects],
            }
            for one in plan.rendered
        ],
        "warnings": [{"code": one.code, "about": one.about or None, "text": one.text} for one in plan.warnings],
    }


def _hunks(hunks: tuple[Hunk, ...]) -> Iterator[str]:
    for number, line in enumerate(diff_lines(hunks)):
        if number == _SHOWN:
            yield "    … more: -o json shows all"
            return
        yield f"    {line}"


def _target(target: TargetChange) -> str:
    moves = [
        f"{image.name} {image.before.short if image.before else 'none'} → {image.after.short if image.after else 'none'}"
        for image in target.images
        if image.before != image.after
    ]
    if target.chart_before != target.chart_after:
        moves.append(f"chart {target.chart_before or 'none'} → {target.chart_after or 'none'}")
    state = "new" if target.new else "deleted" if target.removed else "changed"
    what = f": {', '.join(moves)}" if moves else ""
    return f"{target.id} ({state}) on {target.cluster}/{target.namespace}{what}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
