"""Charts made safe and rendered, by whichever Helm there is, as Argo CD would.

Files are checked and exported, values schemas and archives looked through, names held to what Helm accepts; what Helm says is wrong becomes
one sentence with repository paths. Like Argo CD: CRDs are included, notes and hooks that it never runs are not (`manifests`, `hooks`).
Unlike it: dependencies that are not vendored are not fetched, and a values schema that refers elsewhere is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from backends.engine import Cancel
from backends.errors import Invalid
from backends.render.archives import repacked
from backends.render.export import Exports, check_files
from backends.render.helm_process import Answer
from backends.render.manifests import Reader, repeated
from backends.render.schemas import without_foreign_schemas
from backends.render.types import Manifest, Rendered, RenderRequest
from backends.text import clean, clean_lines

_RELEASE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_API_VERSION = re.compile(r"[A-Za-z0-9./-]{1,300}\Z")
_KUBE_VERSION = re.compile(r"v?\d{1,4}\.\d{1,4}(\.\d{1,4})?([-+][A-Za-z0-9.+-]{1,60})?\Z")
_NAME = re.compile(rb"^name:[ \t]*[\"']?([A-Za-z0-9._-]+)", re.MULTILINE)
_PLACE = re.compile(r"[^\s()\"']+\.(?:ya?ml|tpl|txt|json)(?::\d+){1,2}")
_RAISED = re.compile(r"execution error at \(([^)]*)\): ")
_UNSUITED = "chart requires kubeVersion"
_UNFIT = "values don't meet the specifications of the schema"
_STEP = re.compile(r"(?:template: )?\S+:\d+:\d+: executing \"[^\"]*\" at <.*?>: ")


class Helm(Protocol):
    """One way to run Helm: `helm_program` or `helm_sdk`."""

    def by(self, request: RenderRequest) -> str:
        """Which Helm this is, for people, after a rendering."""
        ...

    def template(
        self,
        chart: Path,
        values: Sequence[tuple[str, bytes]],
        request: RenderRequest,
        *,
        deadline: float,
        cancel: Cancel | None,
    ) -> Answer:
        """Render the chart in a folder with values files (name for people, bytes), lowest precedence first.

        Raises `TimedOut`, `Cancelled`, and `Invalid` for a chart that uses more than it may; what Helm refuses is in the answer.
        """
        ...


def render(request: RenderRequest, helm: Helm, exports: Exports, *, deadline: float, cancel: Cancel | None = None) -> Rendered:
    """Render a chart. Raises `Invalid`, `TimedOut`, `Cancelled`."""
    _check_names(request)
    folder = request.path.strip("/")
    folder = "" if folder == "." else folder
    below = f"{folder}/" if folder else ""
    chart_files = {path: data for path, data in request.files.items() if path.startswith(below)}
    if f"{below}Chart.yaml" not in chart_files:
        raise Invalid(f"there is no chart in {clean(folder) or 'the root'}: no Chart.yaml", operation="render")
    check_files(chart_files)
    value_files = tuple(dict.fromkeys(request.value_files))  # Argo CD reads a file once, where it is named first
    for path in value_files:
        if path not in request.files:
            raise Invalid(f"the values file {clean(path)} is not there", operation="render", target=clean(folder))
    kept, unchecked = without_foreign_schemas(chart_files)
    kept, unchecked_too = repacked(kept)
    with exports.of(kept) as export:
        values = [(path, request.files[path]) for path in value_files]
        answer = helm.template(export.root / folder, values, request, deadline=deadline, cancel=cancel)
        error = export.named(answer.error)
    if answer.missing:
        names = clean(", ".join(answer.missing), limit=300)
        return Rendered(missing=f"not rendered here: the chart needs {names}, which its charts/ folder does not hold", by=helm.by(request))
    if error and _UNSUITED in error and not request.kube_version:
        # The version that Helm assumes is none of this cluster's: a wrong answer either way.
        return Rendered(missing=f"not rendered here: {clean(error, limit=300)}", by=helm.by(request))
    found = _NAME.search(request.files[f"{below}Chart.yaml"])
    chart = found[1].decode() if found else ""
    if error:
        raise explained(error, chart=chart, folder=folder)
    try:
        objects = _objects(answer, cancel)
    except Invalid as wrong:
        raise Invalid(_placed(wrong.message, chart, folder), operation="render", target=clean(folder)) from None
    return Rendered(manifests=objects, by=helm.by(request), warnings=unchecked + unchecked_too + repeated(objects))


def explained(error: str, *, chart: str, folder: str) -> Invalid:
    """Helm's words as one sentence: where (as a repository path) and the last thing it says; all of its lines are the problems.

    Helm tells of a chain of includes from the outside in; the last place is where it went wrong.
    """
    error = _placed(error, chart, folder)
    lines = [line for line in clean_lines(error, limit=2_000) if line.strip()]
    last = error.rstrip().rpartition("\n")[2].strip() or "it does not render"  # whole: a chain of includes is one line of 100 KB
    if raised := _RAISED.match(error):  # `required` and `fail`: the rest is the author's sentence
        place, last = raised[1], clean(error[raised.end() :])
    elif lines and lines[0].startswith(_UNFIT):
        unfit = "; ".join(line.strip("- ") for line in lines[1:] if line.startswith("-"))
        place, last = "", f"values do not fit the chart's schema: {unfit}"
    else:
        for call in ("error calling include: ", "error calling tpl: "):
            last = last.rpartition(call)[2]
        places = _PLACE.findall(error)
        place, last = places[-1] if places else "", _STEP.sub("", last)
    sentence = last if not place or place in last else f"{place}: {last}"
    return Invalid(
        clean(sentence, limit=600), operation="render", target=clean(folder), problems=[clean(line, limit=600) for line in lines[:20]]
    )


def _placed(text: str, chart: str, folder: str) -> str:
    """Helm names files by the chart's own name; where they are in the repository says more."""
    if not chart:
        return text
    return re.sub(rf"(?<![\w./-]){re.escape(chart)}/(?=templates/|charts/|crds/)", lambda _: f"{folder}/" if folder else "", text)


def _objects(answer: Answer, cancel: Cancel | None) -> tuple[Manifest, ...]:
    reader = Reader(helm=True, cancel=cancel)
    found = [manifest for path, text in answer.crds for manifest in reader.read(text, path)]
    for path, text in sorted(answer.files.items()):
        name = path.rpartition("/")[2]
        if not name.startswith("_") and name != "NOTES.txt":
            found += reader.read(text, path)
    return tuple(found)


def _check_names(request: RenderRequest) -> None:
    """Names become arguments, and `--name-template` is itself a template: only what Helm accepts as a name gets there. Raises `Invalid`."""
    if not _RELEASE.match(request.release_name) or len(request.release_name) > 53:
        raise Invalid(
            f"not a Helm release name: {clean(request.release_name, limit=80)!r}",
            hint="lower-case letters, digits, '-' and '.', at most 53",
        )
    if request.namespace and not _NAMESPACE.match(request.namespace):
        raise Invalid(f"not a namespace: {clean(request.namespace, limit=80)!r}")
    if request.kube_version and not _KUBE_VERSION.match(request.kube_version):
        raise Invalid(f"not a version of Kubernetes: {clean(request.kube_version, limit=80)!r}")
    for version in request.api_versions:
        if not _API_VERSION.match(version):
            raise Invalid(f"not an API version: {clean(version, limit=80)!r}")
