"""The API below one Application: tree, differences, manifests, events, single resources, actions, revisions, logs."""

from __future__ import annotations

from typing import Any

import msgspec

from backends.engine import in_thread
from backends.errors import NotFound
from backends.sandbox import logs, stream
from backends.sandbox.access import Denied
from backends.sandbox.applications_api import manifest_of, permitted
from backends.sandbox.calls import Answer, ApiError, Call, answer, error_answer
from backends.sandbox.cluster import Cluster
from backends.sandbox.comparison import Managed
from backends.sandbox.merge import merge_patch
from backends.sandbox.objects import LAST_APPLIED, TRACKING, Key, Manifest, annotation, dig, tracking_id, uid_of, with_
from backends.sandbox.projection import Fields
from backends.sandbox.projects import sources_of
from backends.sandbox.sources import GenerationError
from backends.sandbox.tree import find_node

_ICONS = {"restart": "redo", "pause": "pause-circle", "resume": "play-circle", "scale": "plus-circle"}
_ACTIONS = {"Deployment": ("restart", "pause", "resume", "scale"), "StatefulSet": ("scale", "restart"), "DaemonSet": ("restart",)}


async def tree(call: Call) -> Answer:
    """GET …/resource-tree."""
    shown = permitted(call, "get", project=call.query.get("project"))
    return answer(_tree(call, shown.name))


async def managed(call: Call) -> Answer:
    """GET …/managed-resources: texts of wanted and live objects, hooks left out, Secrets masked."""
    shown = permitted(call, "get", project=call.query.get("project"))
    wanted = {field: call.query.get(field) for field in ("namespace", "name", "group", "kind") if call.query.get(field)}
    items = []
    for one in call.sandbox.applications.managed.get(shown.name, ()):
        if not one.hook and all(getattr(one.key, field) == value for field, value in wanted.items()):
            items.append(_difference(one))
    return Answer(Fields.of(call.query.get("fields")).encode({"items": items or None}))


async def manifests(call: Call) -> Answer:
    """GET …/manifests: what the sources render to, at a revision."""
    shown = permitted(call, "get", project=call.query.get("project"))
    application = manifest_of(call, shown.name)
    sources = sources_of(application["spec"])
    revisions = [call.query.get("revision")] * len(sources) if len(sources) == 1 else [""] * len(sources)
    for position, revision in zip(call.query.all("sourcePositions"), call.query.all("revisions"), strict=False):
        revisions[int(position) - 1] = revision
    generate = call.sandbox.repository.generate
    try:
        found = await in_thread(generate, application, sources, revisions, no_cache=call.query.flag("noCache"), force=True)
    except GenerationError as error:
        raise ApiError(2, str(error).partition("desc = ")[2] or str(error)) from None
    name, namespace = shown.name, str(dig(application, "spec", "destination", "namespace", default=""))
    return answer({"manifests": [_text(_masked(_tracked(one, name, namespace))) for one in found.manifests]})


async def events(call: Call) -> Answer:
    """GET …/events: of the Application itself, or of an object of its tree."""
    shown = permitted(call, "get", project=call.query.get("project"))
    version, uid, name = str(call.sandbox.world.version), call.query.get("resourceUID"), call.query.get("resourceName")
    if not uid and not name:
        manifest = call.sandbox.applications.get(shown.name)
        items = call.sandbox.fleet.home.events.of(uid_of(manifest)) if manifest else []
    else:
        nodes = _tree(call, shown.name)["nodes"]
        space = call.query.get("resourceNamespace")
        if not any(n.get("uid") == uid and n["name"] == name and n.get("namespace", "") == space for n in nodes):
            raise ApiError(3, f"{name} not found as part of application {shown.name}")
        items = _cluster(call, shown.name).events.of(uid)
    return answer({"metadata": {"resourceVersion": version}, "items": items or None})


async def resource(call: Call) -> Answer:
    """GET …/resource: one live object, Secret data masked."""
    permitted(call, "get", project=call.query.get("project"))
    live, _ = _live(call, call.query.get)
    return answer({"manifest": _text(_masked(live))})


