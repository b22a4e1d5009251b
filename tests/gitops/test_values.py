"""Edits in place: one key is one hunk, and what people wrote around it keeps its bytes."""

import difflib
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from backends.errors import Conflict, Invalid
from backends.gitops.document import read
from backends.gitops.keys import KeyPath, key_text, parse_key
from backends.gitops.values import Edit, Was, edited, lookup, parse_edit, same, spliced

HelmReads = Callable[[str], Any]


def edit(text: str, *changes: str) -> str:
    return edited("values.yaml", text.encode(), [parse_edit(change) for change in changes]).decode()


def hunks(before: str, after: str) -> int:
    """Changed places; one line in the place of one line is one, however a diff may pair equal neighbours."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(old) == len(new):
        return sum(one != other for one, other in zip(old, new, strict=True))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return len(list(matcher.get_grouped_opcodes(0)))


SET = [
    ("", "a=1", "a: 1\n"),
    ("# c\n", "a.b=x", '# c\na:\n  b: "x"\n'),
    ("# c", "a=1", "# c\na: 1\n"),
    ("# c\n{}\n", "a=1", "# c\na: 1\n"),
    ("{}  # d\n", "a.b=1", "a:\n  b: 1  # d\n"),
    ("---\n{}\n", "a=1", "---\na: 1\n"),
    ("--- {}\n", "a=1", "---\na: 1\n"),
    ("---\n", "a=1", "---\na: 1\n"),
    ("~\n", "a=1", "a: 1\n"),
    ("a: 1\n...\n", "b=2", "a: 1\nb: 2\n...\n"),
    ("---\n...\n", "b=2", "---\nb: 2\n...\n"),
    ("replicas: 3  # black friday\n", "replicas=4", "replicas: 4  # black friday\n"),
    ("replicas: 3  # black friday", "image.tag=x", 'replicas: 3  # black friday\nimage:\n  tag: "x"'),
    ("a: 1   \nb: 2\n", "a=2", "a: 2   \nb: 2\n"),
    ("a:\n  b: 1\n  c: 2 # x\n\n# end\nz: 1\n", "a.d=3", "a:\n  b: 1\n  c: 2 # x\n  d: 3\n\n# end\nz: 1\n"),
    ("a:\n    b: 1\n", "c.d=3", "a:\n    b: 1\nc:\n    d: 3\n"),
    ("env: {}\nb: 1\n", "env.A=x", 'env:\n  A: "x"\nb: 1\n'),
    ("env: {} # none\nb: 1\n", "env.A=x", 'env: # none\n  A: "x"\nb: 1\n'),
    ("env: # none\nb: 1\n", "env.A=x", 'env: # none\n  A: "x"\nb: 1\n'),
    ("env:\nb: 1\n", "env.A=x", 'env:\n  A: "x"\nb: 1\n'),
    ("env: ~\nb: 1\n", "env.A=x", 'env:\n  A: "x"\nb: 1\n'),
    ("a:\n  b: {}\n  c: 1\n", "a.b.c.d=x", 'a:\n  b:\n    c:\n      d: "x"\n  c: 1\n'),
    ("a: {b: 1}\n", "a.c=2", "a: {b: 1, c: 2}\n"),
    ("a: {b: {}}\n", "a.b.c=2", "a: {b: {c: 2}}\n"),
    ("{a: 1}\n", "b=2", "{a: 1, b: 2}\n"),
    ("a: {\n  b: 1,\n  c: 2, # d\n}\n", "a.d=3", "a: {\n  b: 1,\n  c: 2, d: 3, # d\n}\n"),
    ("a: [1, 2]\n", "a[0]=5", "a: [5, 2]\n"),
    ("a: [1, 2]\n", "a[2]=5", "a: [1, 2, 5]\n"),
    ("a:\n- x\n- y\n", "a[1]=z", "a:\n- x\n- z\n"),
    ("a:\n- x\n- y\n", "a[2].b=z", 'a:\n- x\n- y\n- b: "z"\n'),
    ("a:\n  - x: 1 # q\n    y: 2\n  - x: 3\n", "a[0].z=5", "a:\n  - x: 1 # q\n    y: 2\n    z: 5\n  - x: 3\n"),
    ("a: []\n", "a[0]=x", 'a:\n  - "x"\n'),
    ("a:\n", "a[0].b=x", 'a:\n  - b: "x"\n'),
    ("a:\n  - \n", "a[0].b=x", 'a:\n  - {b: "x"} \n'),
    ("a:\n  - - 1\n    - 2\n", "a[0][1]=4", "a:\n  - - 1\n    - 4\n"),
    ("a: 'x'\n", "a=isn't", "a: 'isn''t'\n"),
    ('a: "x"\n', "a=y", 'a: "y"\n'),
    ("a: x\n", "a=z", "a: z\n"),
    ("tag: abc\n", "tag=12345e2", 'tag: "12345e2"\n'),
    ("tag: abc\n", "tag=8d02e11", "tag: 8d02e11\n"),
    ("image: acme/web:1.2\n", "image=acme/web:1.3", "image: acme/web:1.3\n"),
    ("{image: x}\n", "image=acme/web:1.3", '{image: "acme/web:1.3"}\n'),
    ("é: ☃ # 😀\nb: 2\n", "é=ü", "é: ü # 😀\nb: 2\n"),
    ("é: ☃ # 😀\nb: 2\n", "b=3", "é: ☃ # 😀\nb: 3\n"),
    ("a: |\n  x\n  y\n\n# c\nb: 1\n", "a=q", 'a: "q"\n\n# c\nb: 1\n'),
    ("a: |\n  x\n", "b=1", "a: |\n  x\nb: 1\n"),
    ("a: |+\n  x\n\n", "b=1", "a: |+\n  x\n\nb: 1\n"),
    ("a: |\n    x\n", 'a="p\\nq\\n"', "a: |\n    p\n    q\n"),
    ("a: x\n  y\n  z\nb: 1\n", "a=q", "a: q\nb: 1\n"),
    ('a: "x\n  y"\n', "a=q", 'a: "q"\n'),
    ("a: &x 1\n", "a=2", "a: &x 2\n"),
    ("a: &x 1\nb: *x\n", "b=2", "a: &x 1\nb: 2\n"),
    ("a: &x 1\nb: *x\n", "c=2", "a: &x 1\nb: *x\nc: 2\n"),
    ("a: &x {c: 1}\nb:\n  <<: *x\n  d: 1\n", "b.c=2", "a: &x {c: 1}\nb:\n  <<: *x\n  d: 1\n  c: 2\n"),
    ("a.b: 1\n", r"a\.b=2", "a.b: 2\n"),
    ("? a\n: b\n", "a=c", "? a\n: c\n"),
    ("a:\n\n  b: 1\n\n\n", "a.c=1", "a:\n\n  b: 1\n  c: 1\n\n\n"),
    ("x: 1\n", "on=1", 'x: 1\n"on": 1\n'),
    ("x: 1\n", "y=", 'x: 1\n"y": ""\n'),
    ("x: 1\n", "a=on", 'x: 1\na: "on"\n'),
    ("x: 1\n", "a='1'", 'x: 1\na: "1"\n'),
    ("x: 1\n", "a=null", "x: 1\na: null\n"),
    ("x: 1\n", "x=true", "x: true\n"),
    ("x: ''\n", "x=5", "x: 5\n"),
]
REMOVED = [
    ("a: 1\n", "a-", "{}\n"),
    ("# x\na: 1 # y\n# z\n", "a-", "# x\n{} # y\n# z\n"),
    ("a: 1\nb: 2", "b-", "a: 1"),
    ("a: 1\nb: 2", "a-", "b: 2"),
    ("a:\n  b: 1\nc: 2\n", "a.b-", "a: {}\nc: 2\n"),
    ("a: # q\n  # w\n  b: 1\nc: 2\n", "a.b-", "a: # q\n  # w\n  {}\nc: 2\n"),
    ("a:\n  b: 1", "a.b-", "a: {}"),
    ("{a: 1, b: 2}\n", "a-", "{b: 2}\n"),
    ("{a: 1, b: 2}\n", "b-", "{a: 1}\n"),
    ("{a: 1}\n", "a-", "{}\n"),
    ("a: {\n  b: 1,\n  c: 2, # d\n}\n", "a.c-", "a: {\n  b: 1, # d\n}\n"),
    ("a: [1, 2]\n", "a[0]-", "a: [2]\n"),
    ("a:\n  - x\n  - y # q\nb: 1\n", "a[1]-", "a:\n  - x\nb: 1\n"),
    ("a:\n  - x: 1\n    y: 2\n", "a[0].x-", "a:\n  - y: 2\n"),
    ("a:\n  - x: 1\n", "a[0].x-", "a:\n  - {}\n"),
    ("a:\n  - x: 1\n", "a[0]-", "a: []\n"),
    ("a: >-\n  x\n  y\nb: 1\n", "a-", "b: 1\n"),
    ("a: 1\n", "b-", "a: 1\n"),
    ("a:\n  - - 1\n    - 2\n", "a[0][0]-", "a:\n  - - 2\n"),
]


@pytest.mark.parametrize(("text", "change", "expected"), SET + REMOVED)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_edit_touches_its_key_and_nothing_else(text: str, change: str, expected: str, line_end: str) -> None:
    before, after = text.replace("\n", line_end), expected.replace("\n", line_end)
    if "|" in text and line_end == "\r\n" and "\\n" in change:
        assert read("f", edit(before, change).encode()).data == read("f", expected.encode()).data
        return
    if "\n" not in before:
        after = expected  # nothing there says how lines end
    assert after == edit(before, change)
    assert hunks(before, after) <= 1


@pytest.mark.parametrize(
    ("text", "change", "reason"),
    [
        ("a: 1\n", "a.b=2", "a is a value, so it has no b"),
        ("a: {b: 1}\n", "a=2", "a is a mapping, not a single value"),
        ("a: [1]\n", "a=2", "a is a list, not a single value"),
        ("a: [1, 2]\n", "a[5]=5", r"a has 2 items: the next one is \[2\]"),
        ("a: [1]\n", "a.b=5", "a is a list: its items are named"),
        ("a: {b: 1}\n", "a[0]=5", r"a is a mapping, so it has no item 0"),
        ("b: 1\n", "a[3]=5", r"a new list begins with \[0\], not \[3\]"),
        ("a: &x 1\nb: *x\n", "a=2", "a: the edit would change other keys too"),
        ("a: &x {c: 1}\nb: *x\n", "b.c=2", "b is an alias of another key"),
        ("a: &x {c: 1}\nb: *x\n", "a.c=2", "a.c: the edit would change other keys too"),
        ("a: !!str 1\n", "a=2", "a has an explicit tag"),
        ("? a\n: b\n", "a-", "a cannot be edited in place here"),
        ("- a\n", "b=1", "a mapping of keys is expected here"),
        ("a: 1\na: 2\n", "a=3", "duplicate key"),
    ],
)
def test_what_cannot_be_edited_in_place_is_refused(text: str, change: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        edit(text, change)


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", ".a=1", "[0]=1", "a[x]=1", "a={}", "a=[1]", "a=&b c", "a=*b", "a=!t x", "a=x\x1b"])
def test_what_is_no_edit_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_edit(text)


def test_an_equals_sign_in_a_value_belongs_to_it() -> None:
    assert Edit("a.b", "c=d") == parse_edit("a.b=c=d")


def test_several_edits_are_applied_in_order() -> None:
    assert "a: 3\nb:\n  c: 2\n" == edit("a: 1\n", "b.c=2", "a=2", "a=3")


def test_a_key_that_changed_since_it_was_shown_is_a_conflict_naming_both() -> None:
    shown = lookup(read("v.yaml", b"a: 1\nb: 1\n"), ("a",))
    change = Edit("a", 5, was=shown)
    assert b"a: 5\nb: 2\n" == edited("v.yaml", b"a: 1\nb: 2\n", [change])
    assert b"a: 5\n" == edited("v.yaml", b"a: 5\n", [change])
    with pytest.raises(Conflict, match="they set it to 7, you wanted to set it to 5"):
        edited("v.yaml", b"a: 7\n", [change])
    with pytest.raises(Conflict, match="they removed it"):
        edited("v.yaml", b"b: 7\n", [change])
    assert Was(absent=True) == lookup(read("v.yaml", b"b: 1\n"), ("a",))


def test_a_new_key_goes_to_its_place_in_the_order_of_the_format() -> None:
    order = ("kind", "order", "paused", "argocd")
    before = b"kind: x # k\norder: 1\n# about argocd\nargocd: {}\n"
    after = spliced("f.yaml", before, [(("paused",), {"reason": "load"}, False)], order=order)
    assert b'kind: x # k\norder: 1\n# about argocd\npaused: {reason: "load"}\nargocd: {}\n' == after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1]\n", 'a: ["x"]\n'),
        ("a:\n  - 1 # q\n  - 2\nb: 1\n", 'a: ["x"]\nb: 1\n'),
        ("a: # why\n  - 1\nb: 1\n", 'a: ["x"] # why\nb: 1\n'),
        ("a:\nb: 1\n", 'a: ["x"]\nb: 1\n'),
        ("b: 1\n", 'b: 1\na: ["x"]\n'),
    ],
)
def test_a_list_is_written_on_one_line_in_the_place_of_another(text: str, expected: str) -> None:
    assert expected == spliced("f.yaml", text.encode(), [(("a",), ["x"], False)]).decode()


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x17E, exclude_categories=("C", "Zs")), min_size=1, max_size=6)


@given(WORDS, st.lists(WORDS | st.integers(0, 99), max_size=3))
def test_a_key_path_is_typed_as_it_is_read(first: str, more: list[str | int]) -> None:
    assert (first, *more) == parse_key(key_text((first, *more)))


# Any values file in any style, any edit: what is read afterwards is what was wanted, and no other line moved.

WORD = st.sampled_from(["a", "b", "cc", "replicas", "env", "on", "x.y", "é", "1"])
TEXT = st.sampled_from(["x", "it's", 'q"q', "8d02e11", "1e3", "yes", "", "a: b", "#no", "ü ☃", "two\nlines\n", "null", " pad "])
LEAF = st.none() | st.booleans() | st.integers(-5, 5) | TEXT
DATA = st.dictionaries(
    WORD, st.recursive(LEAF, lambda i: st.lists(i, max_size=3) | st.dictionaries(WORD, i, max_size=3), max_leaves=6), max_size=4
)


@st.composite
def written(draw: st.DrawFn) -> str:
    """A values file as some person or tool would write it."""
    data = draw(DATA)
    text = yaml.safe_dump(
        data,
        default_flow_style=draw(st.sampled_from([None, False, True])),
        default_style=draw(st.sampled_from([None, '"', "'"])),
        indent=draw(st.sampled_from([2, 4])),
        allow_unicode=draw(st.booleans()),
        explicit_start=draw(st.booleans()),
        sort_keys=False,
        width=draw(st.sampled_from([20, 200])),
    )
    lines = []
    for line in text.split("\n"):
        if draw(st.booleans()) and draw(st.booleans()) and not line.startswith((" ", "-")) and '"' not in text and "'" not in text:
            lines.append("# a comment")
        lines.append(line)
    text = "\n".join(lines)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def paths_in(data: Any, above: KeyPath = ()) -> list[KeyPath]:
    found: list[KeyPath] = []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        found += [(*above, step), *paths_in(value, (*above, step))]
    return found


@given(written(), st.data())
def test_any_edit_of_any_file_gives_what_was_wanted_in_one_hunk(helm_reads: HelmReads, text: str, data: st.DataObject) -> None:
    try:
        document = read("v.yaml", text.encode())
    except Invalid:
        assume(False)
    before = document.data or {}
    there = paths_in(before)
    new = tuple(data.draw(st.lists(WORD, min_size=1, max_size=3)))
    steps = data.draw(st.sampled_from([*there, new]))
    removes = data.draw(st.booleans())
    value = None if removes else data.draw(LEAF)
    try:
        after = spliced("v.yaml", text.encode(), [(steps, value, removes)]).decode()
    except Invalid as refusal:
        assert any(
            word in refusal.message for word in ("not a single value", "so it has no", "is a list", "edited in place", "explicit tag")
        )
        return
    found = read("v.yaml", after.encode()).data or {}
    if removes:
        assert steps not in paths_in(found) or isinstance(steps[-1], int)
    else:
        assert same(lookup(read("v.yaml", after.encode()), steps).value, value)
    kept = [path for path in there if path[: len(steps)] != steps and steps[: len(path)] != path and not isinstance(steps[-1], int)]
    assert all(same(lookup(document, path).value, lookup(read("v.yaml", after.encode()), path).value) for path in kept)
    assert hunks(text, after) <= 1
    assert "\n" not in after.replace("\r\n", "") if "\r\n" in text else "\r" not in after
    assert same(helm_reads(after), found)
    assert after == spliced("v.yaml", after.encode(), [(steps, value, removes)]).decode() or isinstance(steps[-1], int)
