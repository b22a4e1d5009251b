"""The text of every file that Tiphys begins: the same bytes for the same values, keys in the order of the format.

release.yaml and values.release.yaml are machine-owned for good. The others are edited in place afterwards (`values`), so that comments and
unknown keys of people survive.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from backends.domain.app import App, ImageKeys
from backends.domain.cluster import Cluster
from backends.domain.deployment import Deployment
from backends.domain.environment import Environment
from backends.domain.options import ApplicationOptions
from backends.domain.record import Image, Record
from backends.domain.workspace import Workspace
from backends.errors import Invalid
from backends.gitops.keys import parse_key
from backends.gitops.quoting import flow, key

EMPTY_VALUES = "{}\n"
ENVIRONMENT_KEYS = (
    *("kind", "order", "cluster", "clusters", "namespace", "promoteFrom", "automated", "protected", "delivery", "locks"),
    *("paused", "allow", "ttl", "gates", "argocd"),
)
DEPLOYMENT_KEYS = ("id", "app", "environment", "cluster", "namespace", "adopted", "secrets", "paused", "argocd")


def workspace_yaml(workspace: Workspace) -> bytes:
    subject = {"subject": workspace.subject} if workspace.subject else {}
    argocd = {"namespace": workspace.argocd.namespace, "url": workspace.argocd.url}
    return _lines({"schemaVersion": workspace.schema_version, "id": workspace.id, "slug": workspace.slug, "argocd": argocd, **subject})


def cluster_yaml(cluster: Cluster) -> bytes:
    return _lines(msgspec.to_builtins(cluster))


def environment_yaml(environment: Environment) -> bytes:
    """environment.yaml; keys at their default are left out, except those that every environment shows."""
    shown = environment_fields(environment)
    always = {"kind", "order", "cluster", "clusters", "namespace", "promoteFrom", "automated", "protected", "allow"}
    empty = environment_fields(Environment(name=environment.name))
    return _lines({name: shown[name] for name in ENVIRONMENT_KEYS if name in always or shown[name] != empty[name]})


def environment_fields(environment: Environment) -> dict[str, Any]:
    """An environment as plain values by key, times as RFC 3339 text; what a splice writes."""
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(environment))
    del fields["name"]
    fields["paused"] = environment.paused and pause_fields(environment.paused.until, environment.paused.reason)
    return fields


def pause_fields(until: datetime | None, reason: str) -> dict[str, Any]:
    """A `paused:` block as plain values."""
    return {**({"until": instant(until)} if until else {}), **({"reason": reason} if reason else {})}


def instant(at: datetime) -> str:
    """A time as files hold it: RFC 3339, UTC, whole seconds."""
    return at.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def app_yaml(app: App) -> bytes:
    """app.yaml: images one a line, the rest on lines of their own."""
    chart = app.chart and {name: value for name in ("path", "repo", "name", "version") if (value := getattr(app.chart, name))}
    head = {
        "kind": app.kind,
        **({"source": {"repo": app.source.repo}} if app.source and app.source.repo else {}),
        **({"chart": chart} if chart else {}),
    }
    images = {name: {"repository": image.repository} for name, image in app.images.items()}
    places = {name: {k: v for k, v in msgspec.to_builtins(keys).items() if v} for name, keys in app.image_values.items()}
    return _lines(head) + _nested("images", images) + _nested("imageValues", places) + _lines(_options(app.argocd))


def deployment_yaml(deployment: Deployment) -> bytes:
    """deployment.yaml of a new deployment."""
    names = ("id", "app", "environment", "cluster", "namespace")
    adopted = {"adopted": True} if deployment.adopted else {}
    return _lines({**{name: getattr(deployment, name) for name in names}, **adopted, **_options(deployment.argocd)})


def release_yaml(record: Record, unknown: Mapping[str, Any] | None = None) -> bytes:
    """release.yaml; `unknown` are keys of a file that is there which this version does not know: they stay, at the end."""
    images = {name: {"repository": i.repository, "tag": i.tag, "digest": i.digest} for name, i in record.images.items()}
    chart = {"chart": {"version": record.chart.version}} if record.chart else {}
    plain = {"build": record.build, "source": record.source, "promotedFrom": record.promoted_from}
    rest = {**chart, **{name: text for name, text in plain.items() if text}, **(unknown or {})}
    return _nested("images", images) + _lines(rest) or EMPTY_VALUES.encode()


def release_values_yaml(app: App, record: Record) -> bytes:
    """values.release.yaml: the images of a record where the chart reads them.

    Raises `Invalid` when nobody said where (`imageValues` of app.yaml), or two images claim one place.
    """
    values: dict[str, Any] = {}
    for name, image in record.images.items():
        keys = app.keys_of(name)
        if keys is None or not keys.tag:
            raise Invalid(
                f"app {app.name} does not say where its chart reads the image {name!r}",
                hint=f"name it in apps/{app.name}/app.yaml: imageValues: {{{name}: {{repository: …, tag: …, digest: …}}}}",
            )
        for place, text in _placed(keys, image):
            _put(values, place, text, app.name)
    return _lines(values) or EMPTY_VALUES.encode()


def values_yaml(comment: str) -> bytes:
    """A values file that people will fill: `{}`, so that it is there, since a missing one is an error in Argo CD."""
    return f"# {comment}\n{EMPTY_VALUES}".encode()


def _placed(keys: ImageKeys, image: Image) -> list[tuple[str, str]]:
    """Where each part of an image goes. Without a digest key the tag carries the digest, so that what is recorded is what is deployed."""
    tag = image.tag if keys.digest or not image.digest else f"{image.tag or 'latest'}@{image.digest}"
    parts = ((keys.repository, image.repository), (keys.tag, tag), (keys.digest, image.digest))
    return [(place, text) for place, text in parts if place]


def _put(values: dict[str, Any], place: str, text: str, app: str) -> None:
    *above, last = parse_key(place)
    holder = values
    for part in above:
        inner = holder.setdefault(str(part), {})
        if not isinstance(inner, dict):
            raise Invalid(f"imageValues of app {app}: {place} lies below a key that holds an image itself")
        holder = inner
    if str(last) in holder or not isinstance(last, str):
        raise Invalid(f"imageValues of app {app}: {place} is named twice, or is an index")
    holder[last] = text


def _options(options: ApplicationOptions) -> dict[str, Any]:
    fields = msgspec.to_builtins(options)
    return {"argocd": fields} if fields else {}


def _lines(fields: Mapping[str, Any]) -> bytes:
    return "".join(f"{key(name)}: {flow(value)}\n" for name, value in fields.items()).encode()


def _nested(name: str, fields: Mapping[str, Any]) -> bytes:
    """A mapping with each of its entries on a line; nothing when it is empty."""
    return "".join([f"{name}:\n", *(f"  {key(k)}: {flow(v)}\n" for k, v in fields.items())]).encode() if fields else b""
