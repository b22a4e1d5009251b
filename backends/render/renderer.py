"""The one thing that renders: picks the engine for a request, keeps processes warm and the private folder that all of them work in.

Helm is the `helm` program where there is one on the PATH, else the Helm SDK; Kustomize is `kustomize`, else `kubectl`. A plan uses the
shared renderer (`backends.render.render`); whoever renders much makes one with more processes. Not for what is rendered (`gitops.plan`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from functools import cached_property
from pathlib import Path

from backends.engine import Cancel
from backends.errors import Unavailable
from backends.render import directory, helm
from backends.render.child import Limits
from backends.render.export import Exports
from backends.render.helm_program import HelmProgram
from backends.render.helm_sdk import HelmSdk, installed
from backends.render.kustomize import Kustomize
from backends.render.types import Rendered, RenderRequest, SourceKind
from backends.text import clean

NO_HELM = "not rendered here: there is no helm program, nor the Helm SDK (pip install 'tiphys[helm]')"
NO_KUSTOMIZE = "not rendered here: there is neither kustomize nor kubectl"


class Renderer:
    """Renders Helm charts, kustomizations and plain folders. Safe to use from several threads; the interpreter's end closes it too.

    Args:
        processes: Helm SDK processes at most (69 MB each while they live).
        idle: seconds after which an unused one is ended.
        limits: what one rendering may use.
        sdk_first: use the SDK where it is installed even if there is a program: 3 ms a chart instead of 80, for who renders many.
        programs: where `helm`, `kustomize` and `kubectl` are looked for, in the form of PATH; None: the PATH itself. Relative entries are
            passed over, so that a repository that one happens to stand in cannot bring its own.
    """

    def __init__(
        self,
        *,
        processes: int = 1,
        idle: float = 300.0,
        limits: Limits | None = None,
        programs: str | None = None,
        sdk_first: bool = False,
    ) -> None:
        self._limits, self._sdk_first = limits or Limits(), sdk_first
        self._processes, self._idle = processes, idle
        self._programs = os.environ.get("PATH", os.defpath) if programs is None else programs
        self._lock = threading.Lock()
        self._opened: list[HelmSdk] = []
        self._folders: list[str] = []
        self._end = weakref.finalize(self, _end, self._opened, self._folders)

    def render(self, request: RenderRequest, *, timeout: float = 20.0, cancel: Cancel | None = None) -> Rendered:
        """Render one source; what cannot be rendered here says why in `missing`.

        Args:
            timeout: seconds for everything, waiting for a free process included.

        Raises `Invalid` for files that do not render (the last thing Helm said, with repository paths) or use more than they may,
        `TimedOut`, `Cancelled`, `Unavailable` when this machine has no room or no process to spare.
        """
        try:
            return self._render(request, timeout, cancel)
        except OSError as error:
            raise Unavailable(
                f"cannot render on this machine: {clean(str(error))}", operation="render", target=clean(request.path)
            ) from error

    def _render(self, request: RenderRequest, timeout: float, cancel: Cancel | None) -> Rendered:
        deadline = time.monotonic() + timeout
        if not self._end.alive:
            raise ValueError("this renderer was closed")
        if cancel is not None:
            cancel.check()
        if request.kind is SourceKind.DIRECTORY:
            return directory.render(request, cancel=cancel)
        if request.kind is SourceKind.KUSTOMIZE:
            if self._kustomize is None:
                return Rendered(missing=NO_KUSTOMIZE)
            return self._kustomize.render(request, deadline=deadline, cancel=cancel)
        if self._helm is None:
            return Rendered(missing=NO_HELM)
        return helm.render(request, self._helm, self._exports, deadline=deadline, cancel=cancel)

    @property
    def renders_charts(self) -> bool:
        """Whether there is a Helm to render charts with; `NO_HELM` says what to do where there is none."""
        return self._helm is not None

    def warm(self) -> None:
        """Get ready in the background for a chart that is about to be rendered."""
        if isinstance(self._helm, HelmSdk):
            self._helm.warm()

    def close(self) -> None:
        """End its processes and delete its folder."""
        self._end()

    def _program(self, name: str) -> Path | None:
        places = [place for place in self._programs.split(os.pathsep) if Path(place).is_absolute()]
        found = shutil.which(name, path=os.pathsep.join(places)) if places else None
        return Path(found) if found else None

    @cached_property
    def _private(self) -> Path:
        with self._lock:
            if not self._folders:
                self._folders.append(tempfile.mkdtemp(prefix="tiphys-"))  # 0700
            return Path(self._folders[0])

    @cached_property
    def _exports(self) -> Exports:
        return Exports(self._private)

    @cached_property
    def _helm(self) -> HelmProgram | HelmSdk | None:
        sdk = installed()
        program = None if sdk and self._sdk_first else self._program("helm")
        if program and (found := HelmProgram(program, self._private, limits=self._limits)).usable:
            return found
        if not sdk:
            return None
        private = self._private
        with self._lock:
            if not self._opened:
                self._opened.append(HelmSdk(private, limits=self._limits, processes=self._processes, idle=self._idle))
            return self._opened[0]

    @cached_property
    def _kustomize(self) -> Kustomize | None:
        program = self._program("kustomize") or self._program("kubectl")
        return Kustomize(program, self._private, self._exports, limits=self._limits) if program else None


def _end(opened: list[HelmSdk], folders: list[str]) -> None:
    for sdk in opened:
        sdk.close()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


_shared: Renderer | None = None
_shared_lock = threading.Lock()


def shared() -> Renderer:
    """The renderer of this process, made when first asked for."""
    global _shared  # noqa: PLW0603 - one warm process for all who plan
    with _shared_lock:
        if _shared is None:
            _shared = Renderer()
        return _shared
