"""A release: what one commit did to deployments, as the repository's history tells it. Read by `gitops.history`, never stored."""

from __future__ import annotations

from datetime import datetime

import msgspec

from backends.domain.ids import DeploymentId, Sha


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One change of deployments in one commit; a squashed commit can hold several.

    Texts are display copies (cleaned); `commit` and `deployments` are identities.
    """

    commit: Sha
    at: datetime
    """When it was committed (UTC)."""
    author: str
    subject: str
    op: str
    """What `Tiphys-Op` says; "edit" for a commit that a person made without Tiphys."""
    deployments: tuple[DeploymentId, ...] = ()
    images: tuple[str, ...] = ()
    chart: str = ""
    reason: str = ""
    change: str = ""
    """The `Tiphys-Change` id; "" for a person's edit."""
    promoted_from: str = ""
