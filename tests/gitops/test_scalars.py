"""How readers type scalars, held against helm's own reading; what is written is read the same by all."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import Invalid
from backends.gitops import quoting
from backends.gitops.scalars import Kind, Typed, agreed, difference, go, is_text_everywhere, pyyaml

HelmReads = Callable[[str], Any]
TRICKY = (
    "y Y n No on OFF true True TRUE tRue null ~ NULL nan .nan .inf -.Inf 0 00 07 08 089 012345 0o17 0O17 0x10 0X10 0b11 1_000 _1 1_ "
    "1.0 1. .5 -.5 +.5 1.5e3 1e3 1e+3 12345e2 00e1234 5e3 1e10 60:30 12:30 2001-01-01 2026-11-30 20260101 9007199254740993 1e400 1.2.3 "
    "8d02e11 0c11d4e 1f3c9ab 123e45 0e7 07e1 = << v1.2 sha256:abc ._4 .09_ -08 +1"
)
PLAIN = st.text("0123456789eExXoObB_.+-:yYnNtruefalsTZ~=<in", min_size=1, max_size=7)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def read_by_pyyaml(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def held_against(helm_reads: HelmReads, text: str) -> None:
    try:
        seen = helm_reads(f"k: {text}\n")["k"]
    except Exception:  # noqa: BLE001 - not a plain scalar, or a number that JSON cannot hold
        return
    ours = go(text).value
    if isinstance(seen, int | float) and not isinstance(seen, bool):
        assert isinstance(ours, int | float)
        assert not isinstance(ours, bool)
        assert float(seen) == float(ours)
    else:
        assert (type(seen), seen) == (type(ours), ours)


@pytest.mark.parametrize("text", TRICKY.split())
def test_a_scalar_is_typed_as_helm_types_it(text: str, helm_reads: HelmReads) -> None:
    held_against(helm_reads, text)


@given(PLAIN)
def test_any_scalar_is_typed_as_helm_types_it(helm_reads: HelmReads, text: str) -> None:
    held_against(helm_reads, text)


@given(PLAIN)
def test_any_scalar_is_typed_as_pyyaml_types_it(text: str) -> None:
    try:
        seen = read_by_pyyaml(f"k: {text}\n")["k"]
    except (yaml.YAMLError, ValueError):
        return
    ours = pyyaml(text)
    if ours.kind is Kind.TIME:
        assert not isinstance(seen, str | int | float)
    elif isinstance(seen, str):
        assert Typed(Kind.STRING, seen) == ours
    else:
        assert Typed(ours.kind, seen).same(ours)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-1.5", -1.5),
        ("0x10", 16),
        ("true", True),
        ("null", None),
        ("on", "on"),
        ("yes", "yes"),
        ("12345e2", "12345e2"),
        ("1e3", "1e3"),
        ("012345", "012345"),
        ("20260101", 20260101),
        ("12:30", "12:30"),
        ("2026-11-30", "2026-11-30"),
        ("9007199254740993", "9007199254740993"),
        ("8d02e11", "8d02e11"),
        ("1_000", "1_000"),
    ],
)
def test_what_readers_do_not_agree_on_is_taken_for_text(text: str, value: object) -> None:
    assert (type(value), value) == (type(agreed(text).value), agreed(text).value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12345e2", "12345e2 is text for YAML 1.1 and a number for helm and Argo CD: quote it"),
        ("y", "y is text for YAML 1.1 and a boolean for helm and Argo CD: quote it"),
        ("12:30", "12:30 is a number for YAML 1.1 and text for helm and Argo CD: quote it"),
        ("2026-11-30", "2026-11-30 is a time for YAML 1.1 and text for helm and Argo CD: quote it"),
        ("9007199254740993", "9007199254740993 is too large a number for helm, which rounds it: quote it"),
        ("on", ""),
        ("1.0", ""),
        ("hello", ""),
        ("8d02e11", ""),
    ],
)
def test_a_difference_is_said_in_a_sentence(text: str, reason: str) -> None:
    assert reason == difference(text)


@given(TEXT)
def test_a_quoted_text_is_that_text_for_every_reader(helm_reads: HelmReads, text: str) -> None:
    written = f"k: {quoting.quoted(text)}\n"
    assert {"k": text} == read_by_pyyaml(written) == helm_reads(written)
    assert written.isprintable() or written.rstrip("\n").isprintable()


@given(TEXT)
def test_a_key_is_that_text_for_every_reader(helm_reads: HelmReads, text: str) -> None:
    written = f"{quoting.key(text)}: 1\n"
    assert {text: 1} == read_by_pyyaml(written) == helm_reads(written)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    )
)
def test_a_value_on_one_line_is_that_value_for_every_reader(helm_reads: HelmReads, value: Any) -> None:
    written = f"k: {quoting.flow(value)}\n"
    assert 1 == written.count("\n")
    assert {"k": value} == read_by_pyyaml(written) == helm_reads(written)


@given(TEXT, st.sampled_from([None, "'", '"']), st.booleans())
def test_a_text_in_the_style_that_was_there_is_still_that_text(helm_reads: HelmReads, text: str, style: str | None, in_flow: bool) -> None:
    inside = quoting.in_style(text, style, in_flow=in_flow)
    written = f"k: [{inside}, 1]\n" if in_flow else f"k: {inside}\n"
    expected = {"k": [text, 1] if in_flow else text}
    assert expected == read_by_pyyaml(written) == helm_reads(written)


@pytest.mark.parametrize("text", ["hello", "registry.example.org/acme/web:1.2", "8d02e11", "a b", "ü", "v1.2.3"])
def test_ordinary_text_stays_plain_where_it_was_plain(text: str) -> None:
    assert text == quoting.in_style(text, None)


@pytest.mark.parametrize("text", ["on", "12345e2", "1.10", "null", "~", "0x10", "a: b", "a #b", "- a", "[a", "", " a", "a ", "2026-11-30"])
def test_what_some_reader_would_take_for_something_else_is_quoted(text: str) -> None:
    assert f'"{text}"' == quoting.in_style(text, None)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(Invalid):
        quoting.quoted("\ud800")


@given(TEXT)
def test_text_everywhere_means_everywhere(text: str) -> None:
    if is_text_everywhere(text):
        assert (Typed(Kind.STRING, text), Typed(Kind.STRING, text)) == (go(text), pyyaml(text))


@pytest.mark.parametrize("text", ["9" * 100_000, "-" + "9" * 5_000 + ".5", "0x" + "f" * 5_000, "0" + "7" * 5_000, "1" + ":59" * 5_000])
def test_a_number_of_thousands_of_digits_is_told_and_not_read(text: str) -> None:
    assert difference(text).endswith("is a number for YAML 1.1 and text for helm and Argo CD: quote it")
    assert len(difference(text)) < 250
