"""The API beside Applications: version, settings, sessions, accounts, clusters, projects, repositories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from backends.sandbox.access import ACTIONS, RESOURCES, Denied, Unauthenticated
from backends.sandbox.applications import NAMESPACE
from backends.sandbox.calls import DENIED, Answer, ApiError, Call, answer
from backends.sandbox.cluster import Cluster
from backends.sandbox.fleet import HOME
from backends.sandbox.objects import ARGO, Key, Manifest, dig, with_
from backends.sandbox.projects import sources_of

VERSION = "v3.6.0+sandbox"
_KUBERNETES = "v1.36.1"
_FINALIZER = "resources-finalizer.argocd.argoproj.io"


async def version(call: Call) -> Answer:
    """GET /api/version; anonymous callers get the version alone. Keys are in Pascal case here and nowhere else."""
    if call.claims is None:
        return answer({"Version": VERSION})
    more = {
        "BuildDate": "2026-08-22T00:00:00Z",
        "GoVersion": "",
        "Platform": "linux/amd64",
        "HelmVersion": "v4.2",
        "KubectlVersion": _KUBERNETES,
    }
    return answer({"Version": VERSION} | more)


async def settings(call: Call) -> Answer:
    """GET /api/v1/settings; anonymous callers get less."""
    out: Manifest = {
        "appLabelKey": "app.kubernetes.io/instance",
        "googleAnalytics": {"anonymizeUsers": True},
        "kustomizeOptions": {"BuildOptions": "", "BinaryPath": "", "Versions": None},
        "help": {},
        "trackingMethod": "annotation",
        "syncWithReplaceAllowed": True,
        "resourceViewEnabled": True,
        "uiBannerContent": "sandbox",
    }
    if call.claims is not None:
        out |= {
            "passwordPattern": "^.{8,32}$",
            "controllerNamespace": NAMESPACE,
            "resourceOverrides": {"*/*": {"ignoreResourceUpdates": "jsonPointers:\n- /status\n"}},
        }
    return answer(out)


async def user_info(call: Call) -> Answer:
    """GET /api/v1/session/userinfo; an anonymous caller is told nothing, with 200."""
    return answer({} if call.claims is None else {"loggedIn": True, "username": call.claims.subject, "iss": "argocd"})


async def log_in(call: Call) -> Answer:
    """POST /api/v1/session."""
    body = call.object()
    try:
        token = call.sandbox.access.log_in(str(body.get("username") or ""), str(body.get("password") or ""))
    except Unauthenticated as error:
        raise ApiError(16, str(error)) from None
    cookie = {"Set-Cookie": f"argocd.token={token}; path=/; SameSite=lax; httpOnly", "Grpc-Metadata-Content-Type": "application/grpc"}
    return answer({"token": token})._replace(headers=cookie)


async def log_out(_call: Call) -> Answer:
    """DELETE /api/v1/session clears the cookie, nothing else."""
    return answer({})


async def accounts(call: Call) -> Answer:
    """GET /api/v1/account: one's own, and all for who may see them."""
    access = call.sandbox.access
    mine = [name for name in access.accounts if name == call.who.subject or access.may(call.who, "accounts", "get", name)]
    return answer({"items": [_account(call, name) for name in mine]})


async def account(call: Call) -> Answer:
    name = call.path["account"]
    if name not in call.sandbox.access.accounts:
        raise ApiError(5, f"account '{name}' does not exist")
    if name != call.who.subject:
        _enforce(call, "accounts", "get", name)
    return answer(_account(call, name))


async def create_token(call: Call) -> Answer:
    """POST /api/v1/account/{name}/token; `expiresIn` in seconds, 0 for never."""
    name, body = call.path["account"], call.object()
    if name != call.who.subject:
        _enforce(call, "accounts", "update", name)
    if name not in call.sandbox.access.accounts:
        raise ApiError(5, f"account '{name}' does not exist")
    lifetime = int(body.get("expiresIn") or 0)
    token = call.sandbox.access.issue(name, lifetime=lifetime or None, token_id=str(body.get("id") or ""))
    await call.sandbox.saved()
    return answer({"token": token})


async def delete_token(call: Call) -> Answer:
    name = call.path["account"]
    if name != call.who.subject:
        _enforce(call, "accounts", "update", name)
    call.sandbox.access.revoke(call.path["token"])
    await call.sandbox.saved()
    return answer({})


