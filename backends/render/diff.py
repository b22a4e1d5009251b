"""What changes between two renderings, object by object, and between what runs and what Argo CD would make of it.

Objects are matched by group, kind, namespace and name, and compared in their normal form (`normal`): order of keys, quoting that means
nothing and comments are no change, order of lists is. The data of Secrets is masked on both sides before anything is compared for showing.
Not for deciding what a change means (`gitops.plan`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from backends.argocd.types import ResourceDiff
from backends.render.hunks import Hunk, LineKind, hunks
from backends.render.normal import Masks, TooLarge, lines
from backends.render.types import Manifest, Rendered


class Change(enum.StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class ObjectDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One object that is added, removed or changed. `hook` is its phase after the change, or before it where it goes."""

    change: Change
    group: str
    kind: str
    namespace: str
    name: str
    hook: str = ""
    hunks: tuple[Hunk, ...]

    @property
    def added(self) -> int:
        """Lines added."""
        return sum(line.kind is LineKind.ADDED for hunk in self.hunks for line in hunk.lines)

    @property
    def removed(self) -> int:
        """Lines removed."""
        return sum(line.kind is LineKind.REMOVED for hunk in self.hunks for line in hunk.lines)


def compare(before: Rendered, after: Rendered) -> tuple[ObjectDiff, ...]:
    """The objects that differ, in the order of `after`, then those that are gone in the order of `before`.

    Of an object that is rendered more than once the last one counts, as it does for Argo CD. A side that could not be rendered
    (`missing`) has no objects: whether to compare at all is the caller's to say.
    """
    old, new = _by_key(before.manifests), _by_key(after.manifests)
    found = [_compared(key, old.get(key), manifest) for key, manifest in new.items()]
    found += [_compared(key, manifest, None) for key, manifest in old.items() if key not in new]
    return tuple(one for one in found if one is not None)


def compare_live(resources: Iterable[ResourceDiff]) -> tuple[ObjectDiff, ...]:
    """What a sync would change now: of each managed resource the live state as Argo CD normalises it, against the predicted one.

    A resource that is only live would be pruned (removed), one that is only wanted is added.
    """
    found = []
    for one in resources:
        live, predicted = _json(one.normalized_live_state or one.live_state), _json(one.predicted_live_state)
        wanted = _json(one.target_state)
        if not live:
            predicted = predicted or wanted
        elif not wanted:
            predicted = ""
        if changes := _hunks(live, predicted):
            change = Change.ADDED if not live else Change.REMOVED if not predicted else Change.CHANGED
            found.append(ObjectDiff(change=change, group=one.group, kind=one.kind, namespace=one.namespace, name=one.name, hunks=changes))
    return tuple(found)


def mask_secrets(text: str) -> str:
    """One manifest, YAML or JSON, in its normal form with the data of Secrets masked; what cannot be read is not shown at all."""
    return "".join(f"{line}\n" for line in _lines(text, Masks()))


def _by_key(manifests: Iterable[Manifest]) -> dict[tuple[str, str, str, str], Manifest]:
    return {(one.group, one.kind, one.namespace, one.name): one for one in manifests}


def _compared(key: tuple[str, str, str, str], before: Manifest | None, after: Manifest | None) -> ObjectDiff | None:
    shown = after or before
    if shown is None or (before and after and before.text == after.text):
        return None
    found = _hunks(before.text if before else "", after.text if after else "")
    if not found:
        return None
    change = Change.ADDED if before is None else Change.REMOVED if after is None else Change.CHANGED
    group, kind, namespace, name = key
    return ObjectDiff(change=change, group=group, kind=kind, namespace=namespace, name=name, hook=shown.hook, hunks=found)


def _json(text: str) -> str:
    return "" if text.strip() == "null" else text


def _hunks(before: str, after: str) -> tuple[Hunk, ...]:
    masks = Masks()
    return hunks(_lines(before, masks), _lines(after, masks))


def _lines(text: str, masks: Masks) -> list[str]:
    try:
        return lines(text, masks) if text else []
    except TooLarge as error:
        return [f"{masks.mask('', text)} not shown: {error}"]
    except ValueError:
        return [f"{masks.mask('', text)} not shown: it cannot be read, and may be a Secret"]
