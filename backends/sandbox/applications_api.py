"""Reading Applications: lists, one with or without a refresh, and who may see which.

Rules and texts are those of Argo CD's server (server/application/application.go) and of the recordings.
"""

from __future__ import annotations

import asyncio

from backends.engine import in_thread
from backends.sandbox.access import Denied
from backends.sandbox.applications import NAMESPACE, Shown
from backends.sandbox.calls import DENIED, Answer, ApiError, Call, answer
from backends.sandbox.objects import REFRESH, Manifest, annotation
from backends.sandbox.projection import Fields
from backends.sandbox.projects import sources_of
from backends.sandbox.selectors import SelectorError, parse


async def list_(call: Call) -> Answer:
    """GET /api/v1/applications. Never refuses: what one may not see is absent."""
    shown = visible(call, prefix="error parsing the selector: ")
    name, repo = call.query.get("name"), call.query.get("repo")
    shown = [one for one in shown if (not name or one.name == name) and (not repo or _reads(one, repo))]
    fields = Fields.of(call.query.get("fields"))
    head = b'{"metadata":{"resourceVersion":"%d"}\n,"items":' % call.sandbox.world.version
    if not shown:
        return Answer(head + b"null}")
    if len(shown) > 500:  # a big list is put together aside, so that streams go on meanwhile
        body = await in_thread(_join, shown, fields)
    else:
        body = _join(shown, fields)
    return Answer(b"".join((head, b"[", body, b"]}")))


async def get(call: Call) -> Answer:
    """GET /api/v1/applications/{name}; with `refresh` the answer comes after the comparison."""
    asked = call.query.all("project", "projects")
    if len(asked) > 1:
        raise ApiError(3, "multiple projects specified - the get endpoint accepts either zero or one project")
    shown = permitted(call, "get", project=asked[0] if asked else "")
    refresh = call.query.get("refresh")
    if refresh and call.sandbox.applications.get(shown.name) is not None:
        shown = await _refreshed(call, shown.name, "hard" if refresh == "hard" else "normal")
    return answer(shown.document())


def visible(call: Call, *, prefix: str) -> list[Shown]:
    """The Applications that a list or stream may show to who asks."""
    try:
        selector = parse(call.query.get("selector"))
    except SelectorError as error:
        raise ApiError(2, f"{prefix}{error}") from None
    projects, access, who = set(call.query.all("projects", "project")), call.sandbox.access, call.who
    if call.query.get("appNamespace") not in ("", NAMESPACE):
        return []
    everything = access.may(who, "applications", "get", "*/*")
    return [
        one
        for one in call.sandbox.applications.all_shown()
        if (not projects or one.project in projects)
        and selector(one.labels)
        and (everything or access.may(who, "applications", "get", f"{one.project}/{one.name}"))
    ]


def permitted(call: Call, action: str, *, project: str) -> Shown:
    """The Application of a request, by the 403/404 rules: without `project`, missing and forbidden look the same."""
    name, access = call.path["name"], call.sandbox.access
    if project and not access.may(call.who, "applications", action, f"{project}/{name}"):
        raise ApiError(*DENIED)
    missing = ApiError(5, f'applications.argoproj.io "{name}" not found')
    if call.query.get("appNamespace") not in ("", NAMESPACE):
        raise ApiError(*DENIED)
    shown = call.sandbox.applications.shown(name)
    if shown is None:
        raise missing if project else ApiError(*DENIED)
    if not access.may(call.who, "applications", action, f"{shown.project}/{name}"):
        if action != "get":
            enforce(call, action, f"{shown.project}/{name}")
        raise missing if project else ApiError(*DENIED)
    if project and shown.project != project:
        raise missing
    return shown


def enforce(call: Call, action: str, target: str) -> None:
    try:
        call.sandbox.access.enforce(call.who, "applications", action, target)
    except Denied as error:
        raise ApiError(7, str(error)) from None


async def _refreshed(call: Call, name: str, kind: str) -> Shown:
    applications = call.sandbox.applications
    done = asyncio.Event()

    def heard(event: str, shown: Shown) -> None:
        if shown.name == name and (event == "DELETED" or not annotation(shown.document(), REFRESH)):
            done.set()

    hydrate = {"argocd.argoproj.io/hydrate": kind, "argocd.argoproj.io/hydrate-timestamp": call.sandbox.world.clock.stamp_fine()}
    applications.annotate(name, {REFRESH: kind} | hydrate)
    stop = applications.listen(heard)
    try:
        await done.wait()
    finally:
        stop()
    return shown_of(call, name)


def manifest_of(call: Call, name: str) -> Manifest:
    manifest = call.sandbox.applications.get(name)
    if manifest is None:  # a synthetic one: it can be watched, not driven
        raise ApiError(12, "synthetic applications of the sandbox cannot be changed")
    return manifest


def shown_of(call: Call, name: str) -> Shown:
    shown = call.sandbox.applications.shown(name)
    if shown is None:
        raise ApiError(5, f'applications.argoproj.io "{name}" not found')
    return shown


def _reads(shown: Shown, repo: str) -> bool:
    return any(one.get("repoURL") == repo for one in sources_of(shown.document()["spec"]))


def _join(shown: list[Shown], fields: Fields) -> bytes:
    return b",".join([one.item(fields) for one in shown])
