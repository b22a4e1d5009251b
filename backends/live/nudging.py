"""The nudges of one follower over time: those that can be given now, those that wait for root or Manager, those that nobody answered.

Whom a commit concerns is `nudge`'s matter; here is only when each is asked, and asked again.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable

from backends.argocd.protocol import ArgoCD
from backends.live import nudge
from backends.live.errands import Errands
from backends.live.nudge import Notice, NoticeKind, Nudge, Role, When
from backends.live.store import Store

Heard = Callable[[Notice], None]


class Nudging:
    """Gives the nudges of one commit.

    Args:
        again: seconds between two nudges of what nobody answered.
        heard: told what came of each; what was compared is in the store by then.
    """

    def __init__(self, argocd: ArgoCD, namespace: str, store: Store, errands: Errands, *, again: float, heard: Heard) -> None:
        self._argocd, self._namespace, self._store, self._errands = argocd, namespace, store, errands
        self._again, self._heard = again, heard
        self._waiting: list[Nudge] = []
        self._away: dict[str, Nudge] = {}
        self._asked_at = float("-inf")
        self._number = 0
        self.forbidden: dict[str, str] = {}
        """Name of a root or Manager → why we may not refresh it."""

    def begin(self, nudges: Iterable[Nudge]) -> None:
        """Give those that need nothing first; keep the others."""
        found = tuple(nudges)
        self._waiting = [one for one in found if one.when is not When.NOW]
        self._give(tuple(one for one in found if one.when is When.NOW))

    def tend(self, ready: Callable[[Nudge], bool], *, live: bool) -> None:
        """Give what has become possible. `ready` says whether what a nudge waits for has happened; `live`: Argo CD answers."""
        for one in tuple(self._waiting):
            if ready(one):
                self._waiting.remove(one)
                self._give((one,))
        now = asyncio.get_running_loop().time()
        if live and self._away and now - self._asked_at >= self._again:
            away, self._away = tuple(self._away.values()), {}
            self._give(away)

    def _give(self, some: tuple[Nudge, ...]) -> None:
        if not some:
            return
        self._number += 1
        self._asked_at = asyncio.get_running_loop().time()
        self._errands.start(("nudge", self._number), functools.partial(self._run, some, self._store.begin_list()), counts=False)

    async def _run(self, some: tuple[Nudge, ...], ticket: int) -> None:
        by_name = {one.name: one for one in some}
        await nudge.run(some, self._argocd, self._namespace, told=lambda notice: self._told(notice, by_name.get(notice.name), ticket))

    def _told(self, notice: Notice, asked: Nudge | None, ticket: int) -> None:
        if notice.application is not None:
            self._store.apply_get(notice.application, ticket)
        if notice.kind is NoticeKind.AWAY and asked is not None:
            first, self._away[asked.name] = not self._away, asked
            if not first:
                return
        if notice.kind is NoticeKind.REFUSED and asked is not None and asked.role is not Role.DEPLOYMENT:
            self.forbidden[notice.name] = notice.text
        self._heard(notice)
