"""Creating, changing and deleting Applications through the API: what is checked, and what a change may touch.

Rules and texts are those of Argo CD's server (server/application/application.go) and of the recordings.
"""

from __future__ import annotations

import msgspec

from backends.engine import in_thread
from backends.sandbox.admission import Refused, check
from backends.sandbox.applications import NAMESPACE
from backends.sandbox.applications_api import enforce, manifest_of, permitted, shown_of
from backends.sandbox.calls import Answer, ApiError, Call, answer
from backends.sandbox.merge import json_patch, merge_patch
from backends.sandbox.objects import Manifest, dig, is_deleting, with_
from backends.sandbox.projects import sources_of, spec_problems, unknown_cluster
from backends.sandbox.refreshing import audit
from backends.sandbox.sources import GenerationError

_FINALIZER = "resources-finalizer.argocd.argoproj.io"
_POLICIES = {"": _FINALIZER, "foreground": f"{_FINALIZER}/foreground", "background": f"{_FINALIZER}/background"}


async def create(call: Call) -> Answer:
    """POST /api/v1/applications; with `upsert` an existing one is changed."""
    wanted = call.object()
    name = str(dig(wanted, "metadata", "name", default=""))
    target = f"{dig(wanted, 'spec', 'project', default='') or 'default'}/{name}"
    enforce(call, "create", target)
    if not name:
        raise ApiError(2, "error while validating and normalizing app: resource name may not be empty")
    await _validate(call, wanted, thorough=call.query.get("validate", "true") != "false")
    applications, home = call.sandbox.applications, call.sandbox.fleet.home
    meta = {field: value for field, value in wanted["metadata"].items() if field in ("labels", "annotations", "finalizers") and value}
    manifest: Manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": NAMESPACE} | meta,
        "spec": wanted.get("spec") or {},
    }
    existing = applications.get(name)
    if existing is None:
        try:
            check(manifest, None, home.objects.__contains__)
        except Refused as refused:
            raise ApiError(3, f"error creating application: {refused}") from None
        created = home.put(manifest)
        audit(call.sandbox.fleet, created, "ResourceCreated", f"{call.who.subject} created application", user=call.who.subject)
    elif not _equal(existing, manifest):
        if not call.query.flag("upsert"):
            raise ApiError(3, "existing application spec is different, use upsert flag to force update")
        enforce(call, "update", target)
        _update(call, name, manifest, merge=True)
    await call.sandbox.saved()
    return answer(shown_of(call, name).document())


async def update(call: Call) -> Answer:
    """PUT /api/v1/applications/{name}: spec, labels, annotations and finalizers become those that were sent."""
    shown = permitted(call, "update", project=call.query.get("project"))
    wanted = call.object()
    await _validate(call, wanted, thorough=call.query.get("validate", "true") != "false")
    _update(call, shown.name, wanted, merge=False)
    await call.sandbox.saved()
    return answer(shown_of(call, shown.name).document())


async def update_spec(call: Call) -> Answer:
    """PUT /api/v1/applications/{name}/spec."""
    shown = permitted(call, "update", project=call.query.get("project"))
    current = manifest_of(call, shown.name)
    changed = current | {"spec": call.object()}
    await _validate(call, changed, thorough=call.query.get("validate", "true") != "false")
    _update(call, shown.name, changed, merge=False)
    await call.sandbox.saved()
    return answer(shown_of(call, shown.name).document()["spec"])


async def patch(call: Call) -> Answer:
    """PATCH /api/v1/applications/{name}; only spec, labels, annotations and finalizers can be changed so."""
    body = call.object()
    shown = permitted(call, "update", project=str(body.get("project") or ""))
    if body.get("patchType") not in ("merge", "json", ""):
        raise ApiError(3, f"Patch type '{body.get('patchType', '')}' is not supported")
    current = manifest_of(call, shown.name)
    try:
        change = msgspec.json.decode(str(body.get("patch") or "{}").encode())
        changed = merge_patch(change, current) if body.get("patchType") == "merge" else json_patch(change, current)
    except msgspec.DecodeError:
        raise ApiError(2, "error calculating merge patch: Invalid JSON Patch") from None
    except (LookupError, TypeError, ValueError) as error:
        raise ApiError(2, f"error applying patch: {error}") from None
    await _validate(call, changed, thorough=False)
    _update(call, shown.name, changed, merge=False)
    await call.sandbox.saved()
    return answer(shown_of(call, shown.name).document())


