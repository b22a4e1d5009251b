"""An app: built from a repository by CI (*git*), or a published chart without a build (*add-on*)."""

from __future__ import annotations

from typing import Literal

import msgspec

from backends.domain.options import ApplicationOptions


class SourceRepo(msgspec.Struct, frozen=True, kw_only=True):
    """Where an app's code is."""

    repo: str = ""


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart of this repository (`path`: its folder without the version) or of another one (`repo` and `name`)."""

    path: str = ""
    repo: str = ""
    name: str = ""
    version: str = ""

    @property
    def title(self) -> str:
        return self.name or self.path.rpartition("/")[2]


class AppImage(msgspec.Struct, frozen=True, kw_only=True):
    repository: str = ""


class ImageKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chart reads an image, as dotted keys of its values. Without a digest key the tag becomes `tag@sha256:…`."""

    repository: str = ""
    tag: str = ""
    digest: str = ""


MAIN = "main"
"""The image of an app that names no other."""
MAIN_KEYS = ImageKeys(repository="image.repository", tag="image.tag", digest="image.digest")


class App(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What apps/<name>/app.yaml says; `name` comes from the path. An app without a chart is a Kustomize base or a folder of manifests."""

    name: str = ""
    kind: Literal["git", "addon"] = "git"
    source: SourceRepo | None = None
    chart: Chart | None = None
    images: dict[str, AppImage] = {}
    image_values: dict[str, ImageKeys] = {}
    argocd: ApplicationOptions = ApplicationOptions()

    @property
    def chart_repo(self) -> str:
        """The repository of a chart from elsewhere; "" where the chart is this workspace's."""
        return self.chart.repo if self.chart else ""

    def keys_of(self, image: str) -> ImageKeys | None:
        """Where the chart reads an image; None where nobody said."""
        return self.image_values.get(image) or (MAIN_KEYS if image == MAIN else None)
