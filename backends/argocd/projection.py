"""Which fields to ask Argo CD for: the `fields` parameter of lists and streams, by server version.

The server's rules (contract/argocd-api.md §3.5): a list knows a fixed set and drops anything else without a word; before 3.5 it knows no
part of `spec` but the whole; 3.5.0 and 3.5.1 fail at random when `items.spec` stands beside `items.spec.…`, so the two never do here.
A stream honours every path, and keeps a node too when some path begins with its characters: `metadata.namespace` gives `name` as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Version = tuple[int, int]

_LIST = (
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "operation.sync",
    "status.sync.status",
    "status.sync.revision",  # since 3.5; before, asking for it does no harm
    "status.health",
    "status.summary",
    "status.operationState.phase",
    "status.operationState.startedAt",
    "status.operationState.finishedAt",
)
_SPEC_SUBFIELDS = ("spec.project", "spec.destination")
_SPEC_SUBFIELDS_SINCE: Version = (3, 5)

_METADATA = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "metadata.labels",
    "metadata.annotations",
    "metadata.finalizers",
    "metadata.ownerReferences",
)
_WORKSPACE = (
    *_METADATA,
    "spec",
    "operation",
    "status.sync",
    "status.health",
    "status.conditions",
    "status.history",
    "status.reconciledAt",
    "status.operationState",
    "status.summary",
)
_ROWS = (
    *_METADATA[:-2],
    "spec.project",
    "spec.destination",
    "operation.sync.revision",
    "status.sync.status",
    "status.sync.revision",
    "status.health",
    "status.summary",
    "status.operationState.phase",
    "status.operationState.startedAt",
    "status.operationState.finishedAt",
)


def parse_version(text: str) -> Version | None:
    """(major, minor) of "v3.5.1+abcdef0"; a development build says v99.99.99; None when it says neither."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})", text)
    return (int(found[1]), int(found[2])) if found else None


def list_fields(version: Version | None) -> str:
    """What rows need of a list. An unknown version gets the set that every server since 2.8 understands."""
    spec = _SPEC_SUBFIELDS if version is not None and version >= _SPEC_SUBFIELDS_SINCE else ("spec",)
    return ",".join(f"items.{path}" for path in (*_LIST, *spec))


def list_query(fields: str, *, selector: str = "", projects: Sequence[str] = (), name: str = "") -> tuple[tuple[str, str], ...]:
    """The parameters of a list call; several projects are a repeated key."""
    pairs = (("selector", selector), ("name", name), ("fields", fields), *(("projects", each) for each in projects))
    return tuple(pair for pair in pairs if pair[1])


def watch_fields(*, rows: bool = False) -> str:
    """What a stream is asked for.

    Args:
        rows: False: all that a stage is derived from (contract/argocd-live.md, *Size*: 4 to 5 KB an Application). True: what a list gives,
            and uid and resourceVersion: for the many Applications of which only a row is shown.
    """
    return ",".join(("result.type", *(f"result.application.{path}" for path in (_ROWS if rows else _WORKSPACE))))
