"""The folder of a bare clone in the cache: made whole or not at all, tidied, and thrown away when it is damaged.

Nothing in it exists only there, so every trouble with it ends in a new one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from backends.gitops.address import Address
from backends.gitops.git import Git
from backends.gitops.remote_errors import not_writable
from backends.paths import private_dir

_STALE_LOCK_SECONDS = 10.0
_SAMPLE_FOLDER, _LOOSE_LIMIT, _PACK_LIMIT = "17", 27, 50
"""As `git gc --auto` reckons: 27 loose objects in one of 256 folders are about 6,900."""


def prepare(folder: Path, address: Address) -> None:
    """Make the clone's folder (0700, its files 0600) if it is not there; nothing is fetched. Raises `GitError`."""
    if (folder / "HEAD").exists():
        return
    try:
        private_dir(folder.parent)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    except OSError as error:
        raise not_writable("open", folder, error) from None
    try:
        git = Git(made)
        options = ("--bare", "--quiet", "--template=", "--shared=0600", "--object-format=sha1")
        git.run("init", *options, str(made), settings=("init.defaultRefFormat=files",), operation="open")
        # so that `includeIf "hasconfig:remote.*.url:…"` of the user's configuration knows whose clone this is
        git.run("config", "remote.origin.url", address.url, operation="open")
        shutil.rmtree(folder, ignore_errors=True)  # what was not whole
        with contextlib.suppress(OSError):  # another Tiphys made the same one at the same moment
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def discard(folder: Path) -> None:
    """Throw a damaged clone away, at once as far as anybody else can see."""
    away = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
    with contextlib.suppress(FileNotFoundError):
        folder.rename(away / folder.name)
    shutil.rmtree(away, ignore_errors=True)


def remove_stale_locks(folder: Path, *, older_than: float = _STALE_LOCK_SECONDS) -> int:
    """Remove lock files that a killed git has left. Only while nobody else of ours works in the clone. Gives how many."""
    removed = 0
    limit = time.time() - older_than
    for root, _, names in os.walk(folder):
        if Path(root).name == "objects":
            continue
        for name in names:
            path = Path(root) / name
            with contextlib.suppress(OSError):
                if name.endswith(".lock") and path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
    return removed


def tidy(git: Git) -> None:
    """Let git pack what many fetches have left; it goes on in the background, and its two weeks of grace spare what is being written."""
    folder = git.folder
    if folder is None:
        return
    loose, packs = folder / "objects" / _SAMPLE_FOLDER, folder / "objects" / "pack"
    if _count(loose, "") >= _LOOSE_LIMIT or _count(packs, ".pack") > _PACK_LIMIT:
        # the grace is said here, since a configuration may have none
        limits = (f"gc.auto={_LOOSE_LIMIT * 256 - 255}", f"gc.autoPackLimit={_PACK_LIMIT}", "gc.pruneExpire=2.weeks.ago")
        git.try_run("gc", "--auto", "--quiet", settings=(*limits, "gc.autoDetach=true"))


def _count(folder: Path, ending: str) -> int:
    try:
        return sum(name.endswith(ending) for name in os.listdir(folder))  # noqa: PTH208 - a hundred Paths cost 0.1 ms a fetch
    except FileNotFoundError:
        return 0
