"""One Application that is looked at closely: what was asked about it beyond its row, and what is shown of it."""

from __future__ import annotations

from backends.argocd.types import Application, Event, ResourceStatus, ResourceTree, SyncWindows
from backends.domain.ids import AppKey, DeploymentId
from backends.domain.milestones import Milestones
from backends.domain.rollout import Rollout, Wanted
from backends.domain.verdict import Verdict


class Target:
    """Mutable, of one event loop. `asked` holds when each kind of question was put last (the loop's seconds)."""

    def __init__(self, key: AppKey, *, project: str = "", environment: str = "", wanted: Wanted | None = None) -> None:
        self.key = key
        self.project = project
        self.environment = environment
        self.wanted = wanted
        self.shown: Rollout | None = None
        self.milestones: Milestones | None = None
        self.verdict: Verdict | None = None
        self.tree: ResourceTree | None = None
        self.windows: SyncWindows | None = None
        self.resources: tuple[ResourceStatus, ...] | None = None
        """What the Application says of its resources, where the feed's projection leaves it out and it was asked for."""
        self.scheduling: tuple[Event, ...] = ()
        self.deleted = False
        """DELETED was seen, or a list begun after the burst lacked it, since the last time it was there."""
        self.forbidden = False
        self.not_found = False
        self.hard_refreshed = False
        self.may_refresh = True
        self.refused = ""
        """A remedy that Argo CD refused, as a sentence."""
        self.asked: dict[str, float] = {}
        self.tries: dict[str, int] = {}

    @property
    def id(self) -> DeploymentId:
        return DeploymentId(self.key.name)

    def due(self, what: str, now: float, every: float | None = None) -> bool:
        """Whether a question may be put: never put yet, or `every` seconds ago."""
        at = self.asked.get(what)
        return at is None or (every is not None and now - at >= every)

    def heard(self, application: Application | None) -> None:
        """Its row changed: absence that was asked about is over, or has begun."""
        self.deleted = application is None
        self.forbidden = self.not_found = False
        self.asked.pop("absent", None)

    def project_of(self, application: Application | None) -> str:
        return application.project if application is not None else self.project
