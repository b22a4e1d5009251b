"""Kustomize by the `kustomize` program or `kubectl kustomize`, kept to the files that were handed over.

A kustomization may name bases on other machines, and Kustomize runs Git for them. So what it refers to is read here first
(`references`): each must be a file or folder of the request, a remote one is "not rendered here". Behind that stand an empty PATH, proxies
that lead nowhere and, where the kernel lets us, no network at all. Never `--enable-helm`, `--enable-exec` or plugins. Images, patches and
prefixes that an Application adds to its source are not applied here.
"""

from __future__ import annotations

import json
import re
import time
from functools import cached_property
from pathlib import Path

from backends.engine import Cancel
from backends.errors import Invalid, TimedOut
from backends.render.child import Child, Exchange, Limits, environment
from backends.render.export import Exports, check_files
from backends.render.manifests import Reader, repeated
from backends.render.references import Remote, closure
from backends.render.types import Rendered, RenderRequest
from backends.text import clean, clean_lines

_VERSION = re.compile(r"v?(\d+\.\d+)\.\d+")
_NOWHERE = "http://127.0.0.1:9"


class Kustomize:
    """A `kustomize` or `kubectl` program by absolute path."""

    def __init__(self, program: Path, private: Path, exports: Exports, *, limits: Limits) -> None:
        self._program, self._private, self._exports, self._limits = program, private, exports, limits
        self._kubectl = program.name.startswith("kubectl")

    @cached_property
    def version(self) -> str:
        """ "5.8", or "" where the program does not say. One more process, once."""
        argv = ["version", "--client", "--output", "json"] if self._kubectl else ["version"]
        try:
            said = self._run(argv, self._private, time.monotonic() + 10, None, "version").out.decode("utf-8", "replace")
            if self._kubectl:
                said = str(json.loads(said).get("kustomizeVersion", ""))
        except (TimedOut, ValueError, AttributeError):
            return ""
        found = _VERSION.search(said)
        return found[1] if found else ""

    def render(self, request: RenderRequest, *, deadline: float, cancel: Cancel | None = None) -> Rendered:
        """Build a kustomization. Raises `Invalid`, `TimedOut`, `Cancelled`."""
        check_files(request.files)
        try:
            files = {path: request.files[path] for path in closure(request.files.get, request.files, request.path)}
        except Remote as remote:
            return Rendered(missing=f"not rendered here: {remote.message}")
        by = f"Kustomize {self.version}".rstrip()
        folder = request.path.strip("/")
        with self._exports.of(files) as export:
            argv = ["kustomize" if self._kubectl else "build", "."]
            exchange = self._run(argv, export.root / folder, deadline, cancel, request.path)
            if exchange.code != 0:
                lines = [line for line in clean_lines(export.named(exchange.err.decode("utf-8", "replace"))) if line.strip()]
                last = lines[-1].strip().removeprefix("Error: ").removeprefix("error: ") if lines else f"ended with status {exchange.code}"
                raise Invalid(clean(last, limit=600), operation="render", target=clean(folder), problems=lines[:20])
        found = tuple(Reader(cancel=cancel).read(exchange.out.decode("utf-8", "replace"), folder))
        return Rendered(manifests=found, by=by, warnings=repeated(found))

    def _run(self, argv: list[str], cwd: Path, deadline: float, cancel: Cancel | None, target: str) -> Exchange:
        env = environment(self._private)
        env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), _NOWHERE)
        env |= {"GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0"}
        child = Child([str(self._program), *argv], cwd=cwd, env=env, limits=self._limits, target=target)
        try:
            return child.exchange(complete=None, deadline=deadline, cancel=cancel)
        finally:
            child.close()
