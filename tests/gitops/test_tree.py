"""A tree is a commit's files with changes on top, and never changes itself."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import Invalid
from backends.gitops.tree import REGULAR, SYMLINK, Entry, Tree, blob_id, changed_paths

PATHS = st.sampled_from(["a", "a/b", "a-b/c", "apps/web/app.yaml", "apps/web.yaml", "z"])


def test_object_ids_are_gits(tmp_path: Path) -> None:
    git = subprocess.run(["git", "hash-object", "--stdin"], input=b"hello\n", capture_output=True, check=True, cwd=tmp_path)
    assert git.stdout.decode().strip() == blob_id(b"hello\n")


def test_a_change_is_read_back_and_the_old_tree_stays() -> None:
    old = Tree.of({"a": "1"})
    new = old.with_file("a", b"2").with_file("b", b"3")
    assert [b"1", None] == [old.read("a"), old.read("b")]
    assert [b"2", b"3"] == [new.read("a"), new.read("b")]
    assert ["a", "b"] == changed_paths(old, new)


def test_writing_the_same_bytes_is_no_change() -> None:
    old = Tree.of({"a": "1"})
    assert {} == old.with_file("a", b"2").with_file("a", b"1").changes


def test_removing_what_was_added_is_no_change() -> None:
    assert {} == Tree.of({}).with_file("a", b"1").without("a").changes


def test_a_folder_goes_with_all_its_files_and_its_neighbour_stays() -> None:
    tree = Tree.of({"apps/web/app.yaml": "", "apps/web/values.yaml": "", "apps/web-two/app.yaml": ""}).with_file("apps/web/new", b"")
    assert ["apps/web-two/app.yaml"] == list(tree.without_folder("apps/web").paths())


def test_a_symbolic_link_is_not_read() -> None:
    tree = Tree(None, {"link": Entry(SYMLINK, "0" * 40)}, lambda _oid: b"/etc/passwd")
    with pytest.raises(Invalid, match="symbolic link"):
        tree.read("link")


@given(st.dictionaries(PATHS, st.binary(max_size=3)), st.lists(st.tuples(PATHS, st.none() | st.binary(max_size=3))))
def test_a_tree_equals_a_dictionary(files: dict[str, bytes], edits: list[tuple[str, bytes | None]]) -> None:
    tree, model = Tree.of(files), dict(files)
    for path, data in edits:
        if data is None:
            tree = tree.without(path)
            model.pop(path, None)
        else:
            tree = tree.with_file(path, data)
            model[path] = data
    assert sorted(model) == list(tree.paths())
    assert model == {path: tree.read(path) for path in tree.paths()}
    assert sorted(p for p in model if p.startswith("apps/web/")) == list(tree.paths("apps/web"))
    assert {p for p in {*files, *model} if files.get(p) != model.get(p)} == set(tree.changes)


def test_many_files_are_read_in_one_go_and_what_is_no_file_is_left_out() -> None:
    asked: list[list[str]] = []

    def read_blobs(oids: Iterable[str]) -> dict[str, bytes]:
        asked.append(sorted(oids))
        return {oid: oid.encode() for oid in asked[-1]}

    entries = {"a": Entry(REGULAR, "1" * 40), "b": Entry(REGULAR, "2" * 40), "link": Entry(SYMLINK, "3" * 40)}
    tree = Tree(None, entries, lambda oid: b"", read_blobs=read_blobs).with_file("new", b"n").without("b")

    assert {"a": b"1" * 40, "new": b"n"} == tree.read_many(["a", "b", "link", "new", "absent"])
    assert [["1" * 40]] == asked