async def can_i(call: Call) -> Answer:
    """GET /api/v1/account/can-i/{resource}/{action}/{subresource}."""
    kind, action, target = call.path["resource"], call.path["action"], call.path["target"]
    for known, word in ((RESOURCES, kind), (ACTIONS, action)):
        if word not in known:
            raise ApiError(3, f"[{' '.join(known)}] does not contain {word}")
    return answer({"value": "yes" if call.sandbox.access.may(call.who, kind, action, target) else "no"})


async def clusters(call: Call) -> Answer:
    """GET /api/v1/clusters: those one may see; never refused."""
    may = call.sandbox.access.may
    items = [_cluster(call, one) for one in call.sandbox.fleet.clusters if may(call.who, "clusters", "get", one.server)]
    wanted = call.query.get("name"), call.query.get("server")
    items = [one for one in items if (not wanted[0] or one["name"] == wanted[0]) and (not wanted[1] or one["server"] == wanted[1])]
    return answer({"metadata": {}, "items": items or None})


async def cluster(call: Call) -> Answer:
    """GET /api/v1/clusters/{id}; one that is missing looks like one that is forbidden."""
    name = unquote(call.path["id"])
    fleet = call.sandbox.fleet
    found = fleet.named(name) if call.query.get("id.type").startswith("name") else fleet.find({"server": name})
    if found is None or not call.sandbox.access.may(call.who, "clusters", "get", found.server):
        raise ApiError(*DENIED)
    return answer(_cluster(call, found))


async def create_cluster(call: Call) -> Answer:
    """POST /api/v1/clusters: a new simulated cluster; nothing is contacted."""
    body = call.object()
    server, name = str(body.get("server") or ""), str(body.get("name") or body.get("server") or "")
    _enforce(call, "clusters", "create", server)
    known = call.sandbox.fleet.named(name) or call.sandbox.fleet.find({"server": server})
    if known is not None and (known.server, known.name) != (server, name) and not call.query.flag("upsert"):
        raise ApiError(3, "existing cluster spec is different; use upsert flag to force update")
    if not server.startswith("https://"):
        text = f'Get "{server}/version?timeout=32s": unsupported protocol scheme'
        raise ApiError(2, f"error getting server version: failed to get server version: {text}")
    added = call.sandbox.fleet.add(name, server)
    await call.sandbox.saved()
    return answer(_cluster(call, added))


async def delete_cluster(_call: Call) -> Answer:
    raise ApiError(12, "the sandbox keeps its clusters")


async def projects(call: Call) -> Answer:
    """GET /api/v1/projects: those one may see."""
    may = call.sandbox.access.may
    items = [
        _project(one)
        for one in call.sandbox.fleet.home.of_kind("AppProject", ARGO)
        if may(call.who, "projects", "get", str(dig(one, "metadata", "name")))
    ]
    items.sort(key=lambda one: str(one["metadata"]["name"]))
    return answer({"metadata": {"resourceVersion": str(call.sandbox.world.version)}, "items": items or None})


async def project(call: Call) -> Answer:
    return answer(_project(_found_project(call)))


async def project_detailed(call: Call) -> Answer:
    return answer({"project": _project(_found_project(call))})


async def create_project(call: Call) -> Answer:
    """POST /api/v1/projects; the same again is fine, another one of the name needs `upsert`."""
    body = call.object()
    wanted = body.get("project") or {}
    name = str(dig(wanted, "metadata", "name", default=""))
    _enforce(call, "projects", "create", name)
    if not name:
        raise ApiError(2, "resource name may not be empty")
    existing = call.sandbox.fleet.project(name)
    if existing is not None and existing["spec"] != (wanted.get("spec") or {}):
        if not body.get("upsert"):
            raise ApiError(3, "existing project spec is different; use upsert flag to force update")
        _enforce(call, "projects", "update", name)
    kept = {
        field: value
        for field, value in (wanted.get("metadata") or {}).items()
        if field in ("labels", "annotations", "finalizers") and value
    }
    manifest: Manifest = existing or {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": NAMESPACE} | kept,
        "status": {},
    }
    stored = call.sandbox.fleet.home.put(manifest | {"spec": wanted.get("spec") or {}})
    await call.sandbox.saved()
    return answer(_project(stored))


