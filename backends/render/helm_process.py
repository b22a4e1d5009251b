"""The process in which the Helm SDK lives: charts in, manifests out, over two pipes.

The SDK brings a Go runtime and 69 MB, cannot be unloaded and dies whole when a chart exhausts its memory; so it never runs in ours. Run by
path and isolated (`python -I -B helm_process.py`), contained by `contain`; it imports nothing of ours, and the other side (`helm_sdk`)
imports its messages. Each message is a length of four bytes, big-endian, and msgpack; the first one, `Hello`, is sent unasked.
Not for judging a chart: files are checked before they get here, manifests are read after.
"""

from __future__ import annotations

import os
import queue
import re
import resource
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

LENGTH = 4
LARGE = 300 << 20
"""Bytes of memory above which the process ends after its answer: Go gives back what it took late or never."""

_SEPARATOR = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)
_PROBE = {
    "Chart.yaml": "apiVersion: v2\nname: probe\nversion: 1.0.0\n",
    "templates/probe.yaml": "{{ .Capabilities.KubeVersion.Version }}",
}


class Hello(msgspec.Struct, frozen=True):
    """The process is ready: versions of Helm and of the Kubernetes that charts are told of ("v4.2.3", "v1.36.0")."""

    helm: str
    kubernetes: str


class Ask(msgspec.Struct, frozen=True):
    """Render the chart in a folder. `values` are (name, YAML) pairs, lowest precedence first; `most` bounds the answer in bytes."""

    chart: str
    values: tuple[tuple[str, str], ...]
    name: str
    namespace: str
    most: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Rendered text by template path, and CRDs by file path; or what is missing, or Helm's own words about what is wrong."""

    files: dict[str, str] = {}
    crds: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    error: str = ""
    excess: bool = False
    leaving: bool = False


def framed(message: msgspec.Struct) -> bytes:
    """A message as it goes over the pipe."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(LENGTH, "big") + data


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Values on top of values, as Helm merges files: maps by key, all else replaced; a null stays and deletes the chart's default later."""
    out = dict(below)
    for key, value in above.items():
        under = out.get(key)
        out[key] = merged(under, value) if isinstance(value, dict) and isinstance(under, dict) else value
    return out


def _values(helm: Any, files: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in files:
        try:
            if "\0" in text:  # the SDK takes C strings, and would read up to here
                raise ValueError("control characters are not allowed")
            for document in _SEPARATOR.split(text):  # the SDK reads the first one; Helm merges them
                values = merged(values, helm.values_from_yaml(document))
        except (helm.HelmError, ValueError) as error:
            raise ValueError(f"failed to parse {name}: {error}") from None
    return values


def _render(helm: Any, ask: Ask) -> Answer:
    try:
        values = _values(helm, ask.values)
        with helm.Chart.load(ask.chart) as chart:
            metadata = chart.metadata
            if metadata.get("type") == "library":
                return Answer(error="library charts are not installable")
            vendored = {one["name"] for one in chart.dependencies}
            missing = tuple(one["name"] for one in metadata.get("dependencies") or () if one["name"] not in vendored)
            if missing:
                return Answer(missing=missing)
            files = chart.render(values, name=ask.name, namespace=ask.namespace)  # drops what conditions and tags disable, CRDs too
            crds = tuple((one["filename"], one["data"]) for one in chart.crds)
    except (helm.HelmError, ValueError) as error:
        return Answer(error=str(error))
    return Answer(files=files, crds=crds)


def _kubernetes(helm: Any) -> str:
    folder = Path(os.environ["TMPDIR"]) / f"probe-{os.getpid()}"
    for name, text in _PROBE.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    with helm.Chart.load(folder) as chart:
        return str(chart.render({})["probe/templates/probe.yaml"])


def _memory() -> int:
    """The most that this program held, in bytes. Not `ru_maxrss` where there is better: on Linux that outlives exec, so a large program that
    starts us would count as our own size, and every process would leave after one answer."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak << 10
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _read(stream: BinaryIO, asks: queue.SimpleQueue[bytes]) -> None:
    while True:
        length = stream.read(LENGTH)
        data = stream.read(int.from_bytes(length, "big"))
        if len(length) < LENGTH or not data:
            os._exit(0)  # whoever started us is gone: so is the reason to finish what runs
        asks.put(data)


def main() -> None:
    # What Go libraries print must not end up between two messages.
    talk, heard = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    asks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(heard, asks), daemon=True).start()
    import helm_python as helm

    message: Hello | Answer = Hello(helm.helm_sdk_version(), _kubernetes(helm))
    while True:
        talk.write(framed(message))
        talk.flush()
        if isinstance(message, Answer) and message.leaving:
            os._exit(0)
        ask = msgspec.msgpack.decode(asks.get(), type=Ask)
        message = _render(helm, ask)
        if len(framed(message)) > ask.most:
            message = Answer(excess=True)
        if _memory() > LARGE:
            message = msgspec.structs.replace(message, leaving=True)


if __name__ == "__main__":
    main()
