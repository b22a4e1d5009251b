"""Argo CD's calls that change nothing and answer at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from backends.argocd.actions import ChartDetails, ResourceAction
from backends.argocd.calls import Caller, app_path, app_query, node_query
from backends.argocd.connection import Call, segment
from backends.argocd.decoding import application
from backends.argocd.listing import ApplicationListing
from backends.argocd.projection import Version, list_fields, list_query, parse_version
from backends.argocd.types import (
    Application,
    Cluster,
    Event,
    Node,
    Project,
    ResourceDiff,
    ResourceTree,
    RevisionMetadata,
    ServerVersion,
    Settings,
    SyncWindows,
    UserInfo,
)
from backends.domain.ids import AppKey
from backends.errors import BackendError


class _Events(msgspec.Struct):
    items: tuple[Event, ...] | None = None


class _Diffs(msgspec.Struct):
    items: tuple[ResourceDiff, ...] | None = None


class _Clusters(msgspec.Struct):
    items: tuple[Cluster, ...] | None = None


class _Projects(msgspec.Struct):
    items: tuple[Project, ...] | None = None


class _Manifests(msgspec.Struct):
    manifests: tuple[str, ...] | None = None


class _Manifest(msgspec.Struct):
    manifest: str = ""


class _Actions(msgspec.Struct):
    actions: tuple[ResourceAction, ...] | None = None


class _Answer(msgspec.Struct):
    value: str = ""


class Reading(Caller):
    """The reading half of `http.HttpArgoCD`; what each call means is told in `protocol`."""

    _version: ServerVersion | None = None

    async def list_applications(
        self, *, selector: str = "", projects: Sequence[str] = (), name: str = "", full: bool = False
    ) -> tuple[Application, ...]:
        found: list[Application] = []
        async with aclosing(self.list_in_batches(selector=selector, projects=projects, name=name, full=full)) as batches:
            async for batch in batches:
                found += batch
        return tuple(found)

    async def list_in_batches(
        self, *, selector: str = "", projects: Sequence[str] = (), name: str = "", full: bool = False
    ) -> AsyncGenerator[list[Application], None]:
        """The same list, some hundred Applications at a time while it arrives: who keeps only a line of each needs no memory for the rest.

        The last batch is followed by an error when the answer was cut off, so nothing seen before it is a complete list.
        """
        fields = "" if full else list_fields(await self._known_version())
        query = list_query(fields, selector=selector, projects=projects, name=name)
        call = Call(operation="list applications", path="/api/v1/applications", query=query)
        listing = ApplicationListing(partial=not full)
        try:
            async with self.connection.open(call) as chunks:
                async for chunk in chunks:
                    if batch := listing.feed(chunk):
                        yield batch
            if batch := listing.finish():
                yield batch
        except BackendError as error:
            error.operation = call.operation
            raise

    async def get_application(self, key: AppKey, *, project: str = "", refresh: str = "") -> Application:
        call = Call(
            operation=f"{refresh} refresh".strip() if refresh else "get",
            target=str(key),
            path=app_path(key),
            query=app_query(key, project, ("refresh", refresh)),
        )
        return application(await self.connection.request(call))

    async def resource_tree(self, key: AppKey, *, project: str = "") -> ResourceTree:
        return await self.ask(_of(key, project, "get the tree of", "resource-tree"), ResourceTree)

    async def events(self, key: AppKey, *, project: str = "", node: Node | None = None) -> tuple[Event, ...]:
        if node is None:
            return (await self.ask(_of(key, project, "get the events of", "events"), _Events)).items or ()
        if not node.uid:  # it does not exist live, and Argo CD would answer with the Application's events instead
            return ()
        about = (("resourceUID", node.uid), ("resourceName", node.name), ("resourceNamespace", node.namespace))
        call = Call(
            operation=f"get the events of {node.kind} {node.name} of",
            target=str(key),
            path=app_path(key, "events"),
            query=(*app_query(key, project), *about),
        )
        return (await self.ask(call, _Events)).items or ()

    async def managed_resources(self, key: AppKey, *, project: str = "") -> tuple[ResourceDiff, ...]:
        return (await self.ask(_of(key, project, "get the managed resources of", "managed-resources"), _Diffs)).items or ()

    async def manifests(self, key: AppKey, *, project: str = "", revision: str = "") -> tuple[str, ...]:
        call = _of(key, project, "get the manifests of", "manifests", ("revision", revision))
        return (await self.ask(call, _Manifests)).manifests or ()

    async def resource(self, key: AppKey, node: Node, *, project: str = "") -> str:
        return (await self.ask(_of_node(key, project, node, "get", "resource"), _Manifest)).manifest

    async def resource_actions(self, key: AppKey, node: Node, *, project: str = "") -> tuple[ResourceAction, ...]:
        """What Argo CD can do with one resource."""
        call = _of_node(key, project, node, "list the actions of", "resource", "actions")
        return (await self.ask(call, _Actions)).actions or ()

    async def revision_metadata(self, key: AppKey, revision: str, *, project: str = "", source_index: int = 0) -> RevisionMetadata:
        call = _of_revision(key, project, revision, source_index, "metadata")
        return await self.ask(call, RevisionMetadata)

    async def chart_details(self, key: AppKey, revision: str, *, project: str = "", source_index: int = 0) -> ChartDetails:
        """Of a chart version of a Helm repository, where `revision_metadata` of a commit cannot be asked."""
        return await self.ask(_of_revision(key, project, revision, source_index, "chartdetails"), ChartDetails)

    async def sync_windows(self, key: AppKey, *, project: str = "") -> SyncWindows:
        return await self.ask(_of(key, project, "get the sync windows of", "syncwindows"), SyncWindows)

    async def version(self) -> ServerVersion:
        self._version = await self.ask(Call(operation="get the version", path="/api/version"), ServerVersion)
        return self._version

    async def settings(self) -> Settings:
        return await self.ask(Call(operation="get the settings", path="/api/v1/settings"), Settings)

    async def user_info(self) -> UserInfo:
        return await self.ask(Call(operation="ask who we are", path="/api/v1/session/userinfo"), UserInfo)

    async def can_i(self, resource: str, action: str, subresource: str = "*") -> bool:
        everything = "*/*"  # "*" alone is "no" to an administrator, whose rules for Applications name project/name
        below = everything if subresource == "*" else "/".join(segment(part) for part in subresource.split("/"))
        path = f"/api/v1/account/can-i/{segment(resource)}/{segment(action)}/{below}"
        return (
            await self.ask(Call(operation="ask for the right", target=f"{resource} {action} {subresource}", path=path), _Answer)
        ).value == "yes"

    async def clusters(self) -> tuple[Cluster, ...]:
        return (await self.ask(Call(operation="list clusters", path="/api/v1/clusters"), _Clusters)).items or ()

    async def projects(self) -> tuple[Project, ...]:
        return (await self.ask(Call(operation="list projects", path="/api/v1/projects"), _Projects)).items or ()

    async def _known_version(self) -> Version | None:
        """For projections: asked once. Where it cannot be asked the portable set is taken."""
        try:
            version = self._version or await self.version()
        except BackendError:  # the list itself tells what is wrong
            return None
        return parse_version(version.version)


def _of(key: AppKey, project: str, operation: str, part: str, *query: tuple[str, str]) -> Call:
    return Call(operation=operation, target=str(key), path=app_path(key, part), query=app_query(key, project, *query))


def _of_node(key: AppKey, project: str, node: Node, verb: str, *parts: str) -> Call:
    return Call(
        operation=f"{verb} {node.kind} {node.name} of",
        target=str(key),
        path=app_path(key, *parts),
        query=(*app_query(key, project), *node_query(node)),
    )


def _of_revision(key: AppKey, project: str, revision: str, source_index: int, what: str) -> Call:
    return Call(
        operation=f"get revision {revision[:40]} of",
        target=str(key),
        path=app_path(key, "revisions", segment(revision), what),
        query=app_query(key, project, ("sourceIndex", str(source_index) if source_index else "")),
    )
