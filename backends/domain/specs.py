"""Whether the spec of an Application that lives in Argo CD is the one that application.yaml says.

Both sides are plain dicts. Only what decides about a release is compared: project, sources, destination and `syncPolicy.automated`.
What a server may leave out (null, empty, false) is left out on both sides; keys that this module does not know and that only the server
has are ignored, since a newer Argo CD may add some. A *known* key that only the server has does differ: that is how a commit that takes
a key away shows before its Manager has applied it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_SOURCE = frozenset(("repoURL", "path", "targetRevision", "chart", "ref", "name", "helm", "kustomize", "directory", "plugin"))
_HELM = frozenset(
    (
        "valueFiles",
        "values",
        "valuesObject",
        "parameters",
        "fileParameters",
        "releaseName",
        "passCredentials",
        "ignoreMissingValueFiles",
        "skipCrds",
        "skipSchemaValidation",
        "skipTests",
        "namespace",
        "kubeVersion",
        "apiVersions",
    )
)
_DESTINATION = frozenset(("server", "name", "namespace"))
_VERBATIM = frozenset(("valuesObject", "plugin"))
"""Other people's data: an empty or false value in there means something."""


class Automation(msgspec.Struct, frozen=True):
    """`syncPolicy.automated` with Argo CD's defaults filled in."""

    enabled: bool = False
    """Argo CD syncs by itself: the block is there and does not say `enabled: false`."""
    present: bool = False
    self_heal: bool = False
    prune: bool = False
    allow_empty: bool = False

    @property
    def paused(self) -> bool:
        """The block is there and switched off (Argo CD 3.1 and newer)."""
        return self.present and not self.enabled


def automation(spec: Mapping[str, Any]) -> Automation:
    """What a spec says about automated sync."""
    block = _mapping(_mapping(spec.get("syncPolicy")).get("automated"), none=None)
    if block is None:
        return Automation()
    return Automation(
        enabled=block.get("enabled") is not False,
        present=True,
        self_heal=block.get("selfHeal") is True,
        prune=block.get("prune") is True,
        allow_empty=block.get("allowEmpty") is True,
    )


def differences(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[str, ...]:
    """Dotted names of what differs ("source.path", "syncPolicy.automated"); empty when the live spec is the wanted one."""
    found = [] if _project(wanted) == _project(live) else ["project"]
    found += _place(wanted, live)
    if automation(wanted) != automation(live):
        found.append("syncPolicy.automated")
    return tuple(found)


def matches(wanted: Iterable[Mapping[str, Any]], live: Mapping[str, Any]) -> bool:
    """Whether the live spec equals one of the wanted ones. None wanted: no (nothing is proven)."""
    return any(not differences(one, live) for one in wanted)


def compared(compared_to: Mapping[str, Any] | None, live: Mapping[str, Any]) -> bool:
    """Whether `sync.comparedTo` is about the live spec: its sources and destination (it knows no project and no sync policy).

    With several sources Argo CD writes an empty `source` beside them, which is dropped like everything empty.
    """
    return compared_to is not None and not _place(live, compared_to) and not _place(compared_to, live)


def sources(spec: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The sources of a spec, one or several, in order."""
    several = spec.get("sources")
    if isinstance(several, list | tuple) and several:
        return tuple(_mapping(one) for one in several)
    single = _pruned(_mapping(spec.get("source")))
    return (single,) if single else ()


def _project(spec: Mapping[str, Any]) -> str:
    return str(spec.get("project") or "default")


def _place(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    if _same_place(wanted, live):
        return []
    ours, theirs = sources(wanted), sources(live)
    if len(ours) != len(theirs):
        found = ["sources"]
    else:
        label = "source" if len(ours) == 1 else "sources[{}]"
        found = [name for i, pair in enumerate(zip(ours, theirs, strict=True)) for name in _source(label.format(i), *pair)]
    return found + _keys("destination", _mapping(wanted.get("destination")), _mapping(live.get("destination")), _DESTINATION)


def _same_place(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Equal to the letter, as nearly all are: comparing two dicts costs a hundredth of comparing what they mean."""
    key = "sources" if wanted.get("sources") else "source"
    return key in wanted and wanted[key] == live.get(key) and wanted.get("destination") == live.get("destination")


def _source(label: str, wanted: dict[str, Any], live: dict[str, Any]) -> list[str]:
    helm = _keys(f"{label}.helm", _mapping(wanted.get("helm")), _mapping(live.get("helm")), _HELM)
    return _keys(label, wanted, live, _SOURCE, skip="helm") + helm


def _keys(label: str, wanted: Mapping[str, Any], live: Mapping[str, Any], known: frozenset[str], skip: str = "") -> list[str]:
    ours, theirs = _pruned(wanted), _pruned(live)
    names = [*ours, *(key for key in theirs if key in known and key not in ours)]
    return [f"{label}.{key}" for key in names if key != skip and ours.get(key) != theirs.get(key)]


def _pruned(value: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: one if key in _VERBATIM else _bare(one) for key, one in value.items()}
    return {key: one for key, one in kept.items() if not _empty(one)}


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return _pruned(value)
    if isinstance(value, list | tuple):
        return [_bare(one) for one in value]
    return value


def _empty(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str | list | tuple | dict) and not value)


def _mapping(value: Any, *, none: Any = {}) -> Any:  # noqa: B006 - the default is only ever read
    return value if isinstance(value, dict) else none
