"""When Argo CD applies an object, read from its annotations: sync phases, hooks that it never runs, waves.

Follows gitops-engine `pkg/sync/hook`, `pkg/sync/syncwaves` and `controller/hook.go` of Argo CD 3.6. Not for what happens to a hook.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HOOK, HELM_HOOK = "argocd.argoproj.io/hook", "helm.sh/hook"

_PHASES = ("PreSync", "Sync", "PostSync", "SyncFail")
_DELETE = {"PreDelete": "pre-delete", "PostDelete": "post-delete"}
_OF_HELM = {"pre-install": "PreSync", "pre-upgrade": "PreSync", "post-install": "PostSync", "post-upgrade": "PostSync"}
_KNOWN_TO_HELM = {*_OF_HELM, *_DELETE.values(), "pre-rollback", "post-rollback", "test", "test-success"}
_INTEGER = re.compile(r"[+-]?\d{1,18}\Z", re.ASCII)


def phases(annotations: Mapping[str, str]) -> str | None:
    """The phases in which an object is applied as a hook, with commas; "" for an ordinary object; None for one that is never applied.

    Never applied: hooks without a phase of a sync or deletion (`helm.sh/hook: test`, `pre-rollback`, a mistyped one) and `Skip`.
    """
    ours, helms = _listed(annotations, HOOK), _listed(annotations, HELM_HOOK)
    found = [one for one in ours if one in _PHASES]
    if not found and "Skip" not in ours:
        found = list(dict.fromkeys(_OF_HELM[one] for one in helms if one in _OF_HELM))
    found += [phase for phase, helm in _DELETE.items() if phase in ours or helm in helms]
    if found:
        return ",".join(found)
    marked = HOOK in annotations or annotations.get(HELM_HOOK, "crd-install") != "crd-install"
    return None if marked else ""


def dropped_by_helm(annotations: Mapping[str, str]) -> bool:
    """Whether `helm template` leaves an object out: one of its hook types is none that Helm knows (`SortManifests`)."""
    if HELM_HOOK not in annotations:
        return False
    return any(one.strip().lower() not in _KNOWN_TO_HELM for one in annotations[HELM_HOOK].split(","))


def wave(annotations: Mapping[str, str]) -> int:
    """The sync wave, else Helm's hook weight, else 0; what is no integer counts as absent."""
    for name in ("argocd.argoproj.io/sync-wave", "helm.sh/hook-weight"):
        text = annotations.get(name, "")
        if _INTEGER.match(text):
            return int(text)
    return 0


def _listed(annotations: Mapping[str, str], name: str) -> list[str]:
    return list(dict.fromkeys(item for part in annotations.get(name, "").split(",") if (item := part.strip())))
