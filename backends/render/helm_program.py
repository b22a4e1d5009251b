"""Helm by the `helm` program, one process a rendering, called as Argo CD's repository server calls it (`util/helm/cmd.go`).

Not for what a chart may contain (`helm`), nor for how the process is bounded (`child`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from backends.engine import Cancel
from backends.errors import Invalid, TimedOut
from backends.render.child import Child, Exchange, Limits, crash, environment
from backends.render.export import Beside
from backends.render.helm_process import Answer
from backends.render.types import RenderRequest

_VERSION = re.compile(r'\bVersion:"v(\d+\.\d+)')
_KUBERNETES = re.compile(r'\bKubeClientVersion:"v(\d+\.\d+)')
_MISSING = re.compile(r"missing in charts/? directory: (.+)|found in requirements\.yaml, but missing in charts/ directory: (.+)")


class HelmProgram:
    """A `helm` program (3 or 4) by absolute path."""

    def __init__(self, program: Path, private: Path, *, limits: Limits) -> None:
        self._program, self._private, self._limits = program, private, limits

    @cached_property
    def version(self) -> tuple[str, str]:
        """Its version and that of the Kubernetes that it knows ("4.2", "1.36"); "" for what it does not say. One more process, once."""
        try:
            said = self._run(["version"], self._private, time.monotonic() + 10, None, "helm version").out.decode("utf-8", "replace")
        except TimedOut:
            said = ""
        helm, kubernetes = _VERSION.search(said), _KUBERNETES.search(said)
        return (helm[1] if helm else "", kubernetes[1] if kubernetes else "")

    @property
    def usable(self) -> bool:
        """Whether it says that it is Helm 3 or newer."""
        return self.version[0].partition(".")[0] not in ("", "1", "2")

    def by(self, request: RenderRequest) -> str:
        """ "Helm 4.2 for Kubernetes 1.36": the version that was asked for, else the one that it knows."""
        helm, kubernetes = self.version
        kubernetes = request.kube_version.removeprefix("v") or kubernetes
        return f"Helm {helm}" + (f" for Kubernetes {kubernetes}" if kubernetes else "")

    def template(
        self,
        chart: Path,
        values: Sequence[tuple[str, bytes]],
        request: RenderRequest,
        *,
        deadline: float,
        cancel: Cancel | None,
    ) -> Answer:
        """Render one chart; see `helm.Helm`."""
        argv = ["template", ".", "--name-template", request.release_name, "--namespace", request.namespace or "default"]
        if request.kube_version:
            argv += ["--kube-version", request.kube_version]
        for version in request.api_versions:
            argv += ["--api-versions", version]
        with Beside(self._private) as beside:
            for name, data in values:
                argv += ["--values", str(beside.file(name, data))]
            exchange = self._run([*argv, "--include-crds"], chart, deadline, cancel, request.path)
            error = beside.named(exchange.err.decode("utf-8", "replace"))
        if exchange.code not in (0, 1):
            raise Invalid(crash(exchange, self._limits), operation="render", target=request.path)
        if exchange.code == 0:
            return Answer(files={"": exchange.out.decode("utf-8", "replace")})
        if missing := _MISSING.search(error):
            return Answer(missing=tuple(name.strip() for name in (missing[1] or missing[2]).split(",")))
        if "Error: " in error:
            error = error[error.index("Error: ") + len("Error: ") :]
        return Answer(error=error.partition("\n\nUse --debug flag")[0].strip() or f"helm ended with status {exchange.code}")

    def _run(self, argv: Sequence[str], cwd: Path, deadline: float, cancel: Cancel | None, target: str) -> Exchange:
        child = Child([str(self._program), *argv], cwd=cwd, env=environment(self._private), limits=self._limits, target=target)
        try:
            return child.exchange(complete=None, deadline=deadline, cancel=cancel)
        finally:
            child.close()
