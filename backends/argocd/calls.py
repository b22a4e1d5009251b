"""How a call of Argo CD is put together: what every Application call carries, and its answer as a value.

Not for the calls themselves: `reading`, `writing`, `streams`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from backends.argocd.connection import Call, Connection, segment
from backends.argocd.decoding import decode
from backends.argocd.types import Node
from backends.domain.ids import AppKey
from backends.errors import BackendError

T = TypeVar("T")

Query = tuple[tuple[str, str], ...]


class Caller:
    """Makes calls by one connection. What the three parts of the client have in common."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def ask(self, call: Call, type_: type[T]) -> T:
        """The answer of a call as a value. Raises `BackendError`."""
        answer = await self.connection.request(call)
        try:
            return decode(answer, type_)
        except BackendError as error:
            error.operation, error.target, answer = call.operation, call.target, b""  # what does not fit may quote the request
            raise error.with_traceback(None) from None


def app_path(key: AppKey, *parts: str) -> str:
    """The path of an Application's call."""
    return "/".join(("/api/v1/applications", segment(key.name), *parts))


def app_query(key: AppKey, project: str, *more: tuple[str, str]) -> Query:
    """Which Application: its namespace always (the default is the control plane's, not "any"), its project when known."""
    return tuple(_given((("appNamespace", key.namespace), ("project", project), *more)))


def app_body(key: AppKey, project: str, **more: Any) -> dict[str, Any]:
    """The same where the server reads the body alone. What is empty, false or None is left out: absent is the server's default."""
    return {name: value for name, value in {"appNamespace": key.namespace, "project": project, **more}.items() if value}


def node_query(node: Node) -> Query:
    """Which resource of an Application. The group is sent though it be empty."""
    return (
        ("namespace", node.namespace),
        ("resourceName", node.name),
        ("version", node.version),
        ("group", node.group),
        ("kind", node.kind),
    )


def _given(pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in pairs if value)