async def update_project(call: Call) -> Answer:
    """PUT /api/v1/projects/{name}."""
    current = _found_project(call)
    _enforce(call, "projects", "update", call.path["project"])
    wanted = call.object().get("project") or {}
    stored = call.sandbox.fleet.home.put(current | {"spec": wanted.get("spec") or {}})
    await call.sandbox.saved()
    return answer(_project(stored))


async def delete_project(call: Call) -> Answer:
    """DELETE /api/v1/projects/{name}: refused while Applications refer to it."""
    _found_project(call)
    name = call.path["project"]
    _enforce(call, "projects", "delete", name)
    users = [one for one in call.sandbox.applications.all_shown() if one.project == name]
    if name == "default":
        raise ApiError(3, "name 'default' is reserved and cannot be deleted")
    if users:
        raise ApiError(3, f"project is referenced by {len(users)} applications")
    home, key = call.sandbox.fleet.home, Key(ARGO, "AppProject", NAMESPACE, name)
    home.drop_finalizer(key, _FINALIZER)
    home.delete(key, foreground=False)
    await call.sandbox.saved()
    return answer({})


async def repositories(call: Call) -> Answer:
    """GET /api/v1/repositories: the repositories that Applications read, none of them with credentials."""
    if not call.sandbox.access.may(call.who, "repositories", "get", "*"):
        return answer({"metadata": {}, "items": None})
    specs = [dig(call.sandbox.applications.get(name), "spec", default={}) for name in call.sandbox.applications.names()]
    urls = sorted({str(source.get("repoURL")) for spec in specs for source in sources_of(spec) if source.get("repoURL")})
    state = {"status": "Successful", "message": "", "attemptedAt": call.sandbox.world.clock.stamp()}
    items = [{"repo": url, "type": "helm" if url.startswith("http") else "git", "name": "", "connectionState": state} for url in urls]
    return answer({"metadata": {}, "items": items or None})


def nothing(shape: Manifest) -> Callable[[Call], Any]:
    """An endpoint of which the sandbox has nothing to say."""

    async def handler(call: Call) -> Answer:
        _ = call.who
        return answer(shape)

    return handler


def _account(call: Call, name: str) -> Manifest:
    tokens = call.sandbox.access.accounts[name]
    abilities = ["login"] if name == "admin" else ["apiKey"]
    return {"name": name, "enabled": True, "capabilities": abilities} | ({"tokens": tokens} if tokens else {})


def _cluster(call: Call, one: Cluster) -> Manifest:
    count = sum(1 for name in call.sandbox.applications.names() if call.sandbox.fleet.find(_destination(call, name)) is one)
    state = {"status": "Successful", "message": "", "attemptedAt": call.sandbox.world.clock.stamp()}
    if not count and one.name != HOME:
        state = {
            "status": "Unknown",
            "message": "Cluster has no applications and is not being monitored.",
            "attemptedAt": state["attemptedAt"],
        }
    info: Manifest = {
        "connectionState": state,
        "serverVersion": _KUBERNETES,
        "cacheInfo": {"resourcesCount": len(one.objects), "apisCount": 56, "lastCacheSyncTime": state["attemptedAt"]},
        "applicationsCount": count,
        "apiVersions": [
            "apps/v1",
            "apps/v1/Deployment",
            "batch/v1",
            "batch/v1/Job",
            "v1",
            "v1/ConfigMap",
            "v1/Pod",
            "v1/Secret",
            "v1/Service",
        ],
    }
    return {
        "server": one.server,
        "name": one.name,
        "config": {"tlsClientConfig": {"insecure": False}},
        "connectionState": state,
        "serverVersion": _KUBERNETES,
        "info": info,
    }


def _destination(call: Call, name: str) -> Manifest:
    found: Manifest = dig(call.sandbox.applications.get(name), "spec", "destination", default={})
    return found


def _project(manifest: Manifest) -> Manifest:
    out = with_(manifest, None, "metadata", "managedFields")
    return {"metadata": out["metadata"], "spec": out.get("spec") or {}, "status": out.get("status") or {}}


def _found_project(call: Call) -> Manifest:
    name = call.path["project"]
    _enforce(call, "projects", "get", name)
    found = call.sandbox.fleet.project(name)
    if found is None:
        raise ApiError(5, f'appprojects.argoproj.io "{name}" not found')
    return found


def _enforce(call: Call, resource: str, action: str, target: str) -> None:
    try:
        call.sandbox.access.enforce(call.who, resource, action, target)
    except Denied as error:
        raise ApiError(7, str(error)) from None