async def delete(call: Call) -> Answer:
    """DELETE /api/v1/applications/{name}; answers at once, the resources go afterwards."""
    shown = permitted(call, "get", project=call.query.get("project"))
    enforce(call, "delete", f"{shown.project}/{shown.name}")
    cascade, policy = call.query.get("cascade", "true") != "false", call.query.get("propagationPolicy")
    if not cascade and policy:
        raise ApiError(3, "cannot set propagation policy when cascading is disabled")
    if policy.lower() not in _POLICIES:
        raise ApiError(3, f"invalid propagation policy: {policy}")
    current = manifest_of(call, shown.name)
    held = [one for one in dig(current, "metadata", "finalizers", default=[]) if not str(one).startswith(_FINALIZER)]
    kept = [*held, _POLICIES[policy.lower()]] if cascade else held
    if not is_deleting(current):
        call.sandbox.applications.change(shown.name, lambda app: with_(app, kept or None, "metadata", "finalizers"))
        call.sandbox.fleet.home.delete(call.sandbox.applications.key(shown.name), foreground=False)
        audit(call.sandbox.fleet, current, "ResourceDeleted", f"{call.who.subject} deleted application", user=call.who.subject)
    await call.sandbox.saved()
    return answer({})


async def _validate(call: Call, application: Manifest, *, thorough: bool) -> None:
    """What creating and changing check: the destination always, the repository when asked."""
    name, spec = str(dig(application, "metadata", "name", default="")), application.get("spec") or {}
    fleet = call.sandbox.fleet
    project = fleet.project(str(spec.get("project") or "default"))
    if project is None:
        raise ApiError(3, f"app is not allowed in project {spec.get('project')!r}, or the project does not exist".replace("'", '"'))
    cluster = fleet.find(spec.get("destination") or {})
    if cluster is None:
        raise ApiError(3, f"application destination spec for {name} is invalid: {unknown_cluster(spec.get('destination') or {})}")
    if thorough:
        for source in sources_of(spec):
            await _reach(call, name, source)
    if problems := spec_problems(spec, project, cluster):
        raise ApiError(3, f"application spec for {name} is invalid: " + ";".join(f"InvalidSpecError: {text}" for text in problems))
    if thorough:
        await _render(call, application)


async def _reach(call: Call, name: str, source: Manifest) -> None:
    url = str(source.get("repoURL", ""))
    if source.get("chart"):
        return
    try:
        await in_thread(call.sandbox.repository.resolve, url, "HEAD", force=True)
    except GenerationError as error:
        if "not found" not in str(error):
            return
        shown = f'&Repository{{Repo: "{url}", Type: "", Name: "", Project: ""}}'
        text = (
            f"InvalidSpecError: repository not accessible: repositories not accessible: {shown}: repo client error while testing "
            "repository: rpc error: code = Unknown desc = error testing repository connectivity: unable to ls-remote HEAD on repository: "
            f"{error}"
        )
        raise ApiError(3, f"application spec for {name} is invalid: {text}") from None


async def _render(call: Call, application: Manifest) -> None:
    """Whether every source renders."""
    name, sources = str(dig(application, "metadata", "name", default="")), sources_of(application["spec"])
    sandbox = call.sandbox
    try:
        await in_thread(sandbox.repository.generate, application, sources, [""] * len(sources), no_cache=False, force=True)
    except GenerationError as error:
        said = str(error).partition("desc = ")[2] or str(error)
        text = f"InvalidSpecError: Unable to generate manifests in {sources[0].get('path', '')}: rpc error: code = Unknown desc = {said}"
        raise ApiError(3, f"application spec for {name} is invalid: {text}") from None


def _update(call: Call, name: str, wanted: Manifest, *, merge: bool) -> None:
    meta = wanted.get("metadata") or {}

    def change(current: Manifest) -> Manifest:
        out = current | {"spec": wanted.get("spec") or current["spec"]}
        for field in ("labels", "annotations"):
            old = dig(current, "metadata", field, default={}) if merge else {}
            out = with_(out, (old | (meta.get(field) or {})) or None, "metadata", field)
        return with_(out, meta.get("finalizers") or None, "metadata", "finalizers")

    updated = call.sandbox.applications.change(name, change)
    if updated is not None:
        audit(call.sandbox.fleet, updated, "ResourceUpdated", f"{call.who.subject} updated application spec", user=call.who.subject)


def _equal(existing: Manifest, wanted: Manifest) -> bool:
    fields = ("labels", "annotations", "finalizers")
    same = all((dig(existing, "metadata", field) or None) == (dig(wanted, "metadata", field) or None) for field in fields)
    return bool(same and existing["spec"] == wanted["spec"])
