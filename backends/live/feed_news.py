"""What there is to tell of a feed itself: that nothing is heard any more, and how long that lasted."""

from __future__ import annotations

from datetime import datetime

from backends.domain.rollout import FeedState
from backends.live.snapshot import FeedStatus


class FeedNews:
    """Compares a feed's state with the one before."""

    def __init__(self) -> None:
        self.state = FeedState.CONNECTING
        self._lost: datetime | None = None

    def heard(self, feed: FeedStatus, now: datetime) -> str:
        """One line where there is something to tell, else ""."""
        if feed.state is self.state:
            return ""
        before, self.state = self.state, feed.state
        if feed.state is FeedState.STALE:
            self._lost = now
            return f"no news from Argo CD: {feed.error}" if feed.error else "no news from Argo CD"
        if feed.state is FeedState.LIVE and before is FeedState.STALE and self._lost is not None:
            return f"gap {(now - self._lost).total_seconds():.0f} s: what happened meanwhile was not seen"
        return ""
