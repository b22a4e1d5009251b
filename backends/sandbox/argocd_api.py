"""The routes of the sandbox's API, and what every request goes through: paths, methods, content types, tokens, errors."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import unquote

from backends.sandbox import applications_api as apps
from backends.sandbox import changes_api as changes
from backends.sandbox import fleet_api as fleet
from backends.sandbox import resources_api as resources
from backends.sandbox import stream, sync_api
from backends.sandbox.access import Unauthenticated
from backends.sandbox.calls import EVENTS, Answer, ApiError, Call, error_answer, plain

Handler = Callable[[Call], Awaitable[Answer | None]]
_APP = "/api/v1/applications/{name}"


class Route(NamedTuple):
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    anonymous: bool = False
    streams: bool = False
    """Refusals come in the shape of a stream's error."""


def _route(method: str, path: str, handler: Handler, *, anonymous: bool = False, streams: bool = False) -> Route:
    pattern = re.sub(r"\\{(\w+):rest\\}", r"(?P<\1>.*)", re.escape(path))
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", pattern)
    return Route(method, re.compile(pattern), handler, anonymous, streams)


ROUTES = (
    _route("GET", "/api/version", fleet.version, anonymous=True),
    _route("GET", "/api/v1/settings", fleet.settings, anonymous=True),
    _route("GET", "/api/v1/session/userinfo", fleet.user_info, anonymous=True),
    _route("POST", "/api/v1/session", fleet.log_in, anonymous=True),
    _route("DELETE", "/api/v1/session", fleet.log_out, anonymous=True),
    _route("GET", "/api/v1/account", fleet.accounts),
    _route("GET", "/api/v1/account/can-i/{resource}/{action}/{target:rest}", fleet.can_i),
    _route("GET", "/api/v1/account/{account}", fleet.account),
    _route("POST", "/api/v1/account/{account}/token", fleet.create_token),
    _route("DELETE", "/api/v1/account/{account}/token/{token}", fleet.delete_token),
    _route("GET", "/api/v1/stream/applications", stream.applications, streams=True),
    _route("GET", "/api/v1/stream/applications/{name}/resource-tree", stream.tree, streams=True),
    _route("GET", "/api/v1/applications", apps.list_),
    _route("POST", "/api/v1/applications", changes.create),
    _route("GET", _APP, apps.get),
    _route("PUT", _APP, changes.update),
    _route("PATCH", _APP, changes.patch),
    _route("DELETE", _APP, changes.delete),
    _route("PUT", f"{_APP}/spec", changes.update_spec),
    _route("POST", f"{_APP}/sync", sync_api.sync),
    _route("POST", f"{_APP}/rollback", sync_api.rollback),
    _route("DELETE", f"{_APP}/operation", sync_api.terminate),
    _route("GET", f"{_APP}/syncwindows", sync_api.sync_windows),
    _route("GET", f"{_APP}/resource-tree", resources.tree),
    _route("GET", f"{_APP}/managed-resources", resources.managed),
    _route("GET", f"{_APP}/manifests", resources.manifests),
    _route("GET", f"{_APP}/events", resources.events),
    _route("GET", f"{_APP}/links", resources.links),
    _route("GET", f"{_APP}/logs", resources.pod_logs, streams=True),
    _route("GET", f"{_APP}/pods/{{pod}}/logs", resources.pod_logs, streams=True),
    _route("GET", f"{_APP}/resource", resources.resource),
    _route("POST", f"{_APP}/resource", resources.patch_resource),
    _route("DELETE", f"{_APP}/resource", resources.delete_resource),
    _route("GET", f"{_APP}/resource/actions", resources.actions),
    _route("POST", f"{_APP}/resource/actions/v2", resources.run_action),
    _route("GET", f"{_APP}/resource/links", resources.links),
    _route("GET", f"{_APP}/revisions/{{revision}}/metadata", resources.revision_metadata),
    _route("GET", f"{_APP}/revisions/{{revision}}/chartdetails", resources.chart_details),
    _route("GET", "/api/v1/clusters", fleet.clusters),
    _route("POST", "/api/v1/clusters", fleet.create_cluster),
    _route("GET", "/api/v1/clusters/{id}", fleet.cluster),
    _route("DELETE", "/api/v1/clusters/{id}", fleet.delete_cluster),
    _route("GET", "/api/v1/projects", fleet.projects),
    _route("POST", "/api/v1/projects", fleet.create_project),
    _route("GET", "/api/v1/projects/{project}", fleet.project),
    _route("PUT", "/api/v1/projects/{project}", fleet.update_project),
    _route("DELETE", "/api/v1/projects/{project}", fleet.delete_project),
    _route("GET", "/api/v1/projects/{project}/detailed", fleet.project_detailed),
    _route("GET", "/api/v1/repositories", fleet.repositories),
    _route("GET", "/api/v1/applicationsets", fleet.nothing({"metadata": {"resourceVersion": "1"}, "items": None})),
    _route("GET", "/api/v1/notifications/services", fleet.nothing({})),
)


def token_of(headers: dict[str, str]) -> str:
    """Where Argo CD looks for a token: its own header, the bearer, the cookie."""
    if own := headers.get("grpc-metadata-token"):
        return own
    bearer = headers.get("authorization", "")
    if bearer.lower().startswith("bearer ") and bearer.count(".") == 2:
        return bearer[7:].strip()
    cookies = dict(part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";") if "=" in part)
    return cookies.get("argocd.token", "")


async def handle(method: str, path: str, headers: dict[str, str], call: Call) -> Answer | None:
    """Answer one request; None when the answer was written as a stream.

    Args:
        path: the path without the query, still percent-encoded.
        headers: by lower-case name.
        call: the request without who asks and without path parameters.
    """
    if path == "/healthz":
        return plain(200, "ok")
    if path.startswith("/api/") and method != "GET" and headers.get("content-type", "").lower() != "application/json":
        return plain(415, "Invalid content type")._replace(headers={"X-Content-Type-Options": "nosniff"})
    fitting = [(route, match) for route in ROUTES if (match := route.pattern.fullmatch(path))]
    if not fitting:
        return plain(404, "Not Found")
    found = next(((route, match) for route, match in fitting if route.method == method), None)
    if found is None:
        return plain(405, "Method Not Allowed")
    route, match = found
    encoded = "/clusters/" in path or "/repositories/" in path
    named = {key: value if encoded else unquote(value) for key, value in match.groupdict().items()}
    call = call._replace(path=named)
    sandbox = call.sandbox
    try:
        token = token_of(headers)
        renewed = ""
        if token or not route.anonymous:
            try:
                claims = sandbox.access.check(token)
                call, renewed = call._replace(claims=claims), sandbox.access.renewal(claims)
            except Unauthenticated as error:
                if not route.anonymous:
                    raise ApiError(16, str(error)) from None
        answered = await route.handler(call)
    except ApiError as error:
        answered, renewed = error_answer(error, stream=route.streams), ""
    if answered is not None and renewed:
        answered = answered._replace(headers={**answered.headers, "Grpc-Metadata-Renew-Token": renewed})
    if answered is not None and route.streams and call.accept == EVENTS and answered.status >= 400:
        answered = answered._replace(body=b"data: %s \n\n" % answered.body, kind=EVENTS)
    return answered
