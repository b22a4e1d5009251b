"""Finding the Application that a command names: `[NAMESPACE/]NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.errors import Invalid, NotFound
from backends.text import clean

if TYPE_CHECKING:
    from backends.argocd.protocol import ArgoCD
    from backends.argocd.types import Application


async def find(server: ArgoCD, text: str) -> Application:
    """The one Application of that name that one may see, whole.

    A list by name is asked: it refuses nobody and tells the project, which every other call should name
    (contract: without it Argo CD answers 403 for what is missing).

    Raises `NotFound` (suggesting the nearest), `Invalid` when several namespaces hold the name.
    """
    namespace, _, name = text.rpartition("/")
    found = [one for one in await server.list_applications(name=name) if not namespace or one.metadata.namespace == namespace]
    if len(found) > 1:
        raise Invalid(
            f"{clean(name)} is the name of {len(found)} Applications", hint="name one: " + ", ".join(str(one.key) for one in found)
        )
    if not found:
        import difflib

        names = [one.metadata.name for one in await server.list_applications()]
        near = difflib.get_close_matches(name, names, 1)
        raise NotFound(
            f"no Application named {clean(text)!r} that you may see",
            suggestion=near[0] if near else "",
            hint="" if near else "tiphys get applications lists them",
        )
    return await server.get_application(found[0].key, project=found[0].project)
