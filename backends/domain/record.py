"""What a release records of a deployment: images, chart version, and where the build came from (release.yaml)."""

from __future__ import annotations

import msgspec


class Image(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One image by repository and tag or digest or both; "" is what is not known."""

    repository: str = ""
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.repository}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"

    @property
    def short(self) -> str:
        """What people call this version: the tag, else the beginning of the digest."""
        return self.tag or self.digest[:14]


class ChartVersion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    version: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What release.yaml says: everything that a deploy, promote or rollback may change. Who and when are in the commit."""

    images: dict[str, Image] = {}
    chart: ChartVersion | None = None
    build: str = ""
    source: str = ""
    """The commit of the app's own repository that was built."""
    promoted_from: str = ""

    @property
    def chart_version(self) -> str:
        return self.chart.version if self.chart else ""