async def patch_resource(call: Call) -> Answer:
    """POST …/resource: a merge patch of one live object."""
    shown = permitted(call, "get", project=call.query.get("project"))
    live, cluster = _live(call, call.query.get)
    key = _key(call.query.get)
    _enforce(call, f"update/{key.group}/{key.kind}/{key.namespace}/{key.name}", f"{shown.project}/{shown.name}")
    text = call.json()
    change = msgspec.json.decode(text.encode()) if isinstance(text, str) else text
    after = cluster.edit(key, lambda obj: merge_patch(change, obj), manager="argocd-server")
    return answer({"manifest": _text(_masked(after or live))})


async def delete_resource(call: Call) -> Answer:
    """DELETE …/resource."""
    shown = permitted(call, "get", project=call.query.get("project"))
    _, cluster = _live(call, call.query.get)
    key = _key(call.query.get)
    _enforce(call, f"delete/{key.group}/{key.kind}/{key.namespace}/{key.name}", f"{shown.project}/{shown.name}")
    cluster.delete(key, foreground=not call.query.flag("force") and not call.query.flag("orphan"))
    return answer({})


async def actions(call: Call) -> Answer:
    """GET …/resource/actions."""
    permitted(call, "get", project=call.query.get("project"))
    live, _ = _live(call, call.query.get)
    paused = bool(dig(live, "spec", "paused"))
    out: list[Manifest] = []
    for name in _ACTIONS.get(str(live.get("kind")), ()):
        entry: Manifest = {"name": name}
        if name == "scale":
            entry["params"] = [{"name": "replicas"}]
        if (name == "pause" and paused) or (name == "resume" and not paused):
            entry["disabled"] = True
        entry["iconClass"] = f"fa fa-fw fa-{_ICONS[name]}"
        out.append(entry)
    return answer({"actions": out} if out else {})


async def run_action(call: Call) -> Answer:
    """POST …/resource/actions/v2."""
    body = call.object()
    shown = permitted(call, "get", project=str(body.get("project") or ""))

    def get(name: str) -> str:
        return str(body.get(name) or "")

    live, cluster = _live(call, get)
    key, action = _key(get), get("action")
    _enforce(call, f"action/{key.group}/{key.kind}/{action}", f"{shown.project}/{shown.name}")
    if action not in _ACTIONS.get(key.kind, ()):
        raise ApiError(2, "error getting Lua resource action: built-in script does not exist")
    stamp = call.sandbox.world.clock.stamp()
    given = {str(one.get("name")): one.get("value") for one in body.get("resourceActionParameters") or []}
    changes: dict[str, Manifest] = {
        "restart": with_(live, stamp, "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"),
        "pause": with_(live, True, "spec", "paused"),
        "resume": with_(live, None, "spec", "paused"),
        "scale": with_(live, int(str(given.get("replicas") or dig(live, "spec", "replicas", default=1))), "spec", "replicas"),
    }
    cluster.edit(key, lambda _: changes[action], manager="argocd-server")
    return answer({})


async def links(call: Call) -> Answer:
    permitted(call, "get", project=call.query.get("project"))
    return answer({})


async def revision_metadata(call: Call) -> Answer:
    """GET …/revisions/{revision}/metadata: author, date and message of a commit."""
    shown = permitted(call, "get", project=call.query.get("project"))
    source = _source(call, manifest_of(call, shown.name))
    revision = call.path["revision"]
    if source.get("chart"):
        raise ApiError(2, f"revision {revision} must be resolved")
    try:
        commit = await in_thread(call.sandbox.repository.commit, str(source.get("repoURL", "")), revision)
    except (GenerationError, NotFound):
        text = (
            "error acquiring repo lock: failed to initialize repository resources: rpc error: code = Internal desc = Failed to checkout "
            f"revision {revision}: `git fetch origin {revision} --tags --force --prune` failed exit status 128: fatal: remote error: "
            f"upload-pack: not our ref {revision}"
        )
        raise ApiError(2, text) from None
    return answer({"author": commit.author, "date": commit.at.strftime("%Y-%m-%dT%H:%M:%SZ"), "message": commit.message})


async def chart_details(call: Call) -> Answer:
    """GET …/revisions/{revision}/chartdetails."""
    shown = permitted(call, "get", project=call.query.get("project"))
    source = _source(call, manifest_of(call, shown.name))
    if not source.get("chart"):
        raise ApiError(2, "no chart found for the application source")
    return answer(
        {"description": f"{source['chart']} {call.path['revision']}", "home": str(source.get("repoURL", "")), "maintainers": None}
    )


