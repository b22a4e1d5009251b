"""Argo CD over HTTP: the client behind `protocol.ArgoCD`.

Only put together here: `reading`, `writing` and `streams` hold the calls, `connection` the way they go.
"""

from __future__ import annotations

from datetime import datetime

from backends.argocd.connection import Connection
from backends.argocd.endpoint import Endpoint
from backends.argocd.reading import Reading
from backends.argocd.streams import Streams
from backends.argocd.writing import Writing


class HttpArgoCD(Reading, Writing, Streams):
    """One Argo CD endpoint, as one user, on one event loop. Made by `connect`."""

    @property
    def url(self) -> str:
        """Base URL with any path prefix, without credentials."""
        return self.connection.url

    @property
    def token_expires(self) -> datetime | None:
        """When the token in use ends (`auth.expiry_notice` says it ahead); None before the first call, or when it does not."""
        return self.connection.session.expires

    async def close(self) -> None:
        """Close every connection; open streams end."""
        await self.connection.close()


def connect(endpoint: Endpoint) -> HttpArgoCD:
    """A client of `endpoint`. Nothing is sent before the first call."""
    return HttpArgoCD(Connection(endpoint))
