"""What rendering costs: a warm chart, a plan's two renderings and their comparison, a large chart, a process and its memory."""

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from backends.render.diff import compare
from backends.render.helm_sdk import HelmSdk, installed
from backends.render.renderer import Renderer
from backends.render.types import RenderRequest
from tests.render.charts import chart

REPEATS = 21

_DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
        - name: main
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          ports: [{containerPort: {{ .Values.port }}}]
"""
_SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\nspec: {ports: [{port: 80, targetPort: {{ .Values.port }}}]}\n"
)
_LARGE = (
    "{{ range $i := until 300 }}---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c{{ $i }}\ndata:\n"
    "{{ range $j := until 40 }}  key{{ $j }}: value {{ $j }}\n{{ end }}{{ end }}"
)


def request(tag: str = "1.0.0", *, large: bool = False) -> RenderRequest:
    """A small service with four values files, as a deployment has."""
    layers = {f"layers/{n}/values.yaml": "{}\n" for n in range(3)} | {"layers/release.yaml": f"image: {{tag: '{tag}'}}\n"}
    files = {
        "values.yaml": "replicas: 2\nport: 8080\nimage: {repository: registry.example.org/acme/web, tag: ''}\n",
        "templates/deployment.yaml": _DEPLOYMENT,
        "templates/service.yaml": _SERVICE,
    }
    return chart(files | ({"templates/large.yaml": _LARGE} if large else {}), values=layers)


def measure() -> list[tuple[str, float, str]]:
    """(what, median, unit); what this machine has no program for is left out."""
    found: list[tuple[str, float, str]] = []
    engines = []
    if installed():
        engines.append(("Helm SDK", ""))
    if program := shutil.which("helm"):
        engines.append(("helm program", str(Path(program).parent)))
    for name, programs in engines:
        renderer = Renderer(programs=programs)
        began = time.perf_counter()
        renderer.render(request(), timeout=60)
        found.append((f"render, {name}: the first chart", (time.perf_counter() - began) * 1000, "ms"))
        found.append((f"render, {name}: a small chart, warm", _median(lambda renderer=renderer: renderer.render(request())), "ms"))
        found.append(
            (f"render, {name}: plan of one deploy (two charts, compared)", _median(lambda renderer=renderer: _plan(renderer)), "ms")
        )
        found.append(
            (f"render, {name}: 300 objects, 13,000 lines", _median(lambda renderer=renderer: renderer.render(request(large=True)), 5), "ms")
        )
        if memory := _memory(renderer):
            found.append((f"render, {name}: memory of its process", memory, "MB"))
        renderer.close()
    return found


def _plan(renderer: Renderer) -> None:
    changed = compare(renderer.render(request("1.0.0")), renderer.render(request("1.0.1")))
    assert 1 == len(changed)


def _median(work: Callable[[], object], repeats: int = REPEATS) -> float:
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def _memory(renderer: Renderer) -> float:
    if not isinstance(renderer._helm, HelmSdk) or not Path("/proc/self/statm").exists():
        return 0.0
    ((_, child),) = renderer._helm._idle
    return int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * 4096 / 1e6