async def pod_logs(call: Call) -> Answer | None:
    """GET …/logs and …/pods/{pod}/logs; refusals come in the shape of a stream's error."""
    try:
        shown = permitted(call, "get", project=call.query.get("project"))
        call.sandbox.access.enforce(call.who, "logs", "get", f"{shown.project}/{shown.name}")
    except ApiError as error:
        return error_answer(error, stream=True)
    except Denied as error:
        return error_answer(ApiError(7, str(error)), stream=True)
    query = call.query
    pod = call.path.get("pod") or query.get("podName")
    kind, name = ("Pod", pod) if pod else (query.get("kind"), query.get("resourceName"))
    pods = logs.selected(_tree(call, shown.name)["nodes"], kind=kind, group=query.get("group"), name=name, namespace=query.get("namespace"))
    if not pods:
        return Answer(b"")
    if len(pods) > logs.MOST_PODS:
        return error_answer(ApiError(3, "max pods to view logs are reached. Please provide more granular query"), stream=True)
    asked = logs.Asked(
        container=query.get("container"),
        follow=query.flag("follow"),
        previous=query.flag("previous"),
        tail=query.number("tailLines"),
        since=query.number("sinceSeconds"),
        pattern=query.get("filter"),
        match_case=query.flag("matchCase"),
    )
    await stream.lines(call, logs.entries(_cluster(call, shown.name), pods, asked))
    return None


def _tree(call: Call, name: str) -> Manifest:
    return call.sandbox.applications.trees.get(name) or call.sandbox.light_tree(name) or {"nodes": []}


def _cluster(call: Call, name: str) -> Cluster:
    application = call.sandbox.applications.get(name) or {}
    found = call.sandbox.fleet.find(dig(application, "spec", "destination", default={}))
    return found or call.sandbox.fleet.home


def _key(get: Any) -> Key:
    return Key(get("group"), get("kind"), get("namespace"), get("resourceName"))


def _live(call: Call, get: Any) -> tuple[Manifest, Cluster]:
    """The live object that a request names. It must be in the tree: 400 otherwise."""
    name, key = call.path["name"], _key(get)
    cluster = _cluster(call, name)
    live = cluster.get(key)
    if find_node(_tree(call, name), key) is None or live is None:
        raise ApiError(3, f"{key.kind} {key.group} {key.name} not found as part of application {name}")
    return live, cluster


def _enforce(call: Call, action: str, target: str) -> None:
    try:
        call.sandbox.access.enforce(call.who, "applications", action, target)
    except Denied as error:
        raise ApiError(7, str(error)) from None


def _source(call: Call, application: Manifest) -> Manifest:
    sources, index = sources_of(application["spec"]), call.query.number("sourceIndex") or 0
    if not 0 <= index < len(sources):
        raise ApiError(2, "source index not found in application sources")
    return sources[index]


def _difference(one: Managed) -> Manifest:
    out: Manifest = {"group": one.key.group} if one.key.group else {}
    out |= {"kind": one.key.kind, "namespace": one.key.namespace, "name": one.key.name}
    out |= {"targetState": _text(_masked(one.target)), "liveState": _text(_masked(one.live))}
    out |= {"normalizedLiveState": _text(_masked(one.normalized)), "predictedLiveState": _text(_masked(one.predicted))}
    if one.live is not None:
        out["resourceVersion"] = one.live["metadata"].get("resourceVersion", "")
    if one.modified:
        out["modified"] = True
    return out


def _text(manifest: Manifest | None) -> str:
    return msgspec.json.encode(manifest, order="sorted").decode()


def _masked(manifest: Manifest | None) -> Manifest | None:
    """An object as Argo CD shows it: the data of Secrets as plus signs, in what was applied last, too."""
    if manifest is None or manifest.get("kind") != "Secret":
        return manifest
    shown = manifest | {"data": dict.fromkeys(manifest.get("data") or {}, "+" * 8)}
    text = annotation(manifest, LAST_APPLIED)
    if not text:
        return shown
    applied = msgspec.json.decode(text)
    applied["data"] = dict.fromkeys(applied.get("data") or {}, "+" * 8)
    return with_(shown, msgspec.json.encode(applied).decode(), "metadata", "annotations", LAST_APPLIED)


def _tracked(manifest: Manifest, name: str, namespace: str) -> Manifest:
    home = str(dig(manifest, "metadata", "namespace", default="") or namespace)
    return with_(manifest, tracking_id(name, manifest, home), "metadata", "annotations", TRACKING)
