"""Trees that we build and listings that we move from commit to commit are those that git would make."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.errors import Invalid
from backends.gitops.git import Git
from backends.gitops.listing import Listings, build
from backends.gitops.objects import Objects
from backends.gitops.tree import EXECUTABLE, REGULAR, Entry, blob_id
from tests.gitops.remotes import bare, git

NAMES = st.sampled_from(["a", "a-b", "a.b", "a0", "b", "ü", "odd\udcff", "B"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENT = st.sampled_from([b"", b"1", b"2\n"])
TREES = st.lists(st.tuples(PATHS, CONTENT, st.sampled_from([REGULAR, EXECUTABLE])), max_size=12)


def consistent(files: dict[str, Entry]) -> dict[str, Entry]:
    """Without what would be a file and a folder at once."""
    return {path: entry for path, entry in files.items() if not any(other.startswith(f"{path}/") for other in files)}


def by_git(repository: Path, files: dict[str, Entry]) -> str:
    index = {"GIT_INDEX_FILE": str(repository / "index")}
    (repository / "index").unlink(missing_ok=True)
    rows = b"".join(
        b"%o %s\t%s\0" % (entry.mode, entry.oid.encode(), path.encode("utf-8", "surrogateescape")) for path, entry in files.items()
    )
    git(repository, "update-index", "-z", "--index-info", data=rows, env=index)
    return git(repository, "write-tree", env=index)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = bare(tmp_path_factory.mktemp("trees") / "r.git")
    for data in (b"", b"1", b"2\n"):
        git(repository, "hash-object", "-w", "--stdin", data=data)
    return repository


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TREES, after=TREES)
def test_a_changed_tree_and_its_listing_are_gits(
    repository: Path, before: list[tuple[str, bytes, int]], after: list[tuple[str, bytes, int]]
) -> None:
    old, new = (consistent({path: Entry(mode, blob_id(data)) for path, data, mode in files}) for files in (before, after))
    changes: dict[str, Entry | None] = {path: entry for path, entry in new.items() if old.get(path) != entry}
    changes |= dict.fromkeys(path for path in old if path not in new)
    runner = Git(repository)
    objects = Objects(runner)
    base, wanted = by_git(repository, old), by_git(repository, new)

    root, made = build(objects, base, changes)
    objects.write(made)
    fresh, _ = build(objects, None, new)

    assert (wanted, wanted) == (root, fresh)
    listings = Listings(runner, objects, repository / "none" / "listing")
    assert old == dict(listings.get(base))
    assert new == dict(listings.get(wanted))
    assert new == dict(Listings(runner, objects, repository / "none" / "listing").get(wanted))
    objects.close()


@pytest.mark.parametrize("changes", [{"a": b"1", "a/b": b"2"}, {"x/y": b"1", "x/y/z": b"2"}])
def test_a_file_and_a_folder_of_one_name_are_refused(repository: Path, changes: dict[str, bytes]) -> None:
    objects = Objects(Git(repository))

    with pytest.raises(Invalid):
        build(objects, None, {path: Entry(REGULAR, blob_id(data)) for path, data in changes.items()})
    objects.close()
