"""What a careful reader refuses, with the line; what is only worth a word is a warning."""

import pytest

from backends.errors import Invalid
from backends.gitops.document import Owner, Problem, problems_of, read, read_all

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
)


def refusal(data: bytes | str, owner: Owner = Owner.PEOPLE) -> tuple[int, int, str]:
    with pytest.raises(Invalid) as caught:
        read("f.yaml", data.encode() if isinstance(data, str) else data, owner=owner)
    first = problems_of(caught.value)[0]
    assert str(first) == caught.value.message
    return first.line, first.column, first.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}\nfoo: 1\n", (2, 1, "text after the end of the document: helm ignores it, and what it says does nothing")),
        ("a: 1\n...\nb: 2\n", (3, 1, "text after the end of the document: helm ignores it, and what it says does nothing")),
        ("a: 1\n---\nb: 2\n", (2, 1, "several documents in one file: only one of them would be read")),
        ("---\n# nothing\n---\na: 1\n", (3, 1, "several documents in one file: only one of them would be read")),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", (4, 3, "duplicate key 'c': only the last one would be read")),
        ("1: a\n'1': b\n", (2, 1, "duplicate key '1': only the last one would be read")),
        ("{a: 1, a: 2}\n", (1, 8, "duplicate key 'a': only the last one would be read")),
        ("a:\n\tb: 1\n", (2, 1, "a tab: YAML indents and separates with spaces")),
        ("a:\tb\n", (1, 3, "a tab: YAML indents and separates with spaces")),
        ("é: 1\nü:\tb\n", (2, 3, "a tab: YAML indents and separates with spaces")),
        ("a: [1\n", (2, 1, "did not find expected ',' or ']'")),
        ("a: *x\n", (1, 4, "found undefined alias")),
        ("? [a]\n: b\n", (1, 3, "a key that is not a simple word")),
        ("a: \x07\n", (1, 4, "control character U+0007")),
        ("a: &x [*x]\n", (1, 4, "nested deeper than 100 (aliases that repeat each other?)")),
        (BOMB, (1, 32, "more than 50,000 values (aliases that repeat each other?)")),
    ],
)
def test_what_helm_would_read_otherwise_is_refused_with_its_line(text: str, expected: tuple[int, int, str]) -> None:
    assert expected == refusal(text)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbfa: 1\n", (1, 1, "a byte order mark at the beginning: save the file as plain UTF-8")),
        ("a: 1\n".encode("utf-16"), (1, 1, "a byte order mark at the beginning: save the file as plain UTF-8")),
        (b"a: 1\nb: x\xffy\n", (2, 5, "not UTF-8: byte 0xff")),
        (b"a: " + b"x" * (1 << 20), (0, 0, "the file is larger than 1 MiB")),
    ],
)
def test_bytes_that_are_no_text_are_refused(data: bytes, expected: tuple[int, int, str]) -> None:
    assert expected == refusal(data)


def test_a_deep_or_endless_file_costs_neither_stack_nor_time() -> None:
    for text in ("[" * 100_000, "{a: " * 100_000, "- " * 200_000, "a: " + "[" * 150 + "]" * 150):
        refusal(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", (1, 4, "an anchor in a machine-owned file")),
        ("a: 'b'\t# c\n", (1, 7, "a tab: YAML indents and separates with spaces")),
        ("# a\tcomment\na: 1\n", (1, 4, "a tab: YAML indents and separates with spaces")),
        ("a: !!str x\n", (1, 4, "an explicit tag: readers differ on those")),
    ],
)
def test_machine_owned_files_hold_neither_anchors_nor_tabs_nor_tags(text: str, expected: tuple[int, int, str]) -> None:
    assert expected == refusal(text, Owner.MACHINE)


def test_stars_and_ampersands_inside_text_are_no_anchors() -> None:
    document = read("f.yaml", b'a: "/x/*/y;&z"\nb: ["*-dev", "& co"]\n', owner=Owner.MACHINE)
    assert {"a": "/x/*/y;&z", "b": ["*-dev", "& co"]} == document.data


def test_people_may_write_tabs_in_text_and_comments_anchors_and_merges() -> None:
    text = "# a\tb\na: 'x\ty' #\tz\nb: &b {c: 1}\nd: {<<: *b, e: 2}\nf: |\n  x\ty\n"
    document = read("f.yaml", text.encode())
    assert {"a": "x\ty", "b": {"c": 1}, "d": {"c": 1, "e": 2}, "f": "x\ty\n"} == document.data
    assert () == document.warnings


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~\n", "\n\n"])
def test_a_file_without_anything_in_it_holds_nothing(text: str) -> None:
    assert read("f.yaml", text.encode()).data is None


def test_scalars_that_readers_type_differently_are_warned_about_with_their_place() -> None:
    document = read("f.yaml", b"a: 12345e2\nb:\n  - on\n  - y\nc: !foo 1\nyes: 1\n")
    assert (
        Problem("f.yaml", 1, 4, "12345e2 is text for YAML 1.1 and a number for helm and Argo CD: quote it", True),
        Problem("f.yaml", 4, 5, "y is text for YAML 1.1 and a boolean for helm and Argo CD: quote it", True),
        Problem("f.yaml", 5, 4, "an explicit tag: readers differ on those", True),
        Problem("f.yaml", 6, 1, "the key yes is not text for every reader: quote it", True),
    ) == document.warnings


def test_places_are_found_by_path_also_after_other_alphabets() -> None:
    document = read("f.yaml", "ä: ☃\nb:\n  - c: 1\n  - c: {d: 2}\n".encode())
    assert (4, 12) == document.locate(("b", 1, "c", "d"))
    assert (4, 9) == document.locate(("b", 1, "c", "d"), key=True)
    assert (2, 1) == document.locate(("b",), key=True)
    assert (3, 3) == document.locate(("b", "missing"))


def test_several_documents_are_read_where_they_are_meant() -> None:
    assert [{"a": 1}, {"b": 2}] == [one.data for one in read_all("f.yaml", b"a: 1\n---\nb: 2\n")]
