"""Rendering, contained: what Helm or Kustomize would make of files that are other people's text.

`render` is all that most callers need; whoever renders much, or wants to be ready, makes a `renderer.Renderer`. Comparing renderings is
`diff`, collecting the files of a request `sources`. Importing this package loads none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.engine import Cancel
    from backends.render.types import Rendered, RenderRequest


def render(request: RenderRequest, *, timeout: float = 20.0, cancel: Cancel | None = None) -> Rendered:
    """Render one source of one Application with this process' shared renderer; see `renderer.Renderer.render`."""
    from backends.render.renderer import shared

    return shared().render(request, timeout=timeout, cancel=cancel)
