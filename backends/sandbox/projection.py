"""The `fields` parameter, as Argo CD's gateway reads it.

Everywhere but in the Application list a node is kept when it is selected, lies below a selected one, or when a selected path *starts
with the characters* of its own path (`…sync.revisions` brings `…sync.revision` along). The Application list knows a fixed set of fields
and drops every other without a word. (argoproj/pkg grpc/http/forwarders.go; forwarder_overwrite.go `appFields`.)
"""

from __future__ import annotations

from typing import Any

import msgspec

from backends.sandbox.objects import Manifest

_NULL = object()
_LIST_FIELDS: dict[str, bool] = {
    # field → whether a missing value is sent as an explicit null
    "metadata.name": False,
    "metadata.namespace": False,
    "metadata.annotations": True,
    "metadata.labels": True,
    "metadata.creationTimestamp": True,
    "metadata.deletionTimestamp": True,
    "spec": False,
    "spec.destination": False,
    "spec.project": False,
    "spec.source": True,
    "spec.sources": True,
    "spec.sourceHydrator": True,
    "spec.syncPolicy": True,
    "status.sourceHydrator": False,
    "status.summary": False,
    "status.sync.status": False,
    "status.sync.revision": False,
    "status.health": False,
    "status.operationState.startedAt": False,
    "status.operationState.finishedAt": True,
    "status.resources": False,
    "operation.sync": True,
    "status.operationState.phase": False,
    "status.operationState.operation.sync": True,
}
_EMPTY_TEXT = {"status.sync.status", "status.sync.revision"}


class Fields:
    """One parsed `fields` parameter; without any, everything is sent."""

    _known: dict[str, Fields] = {}  # noqa: RUF012 - the cache of `of`

    def __init__(self, text: str) -> None:
        self.text = text
        self.excludes = text.startswith("-")
        self.names = frozenset(text.removeprefix("-").split(",")) if text else frozenset()
        self._kept: dict[str, tuple[bool, bool]] = {}
        self._list = self._list_fields()

    @classmethod
    def of(cls, text: str) -> Fields:
        """Parsed once: streams of one client ask for the same again and again."""
        if text not in cls._known:
            if len(cls._known) > 500:
                cls._known.clear()
            cls._known[text] = cls(text)
        return cls._known[text]

    def encode(self, value: Any) -> bytes:
        """A message or answer, projected; keys are sorted then, as Go sorts those of a map."""
        if not self.names:
            return msgspec.json.encode(value)
        return msgspec.json.encode(self.project(value), order="sorted")

    def encode_item(self, application: Manifest) -> bytes:
        """One item of the Application list."""
        if not self.names:
            return msgspec.json.encode(application)
        return msgspec.json.encode(self.project_item(application), order="sorted")

    def project(self, value: Any, path: str = "") -> Any:
        if isinstance(value, list):
            return [self.project(item, path) for item in value]
        if not isinstance(value, dict):
            return value
        out = {}
        for key, item in value.items():
            here = f"{path}.{key}" if path else key
            known = self._kept.get(here)
            if known is None:
                known = self._kept[here] = self._decide(here)
            keep, whole = known
            if keep:
                out[key] = item if whole or not isinstance(item, (dict, list)) else self.project(item, here)
        return out

    def project_item(self, application: Manifest) -> Manifest:
        out: Manifest = {}
        for steps, null, field in self._list:
            value: Any = application
            if field == "status.operationState.operation.sync":
                value = _step(application, ("status", "operationState"))
                value = value if value is _NULL else value.get("syncResult", None)
            elif len(steps) > 2 and steps[1] == "operationState" and _step(application, steps[:2]) is _NULL:
                continue
            else:
                value = _step(application, steps)
            if value is _NULL and field in _EMPTY_TEXT:
                value = ""
            if value is _NULL and steps[0] == "operation" and "operation" not in application:
                continue
            if value is _NULL:
                if not null:
                    continue
                value = None
            inner = out
            for step in steps[:-1]:
                inner = inner.setdefault(step, {})
            inner[steps[-1]] = value
        return out

    def _decide(self, path: str) -> tuple[bool, bool]:
        named = path in self.names
        if self.excludes:
            return not named, False
        return named or any(name.startswith(path) for name in self.names), named

    def _list_fields(self) -> list[tuple[tuple[str, ...], bool, str]]:
        selected = {field for field in _LIST_FIELDS if (f"items.{field}" in self.names) != self.excludes}
        out = []
        for field in sorted(selected):
            steps = tuple(field.split("."))
            if not any(".".join(steps[:end]) in selected for end in range(1, len(steps))):
                out.append((steps, _LIST_FIELDS[field], field))
        return out


EVERYTHING = Fields("")


def _step(value: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        if not isinstance(value, dict) or step not in value:
            return _NULL
        value = value[step]
    return value
