"""The nudges of one follower over time: those that can be given now, those that wait for root or Manager, those that nobody answered.

Whom a commit concerns is `nudge`'s matter; here is only when each is asked, and asked again.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Iterator

from backends.argocd.protocol import ArgoCD
from backends.domain.workspace import Workspace
from backends.live import nudge
from backends.live.errands import Errands
from backends.live.nudge import Notice, NoticeKind, Nudge, Role, When
from backends.live.store import Store
from backends.live.target import Target

LONGEST = 120.0
"""Seconds between two nudges of the same Application, at most: by then Argo CD has looked by itself."""
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
        self._given: dict[str, tuple[Nudge, float, float]] = {}
        """Name → the nudge, when it was given last, and seconds until it is given again where nothing came of it."""
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

    def tend(self, ready: Callable[[Nudge], bool], unseen: Callable[[Nudge], bool], *, live: bool) -> None:
        """Give what has become possible, and again what nothing came of: where Argo CD reads a mirror, it sees a push later than we.

        Args:
            ready: whether what a nudge waits for has happened.
            unseen: whether its Application has compared a revision without the commit.
            live: Argo CD answers.
        """
        for one in tuple(self._waiting):
            if ready(one):
                self._waiting.remove(one)
                self._give((one,))
        now = asyncio.get_running_loop().time()
        if live and self._away and now - self._asked_at >= self._again:
            away, self._away = tuple(self._away.values()), {}
            self._give(away)
        due = [one for one, at, pause in self._given.values() if now - at >= pause and unseen(one)] if live else []
        self._give(tuple(due))

    def _give(self, some: tuple[Nudge, ...]) -> None:
        if not some:
            return
        self._number += 1
        self._asked_at = now = asyncio.get_running_loop().time()
        for one in some:
            before = self._given.get(one.name)
            if not one.shared:
                self._given[one.name] = (one, now, self._again if before is None else min(2 * before[2], LONGEST))
        self._errands.start(("nudge", self._number), functools.partial(self._run, some, self._store.begin_list()), counts=False)

    async def _run(self, some: tuple[Nudge, ...], ticket: int) -> None:
        by_name = {one.name: one for one in some}
        await nudge.run(some, self._argocd, self._namespace, told=lambda notice: self._told(notice, by_name.get(notice.name), ticket))

    def _told(self, notice: Notice, asked: Nudge | None, ticket: int) -> None:
        if notice.application is not None:
            self._store.apply_get(notice.application, ticket)
        if notice.kind is not NoticeKind.NUDGED:
            self._given.pop(notice.name, None)
        if notice.kind is NoticeKind.AWAY and asked is not None:
            first, self._away[asked.name] = not self._away, asked
            if not first:
                return
        if notice.kind is NoticeKind.REFUSED and asked is not None and asked.role is not Role.DEPLOYMENT:
            self.forbidden[notice.name] = notice.text
        self._heard(notice)


def unnamed(nudges: Iterable[Nudge], targets: Iterable[Target], workspace: Workspace, environment: str) -> Iterator[Nudge]:
    """Nudges that what the commit changed does not lead to: of a release that is followed again, of an environment's order or clusters.

    Without them the wait would be for Argo CD's polling.

    Args:
        environment: whose root and Manager are waited for; "" when deployments are.
    """
    named = {one.name for one in nudges}
    if environment:
        root, manager = workspace.root_name, workspace.manager_name(environment)
        if root not in named:
            yield Nudge(name=root, project=root, role=Role.ROOT)
        if manager not in named:
            yield Nudge(name=manager, project=manager, role=Role.MANAGER, environment=environment, when=When.ROOT_SYNCED)
    for target in targets:
        reached = {target.key.name, workspace.manager_name(target.environment)} & named
        if not reached and target.wanted is not None and not target.wanted.removed:
            yield Nudge(name=target.key.name, project=target.project, role=Role.DEPLOYMENT, environment=target.environment)
