"""What is known of one Argo CD's Applications at one moment, as values: rows, trees, the state of the feeds.

`live.store` makes them; screens and the command line read them. A snapshot never changes and shares with the next one what is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from backends.argocd.types import Application, ResourceTree
from backends.domain.ids import AppKey
from backends.domain.rollout import FeedState


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a feed can be believed, and how old its last word is."""

    name: str
    state: FeedState = FeedState.CONNECTING
    since: datetime | None = None
    """When this state began (UTC)."""
    last_message: datetime | None = None
    """When anything was last heard, keep-alives included."""
    error: str = ""
    """Why it is not live: one cleaned line."""
    events: int = 0
    """Messages about Applications since the feed began; every one is counted, also those that changed nothing."""


class Row(msgspec.Struct, frozen=True):
    """One Application as last heard of."""

    application: Application
    version: int = 0
    """Its resourceVersion as a number; 0 where the source does not say."""
    seq: int = 0
    """The store's own clock when the row was written."""

    @property
    def partial(self) -> bool:
        """What a projected list lacks is unknown here, or older than the rest (contract/rollout.md, *Inputs*)."""
        return self.application.partial


class TreeView(msgspec.Struct, frozen=True):
    """A resource tree and when it was read (UTC)."""

    tree: ResourceTree
    at: datetime


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What was known at one moment. Never changes; two snapshots share every row that is the same."""

    number: int = 0
    rows: Mapping[AppKey, Row] = MappingProxyType({})
    trees: Mapping[AppKey, TreeView] = MappingProxyType({})
    feeds: tuple[FeedStatus, ...] = ()
    managed: frozenset[AppKey] = frozenset()
    """What the directories of the workspace name, root and Managers included."""

    def application(self, key: AppKey) -> Application | None:
        row = self.rows.get(key)
        return row.application if row else None

    @property
    def unmanaged(self) -> Iterator[Row]:
        """Applications that no directory of the workspace names."""
        return (row for key, row in self.rows.items() if key not in self.managed)

    def feed(self, name: str) -> FeedStatus:
        return next((feed for feed in self.feeds if feed.name == name), FeedStatus(name=name))


class Change(msgspec.Struct, frozen=True):
    """What moved since the reader's last look. `keys` were added, changed or removed; empty when only a feed's state did."""

    snapshot: Snapshot
    keys: frozenset[AppKey]
