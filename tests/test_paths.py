"""What Tiphys keeps is private and whole."""

import os
from pathlib import Path

import pytest

from backends import paths
from backends.errors import Refused


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    target = tmp_path / "state" / "journal" / "one"
    paths.write_private(target, b"data")
    assert 0o600 == target.stat().st_mode & 0o777
    assert [0o700, 0o700] == [p.stat().st_mode & 0o777 for p in (target.parent, target.parent.parent)]


def test_a_folder_that_others_can_read_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    assert 0o700 == paths.private_dir(folder).stat().st_mode & 0o777


def test_a_failed_write_leaves_the_old_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    paths.write_private(target, b"old")

    def fail(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        paths.write_private(target, b"new")
    assert b"old" == target.read_bytes()
    assert ["file"] == [p.name for p in tmp_path.iterdir()]


def test_the_configuration_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIPHYS_CONFIG", str(tmp_path / "mine.toml"))
    assert tmp_path / "mine.toml" == paths.config_file()
    assert tmp_path / "workspaces.toml" == paths.workspaces_file()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "tiphys"
    theirs.mkdir(mode=0o777)
    os.chown(theirs, 12345, 12345)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    for attempt in (paths.cache_dir, lambda: paths.private_dir(theirs), lambda: paths.write_private(theirs / "x", b"")):
        with pytest.raises(Refused, match="belongs to somebody else"):
            attempt()
