"""Charts in memory, good and bad."""

import io
import tarfile
from collections.abc import Mapping
from typing import Any

from backends.render.types import RenderRequest, SourceKind

PATH = "charts/web/1.0.0"
CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"


def chart(files: Mapping[str, str | bytes], *, values: Mapping[str, str | bytes] | None = None, **more: Any) -> RenderRequest:
    """A request for a chart of these files (paths below the chart) with values files (repository paths)."""
    everything = {f"{PATH}/{name}": data for name, data in {"Chart.yaml": CHART, **files}.items()} | dict(values or {})
    settings = {"path": PATH, "release_name": "web-prod-k3x7qa", "namespace": "web-prod", "value_files": tuple(values or ())} | more
    return RenderRequest(
        kind=SourceKind.HELM,
        files={path: data.encode() if isinstance(data, str) else data for path, data in everything.items()},
        **settings,
    )


def config_map(name: str, data: str = "{}", annotations: str = "{}") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {annotations}}}\ndata: {data}\n"


def member(name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A chart archive of these members, exactly as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def vendored(name: str = "sub", *extra: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of a small chart with one ConfigMap."""
    return archive(
        member(f"{name}/Chart.yaml", f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n".encode()),
        member(f"{name}/templates/a.yaml", config_map(f"from-{name}").encode()),
        *extra,
    )
