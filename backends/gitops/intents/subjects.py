"""The words of commits: subjects for people (at most 72 characters), trailers for machines. Key names only, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backends.domain.record import Record
from backends.errors import BackendError
from backends.gitops import files
from backends.gitops.intent import Description, Trailer
from backends.gitops.layout import Place
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean

LIMIT = 72


def description(tree: Tree, op: str, scope: str, detail: str, trailers: Iterable[tuple[str, str]] = ()) -> Description:
    """`op(scope): detail`, or the form that tiphys.yaml asks for, with `Tiphys-Op` before the other trailers.

    Trailer values are one cleaned line; empty ones are left out.
    """
    plain = f"{op}({scope}): {detail}" if detail else f"{op}({scope})"
    try:
        template = files.workspace(tree).subject
    except BackendError:  # a broken tiphys.yaml must not hide what the commit did
        template = ""
    fields = {"{op}": op, "{scope}": scope, "{detail}": detail, "{subject}": plain}
    text = template or "{subject}"
    for name, value in fields.items():
        text = text.replace(name, value)
    lines = [Trailer("Tiphys-Op", op), *(Trailer(f"Tiphys-{k}", clean(v)) for k, v in trailers if v)]
    return Description(subject=shortened(clean(text)), trailers=tuple(lines))


def shortened(text: str) -> str:
    return text if len(text) <= LIMIT else f"{text[: LIMIT - 1].rstrip()}…"


def location(tree: Tree, place: Place) -> str:
    """An environment, with the cluster where the app has several deployments there."""
    several = sum(1 for _ in LAYOUT.deployments(tree, app=place.app, environment=place.environment)) > 1
    if not several:
        return place.environment
    try:
        return f"{place.environment}/{LAYOUT.deployment(tree, place).cluster}"
    except BackendError:  # a deployment whose files are broken still has an id
        return f"{place.environment}/{place.id}"


def scope(tree: Tree, places: Sequence[Place]) -> str:
    """`shop-api → prod`, `web → dev, prod/eu-1`; many targets are counted."""
    names = [location(tree, place) for place in places]
    shown = ", ".join(names) if len(names) <= 3 else f"{len(names)} targets"
    return f"{places[0].app} → {shown}"


def version(record: Record | None) -> str:
    """What people call a release: the main image's tag, how many more there are, else the chart's version."""
    if record is None:
        return ""
    images = list(record.images.values())
    if not images:
        return f"chart {record.chart_version}" if record.chart_version else ""
    more = f" +{len(images) - 1}" if len(images) > 1 else ""
    return f"{(record.images.get('main') or images[0]).short}{more}"


def movement(before: Record | None, after: Record | None) -> str:
    """`1f3c9ab → 8d02e11`; `chart 1.0.0 → 1.1.0` where the chart moves, beside the image's where both do; the version alone where it is the
    first.
    """
    chart = ""
    if before is not None and after is not None and before.chart_version != after.chart_version:
        chart = f"chart {before.chart_version or '–'} → {after.chart_version or '–'}"
        if before.images == after.images:
            return chart
    old, new = version(before), version(after)
    image = f"{old} → {new}" if old and old != new else new
    return f"{image}, {chart}" if chart and not new.startswith("chart ") else image


def release_trailers(tree: Tree, places: Sequence[Place], record: Record | None) -> list[tuple[str, str]]:
    """Deployments, app, environments, and what now runs there."""
    environments = dict.fromkeys(place.environment for place in places)
    lines: list[tuple[str, str]] = [("Deployment", place.id) for place in places]
    lines += [("App", places[0].app), *(("Env", name) for name in environments)]
    if record is not None:
        lines += [("Image", str(image) if name == "main" else f"{name}={image}") for name, image in record.images.items()]
        lines += [("Chart", chart_title(tree, places[0], record)), ("Build", record.build), ("Source", record.source)]
    return lines


def chart_title(tree: Tree, place: Place, record: Record) -> str:
    """`service 1.0.0`: what a history line shows of a chart; "" where there is none."""
    try:
        chart = files.app(tree, place.app).chart
    except BackendError:  # the app's file may be broken or gone; the version is still known
        chart = None
    return f"{chart.title} {record.chart_version}" if chart and record.chart_version else record.chart_version
