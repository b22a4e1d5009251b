"""What an intent would do now: files, rendered objects, what it reaches, what to be careful about. Nothing is written.

A plan is a value: a screen or a command shows it, has it confirmed, and hands `bound` and `expects` to the writer. Making one reads what the
intent touches, never the whole repository: one deploy among thousands must plan within a fraction of a second.
"""

from __future__ import annotations

import re

import msgspec

from backends.domain.environment import Environment
from backends.domain.ids import DeploymentId, Sha
from backends.errors import BackendError
from backends.gitops import files
from backends.gitops.cautions import Observed, Warning, cautions
from backends.gitops.file_diffs import FileDiff, file_diffs
from backends.gitops.impact import Reach, TargetChange, reaches, target_changes
from backends.gitops.intent import Description, Intent
from backends.gitops.intents.delete import Delete
from backends.gitops.intents.edit_values import EditValues
from backends.gitops.previews import Render, RenderedDiff, previews
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT

__all__ = ["Observed", "Plan", "Warning", "plan"]

_RELEASE_FILE = re.compile(r"deployments/[^/]+/[^/]+/[^/]+/(?:release|values\.release|kustomization)\.yaml")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One intent against one commit."""

    intent: Intent
    bound: Intent
    """The same, bound to what is shown: what a person has seen and confirmed. A plan that nobody saw runs `intent`."""
    base: Sha | None
    """The commit that was planned against; None: an empty repository."""
    files: tuple[FileDiff, ...]
    rendered: tuple[RenderedDiff, ...] = ()
    reaches: tuple[Reach, ...] = ()
    targets: tuple[TargetChange, ...] = ()
    """Deployments whose release changes."""
    warnings: tuple[Warning, ...] = ()
    protected: tuple[str, ...] = ()
    """Names to be typed: `--yes` is not enough for these."""
    confirmable: tuple[str, ...] = ()
    """Names whose typing confirms as well: what the change is about."""
    expects: dict[str, str | None] = {}
    """Path → blob id (None: absent) of the release files that it changes, as they were shown."""
    message: Description

    @property
    def empty(self) -> bool:
        """Nothing to do: the repository says all of it already."""
        return not self.files

    @property
    def deployments(self) -> tuple[DeploymentId, ...]:
        return tuple(reach.id for reach in self.reaches)


def plan(intent: Intent, tree: Tree, *, renderer: Render | None = None, observed: Observed | None = None) -> Plan:
    """What `intent` would do to `tree` (a commit without pending changes).

    Args:
        renderer: renders one source; None: rendered differences are not made.
        observed: what Argo CD shows now, for warnings.

    Raises what the intent raises (`Refused`, `NotFound`, `Conflict`, `Invalid`), `Cancelled` by the renderer.
    """
    after = intent.apply(tree)
    found = file_diffs(tree, after)
    changed = tuple(diff.path for diff in found)
    if not changed:
        return Plan(intent=intent, bound=intent, base=tree.commit, files=(), message=intent.describe(tree, after))
    reached = reaches(tree, after, changed)
    targets = target_changes(tree, after, changed)
    rendered = previews(tree, after, reached, files.workspace(after).repo_url, renderer)
    protected, confirmable = _names(intent, tree, after, changed, reached)
    return Plan(
        intent=intent,
        bound=intent.bound(tree) if isinstance(intent, EditValues) else intent,
        base=tree.commit,
        files=found,
        rendered=rendered,
        reaches=reached,
        targets=targets,
        warnings=cautions(
            intent,
            tree,
            after,
            changed=changed,
            reached=reached,
            targets=targets,
            rendered=rendered,
            observed=observed or Observed(),
        ),
        protected=protected,
        confirmable=confirmable,
        expects={diff.path: diff.before for diff in found if _RELEASE_FILE.fullmatch(diff.path)},
        message=intent.describe(tree, after),
    )


def _names(
    intent: Intent, before: Tree, after: Tree, changed: tuple[str, ...], reached: tuple[Reach, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that must be typed, and those that may be."""
    environments = _touched(before, changed, reached)
    if isinstance(intent, Delete):
        place = LAYOUT.find(before, intent.id)
        if next(LAYOUT.deployments(after, environment=place.environment), None) is None:
            return (place.environment,), (place.environment,)
        guarded = any(environment.protected for environment in environments)
        return ((place.id,) if guarded else ()), (place.id,)
    names = tuple(environment.name for environment in environments)
    return tuple(environment.name for environment in environments if environment.protected), names


def _touched(before: Tree, changed: tuple[str, ...], reached: tuple[Reach, ...]) -> list[Environment]:
    """The environments that a change is about, as they are before it: a new one is protected by nothing yet."""
    names = {reach.environment for reach in reached}
    names |= {path.split("/")[1] for path in changed if path.startswith("environments/")}
    found = []
    for name in names:
        if files.environment_file(name) not in before:
            continue
        try:
            found.append(files.environment(before, name))
        except BackendError:  # it cannot be read: treated as protected, since nobody can say that it is not
            found.append(Environment(name=name, protected=True))
    return sorted(found, key=lambda one: (one.order, one.name))
