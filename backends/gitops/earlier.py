"""Which earlier releases a rollback can go back to: those whose release files differ from what is there now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from backends.domain.ids import Sha
from backends.errors import BackendError, NotFound
from backends.gitops.workspace_layout import LAYOUT

if TYPE_CHECKING:
    from backends.domain.release import Release
    from backends.gitops.layout import Place
    from backends.gitops.repo import Repo
    from backends.gitops.tree import Tree

WasLive = Callable[[Sha], bool | None]
"""Whether a release was seen Live; None where nobody watched."""


def earlier(
    repo: Repo, tree: Tree, place: Place, releases: Iterable[Release], was_live: WasLive = lambda _commit: None
) -> Iterator[Release]:
    """The releases of `place` to go back to, newest first.

    Args:
        releases: its history, newest first.
        was_live: those known never to have been Live are left out.

    One whose files are those of a newer one is not named again: going back to either is the same commit. One that cannot be restored (its
    files do not fit, or need what is not there any more) is no release to go back to.
    """
    now = dict(LAYOUT.release_files(tree, place))
    passed = [now]
    for release in releases:
        try:
            then = repo.tree(release.commit)
            files = dict(LAYOUT.release_files(then, LAYOUT.find(then, place.id)))
        except NotFound:  # the commit removed it, or it lay elsewhere then
            continue
        if files in passed or was_live(release.commit) is False:
            continue
        passed.append(files)
        if _restorable(tree, place, files):
            yield release


def _restorable(tree: Tree, place: Place, files: Mapping[str, bytes]) -> bool:
    try:
        LAYOUT.with_release_files(tree, place, files)
    except BackendError:
        return False
    return True
