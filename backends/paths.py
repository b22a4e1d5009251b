"""Where Tiphys keeps its files: configuration, caches and state, each private to the user.

Folders are made 0700 and files written 0600, whole or not at all (`write_private`). Nothing else decides a location.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import platformdirs


def config_file() -> Path:
    """`config.toml`; `TIPHYS_CONFIG` names another one."""
    named = os.environ.get("TIPHYS_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("tiphys") / "config.toml"


def workspaces_file() -> Path:
    """`workspaces.toml`, beside the configuration: URLs and paths of token files, never a token."""
    return config_file().with_name("workspaces.toml")


def cache_dir() -> Path:
    """Clones and parsed files: deleting it costs time, never information. Raises `Refused` for a folder of somebody else."""
    return _ours(platformdirs.user_cache_path("tiphys"))


def state_dir() -> Path:
    """The journal of unfinished intents, and observations. Raises `Refused` for a folder of somebody else."""
    return _ours(platformdirs.user_state_path("tiphys"))


def private_dir(path: Path) -> Path:
    """Make `path` (and what is missing above it) readable by this user alone, and return it.

    Raises `Refused` for a folder of somebody else, who could read and change what is put there; `OSError`.
    """
    if not path.is_dir():
        if not path.parent.is_dir():  # `mkdir(parents=True)` would give the folders above the umask's mode
            private_dir(path.parent)
        path.mkdir(exist_ok=True, mode=0o700)
    if _ours(path).stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def _ours(path: Path) -> Path:
    """The path, unless somebody else's folder is there: its owner could put other files into it, and read ours. Raises `Refused`."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return path  # not there yet, or not to be entered: whoever uses it is told
    if owner != os.geteuid():
        from backends.errors import Refused
        from backends.text import clean

        raise Refused(f"{clean(str(path), limit=200)} belongs to somebody else", hint="XDG_CACHE_HOME and XDG_STATE_HOME name other places")
    return path


def write_private(path: Path, data: bytes) -> None:
    """Write a whole file 0600: readers see the old bytes or the new ones, a crash leaves the old ones. Raises `OSError`."""
    import tempfile

    private_dir(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
