"""Putting a workspace's root into Argo CD: what `bootstrap/root.yaml` holds, by the API, or handed over to somebody who may.

Both calls are upserts, so doing it twice changes nothing (seen on a real server).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec

from backends.domain.ids import AppKey
from backends.errors import Forbidden, Invalid, NotFound
from backends.gitops import files
from backends.gitops.document import read_all
from backends.text import clean, is_one_line

if TYPE_CHECKING:
    from backends.argocd.protocol import ArgoCD
    from backends.argocd.types import Application
    from backends.gitops.tree import Tree

HAND_OVER = "kubectl apply -n {namespace} -f -"
"""What somebody with rights on Argo CD's namespace runs, with the manifest on its input."""


class Bootstrapped(msgspec.Struct, frozen=True):
    """The root as it stands in Argo CD now."""

    root: AppKey
    sync: str
    health: str


class NotAllowed(Forbidden):
    """We may not create the root; `manifest` is what somebody who may has to apply."""

    def __init__(self, cause: Forbidden, manifest: bytes, namespace: str) -> None:
        hint = f"hand bootstrap/root.yaml to somebody who may: {HAND_OVER.format(namespace=shlex.quote(clean(namespace, limit=80)))}"
        super().__init__(cause.message, operation=cause.operation, target=cause.target, hint=hint)
        self.manifest = manifest


async def bootstrap(server: ArgoCD, tree: Tree) -> Bootstrapped:
    """Create or update the root's AppProject and Application.

    Raises `NotAllowed` with the manifest to hand over, `Invalid` when root.yaml does not fit or Argo CD cannot read the repository,
    `NotFound` without a root.yaml.
    """
    data = tree.read(files.ROOT)
    if data is None:
        raise NotFound(f"the repository has no {files.ROOT}", hint="tiphys init REPO_URL --slug SLUG writes it")
    project, application = _objects(data)
    namespace = str(application["metadata"].get("namespace") or "argocd")
    root = files.workspace(tree).root_name
    for one in (project, application):
        if one["metadata"].get("name") != root:  # an upsert of another name would overwrite what is somebody else's
            raise Invalid(
                f"{files.ROOT} is not this workspace's root: {clean(str(one['metadata'].get('name')), limit=80)!r} instead of {root!r}",
                hint="tiphys history shows who changed it",
            )
    try:
        await server.create_project(project)
        created = await _created(server, application)
    except Forbidden as error:
        _check_plain(data)
        raise NotAllowed(error, data, namespace) from error
    return Bootstrapped(created.key, created.status.sync.status, created.status.health.status)


async def _created(server: ArgoCD, application: dict[str, Any]) -> Application:
    """The Application, validated by Argo CD where it can.

    Its validation resolves the remote's HEAD, which in a fresh bare repository names a branch that is not there (seen on 3.6); what
    is compared is `targetRevision`, so such a repository works, and its trouble would show in the root's conditions.
    """
    try:
        return await server.create_application(application)
    except Invalid as error:
        if "'HEAD'" not in error.message:
            raise
    return await server.create_application(application, validate=False)


def _check_plain(data: bytes) -> None:
    """Raises `Invalid` for a manifest that does not read as what it is: others may have pushed it, and somebody with rights will apply it."""
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.rstrip(b"\r").decode("utf-8", "surrogateescape")
        if not is_one_line(text.replace("\t", " ")):
            raise Invalid(
                f"{files.ROOT}:{number} holds hidden characters, so it is not handed over", hint="tiphys history shows who changed it"
            )


def _objects(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    by_kind: dict[str, dict[str, Any]] = {}
    for document in read_all(files.ROOT, data):
        value = document.data
        if isinstance(value, dict):
            by_kind[str(value.get("kind"))] = value
    missing = [kind for kind in ("AppProject", "Application") if not isinstance(by_kind.get(kind, {}).get("metadata"), dict)]
    if missing:
        raise Invalid(f"{files.ROOT} holds no {' and no '.join(missing)}", hint="it is written by tiphys init")
    return by_kind["AppProject"], by_kind["Application"]
