"""One sandbox: its clusters, its Argo CD, its folder. What `server` serves and tests drive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from backends.paths import private_dir, write_private
from backends.render.types import Rendered, RenderRequest
from backends.sandbox import saving
from backends.sandbox.access import Access
from backends.sandbox.applications import Applications
from backends.sandbox.clock import Clock
from backends.sandbox.controller import Controller
from backends.sandbox.fleet import Fleet
from backends.sandbox.objects import Manifest
from backends.sandbox.repository import RepositoryServer
from backends.sandbox.sources import Renderer
from backends.sandbox.stream import BUFFER
from backends.sandbox.synthetic import Synthetic
from backends.sandbox.world import World

CHARTS, REPOSITORY = "charts", "workspace.git"
TOKENS = {"admin": "token", "viewer": "token-viewer", "restricted": "token-restricted"}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a sandbox is run."""

    folder: Path
    """Its repository, charts, tokens and, when kept, its state."""
    keep: bool = False
    """Whether the state is written, to be taken up again."""
    speed: float = 1.0
    latency: float = 1.0
    seed: str = "tiphys"
    synthetic: int = 0
    rate: float = 0.0
    """Changes a second among the synthetic Applications."""
    watch_buffer: int = BUFFER
    faults: bool = False
    """Whether the switches below /sandbox/ may break things on purpose."""


class Sandbox:
    """An Argo CD with simulated clusters, on a running loop.

    Args:
        render: what renders Helm and Kustomize; None takes the product's own renderer.
        timer: see `Clock`.
    """

    def __init__(self, options: Options, render: Renderer | None = None, timer: Callable[[], float] | None = None) -> None:
        self.options = options
        private_dir(options.folder)
        state = saving.saved_in(options.folder) if options.keep else None
        known = state or {"secret": "", "password": ""}
        self.world = World(Clock(options.speed, options.latency, timer), options.seed)
        self.fleet = Fleet(self.world)
        self.access = Access(known["secret"], known["password"])
        self.repository = RepositoryServer(self.world.clock, render or _render, options.folder / CHARTS)
        self.resumed = state is not None
        if state is not None:
            saving.restore(self, state)
        self.fleet.ensure_default_project()
        self.applications = Applications(self.fleet.home)
        self.controller = Controller(self.fleet, self.applications, self.repository)
        self.synthetic = Synthetic(self.applications, self.world, options.synthetic, options.rate)
        self._saver = saving.Saver(self, options.folder if options.keep else None)

    def start(self) -> None:
        """Begin to work: controllers look at what is there, synthetic Applications change, state is kept."""
        if self.resumed:
            for cluster, workloads in zip(self.fleet.clusters, self.fleet.workloads, strict=True):
                cluster.resume()
                workloads.resume()
        self.controller.start()
        self.synthetic.start()
        self._saver.start()
        self._write_tokens()

    async def close(self) -> None:
        self.controller.close()
        self.synthetic.close()
        await self._saver.close()
        self.repository.close()

    async def saved(self) -> None:
        """What was changed by an API call is on disk before the call is answered."""
        await self._saver.now()

    def light_tree(self, name: str) -> Manifest | None:
        return self.synthetic.tree(name)

    @property
    def repo_url(self) -> str:
        """The workspace repository as clients push to it and Applications name it."""
        return (self.options.folder.resolve() / REPOSITORY).as_uri()

    def _write_tokens(self) -> None:
        for account, name in TOKENS.items():
            file = self.options.folder / name
            if not (self.resumed and file.exists()):
                write_private(file, self.access.issue(account).encode() + b"\n")


def _render(request: RenderRequest) -> Rendered:
    from backends.render import render

    return render(request)
