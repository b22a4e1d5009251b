"""Argo CD's calls that change something. None is repeated by itself: what was not answered may have been done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backends.argocd import decoding
from backends.argocd.actions import ActionParameter
from backends.argocd.calls import Caller, Query, app_body, app_path, app_query, node_query
from backends.argocd.connection import Call, segment
from backends.argocd.failures import NoSuchCall
from backends.argocd.types import Application, Node, SyncResource
from backends.domain.ids import AppKey


class Writing(Caller):
    """The writing half of `http.HttpArgoCD`; what each call means is told in `protocol`."""

    async def sync(
        self,
        key: AppKey,
        *,
        project: str = "",
        revision: str = "",
        revisions: Sequence[str] = (),
        prune: bool = False,
        dry_run: bool = False,
        resources: Sequence[SyncResource] = (),
    ) -> Application:
        named = [(position, each) for position, each in enumerate(revisions, 1) if each]
        body = app_body(
            key,
            project,
            revision=revision,
            revisions=[each for _, each in named],
            sourcePositions=[position for position, _ in named],
            prune=prune,
            dryRun=dry_run,
            resources=list(resources),
        )
        call = Call(operation="sync", target=str(key), method="POST", path=app_path(key, "sync"), body=body)
        return decoding.application(await self.connection.request(call))

    async def terminate(self, key: AppKey, *, project: str = "") -> None:
        call = Call(
            operation="terminate the operation of",
            target=str(key),
            method="DELETE",
            path=app_path(key, "operation"),
            query=app_query(key, project),
        )
        await self.connection.request(call)

    async def create_project(self, project: dict[str, Any], *, upsert: bool = True) -> None:
        call = Call(
            operation="create project",
            target=_name_of(project),
            method="POST",
            path="/api/v1/projects",
            body={"project": project, "upsert": upsert},
        )
        await self.connection.request(call)

    async def delete_project(self, name: str) -> None:
        """Refused while Applications still belong to it."""
        await self.connection.request(
            Call(operation="delete project", target=name, method="DELETE", path=f"/api/v1/projects/{segment(name)}")
        )

    async def create_cluster(self, cluster: dict[str, Any], *, upsert: bool = True) -> None:
        call = Call(
            operation="register cluster",
            target=str(cluster.get("name", "")),
            method="POST",
            path="/api/v1/clusters",
            query=(("upsert", _flag(upsert)),),
            body=cluster,
        )
        await self.connection.request(call)

    async def create_application(self, application: dict[str, Any], *, upsert: bool = True, validate: bool = True) -> Application:
        call = Call(
            operation="create application",
            target=_name_of(application),
            method="POST",
            path="/api/v1/applications",
            query=(("upsert", _flag(upsert)), ("validate", _flag(validate))),
            body=application,
        )
        return decoding.application(await self.connection.request(call))

    async def delete_application(self, key: AppKey, *, project: str = "", cascade: bool = True) -> None:
        call = Call(
            operation="delete application",
            target=str(key),
            method="DELETE",
            path=app_path(key),
            query=app_query(key, project, ("cascade", _flag(cascade))),
        )
        await self.connection.request(call)

    async def run_action(
        self, key: AppKey, node: Node, action: str, *, project: str = "", parameters: Sequence[ActionParameter] = ()
    ) -> None:
        """Run what `resource_actions` listed. Before Argo CD 3.1 an action has no parameters: there `NoSuchCall` says so."""
        about = {"namespace": node.namespace, "resourceName": node.name, "version": node.version, "group": node.group, "kind": node.kind}
        body = app_body(key, project, action=action, resourceActionParameters=list(parameters), **about)
        operation = f"{action} {node.kind} {node.name} of"
        path = app_path(key, "resource", "actions")
        try:
            await self.connection.request(Call(operation=operation, target=str(key), method="POST", path=f"{path}/v2", body=body))
        except NoSuchCall:
            if parameters:
                raise
            query = (*app_query(key, project), *node_query(node))
            await self.connection.request(Call(operation=operation, target=str(key), method="POST", path=path, query=query, body=action))

    async def patch_resource(self, key: AppKey, node: Node, patch: str, *, project: str = "", kind: str = "merge") -> None:
        """Patch one live resource. `kind` is merge, json or strategic-merge; `patch` is the patch as a JSON text."""
        query = (*app_query(key, project), *node_query(node), ("patchType", f"application/{kind}-patch+json"))
        await self.connection.request(_on(key, node, "POST", query, patch))

    async def delete_resource(self, key: AppKey, node: Node, *, project: str = "", force: bool = False, orphan: bool = False) -> None:
        """Delete one live resource: in the foreground; `force` without waiting, `orphan` leaving what it owns."""
        flags = (("force", _flag(force)), ("orphan", _flag(orphan)))
        await self.connection.request(_on(key, node, "DELETE", (*app_query(key, project), *node_query(node), *flags), None))


def _on(key: AppKey, node: Node, method: str, query: Query, body: str | None) -> Call:
    return Call(
        operation=f"{'patch' if method == 'POST' else 'delete'} {node.kind} {node.name} of",
        target=str(key),
        method=method,
        path=app_path(key, "resource"),
        query=query,
        body=body,
    )


def _name_of(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _flag(value: bool) -> str:
    return "true" if value else "false"
