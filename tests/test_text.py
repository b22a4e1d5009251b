"""Other people's text is harmless and nothing of it vanishes silently."""

import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.text import REPLACEMENT, clean, clean_json, clean_lines, clean_values, is_one_line

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x9b31mC1",
    "safe\u202egnp.exe",
    "zero\u200bwidth",
    "tag\U000e0041s",
    "a\x00b",
    "line\u2028separator",
    "\ud800",
    "soft\u00adhyphen",
    "\ufeffbom",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hidden_character_is_replaced_where_it_stood(text: str) -> None:
    shown = clean(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in shown)
    assert REPLACEMENT in shown or " " in shown


@given(st.text() | st.binary())
def test_any_text_becomes_one_visible_line(text: str | bytes) -> None:
    shown = clean(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in shown)
    assert shown == clean(shown)


@given(st.text())
def test_lines_are_split_at_line_ends_alone(text: str) -> None:
    lines = clean_lines(text)
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert len(lines) == len([*text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]) - (1 if not text or text[-1] in "\r\n" else 0)


def test_plain_words_stay_as_they_are() -> None:
    assert "deploy(shop-api → prod): größer 日本語 e\u0301" == clean("deploy(shop-api → prod): größer 日本語 e\u0301")


def test_markup_is_text() -> None:
    assert "[/x] [bold]" == clean("[/x] [bold]")


def test_line_breaks_and_tabs_become_single_spaces() -> None:
    assert "one two three" == clean("one\r\n\ttwo\x0bthree")


def test_invalid_utf8_is_shown_as_replaced() -> None:
    assert f"a{REPLACEMENT}b" == clean(b"a\xffb")


def test_a_megabyte_of_one_line_is_cut_and_counted() -> None:
    shown = clean("x" * 1_000_000)
    assert shown.endswith("… (+996,000 characters)")
    assert len(shown) < 4_100


def test_tabs_keep_their_columns_in_lines() -> None:
    assert ("a       b", "") == clean_lines("a\tb\n\n")


@pytest.mark.parametrize(
    ("text", "answer"), [("black friday", True), ("größer", True), ("a\nb", False), ("a\rb", False), ("\x1b[0m", False)]
)
def test_one_line_means_no_control(text: str, answer: bool) -> None:
    assert answer is is_one_line(text)


@given(
    st.recursive(
        st.text(st.characters(exclude_categories=["Cs"])) | st.none() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
        max_leaves=8,
    )
)
def test_cleaned_json_is_json_whose_texts_are_safe_and_plain_ones_unchanged(value: object) -> None:
    text = clean_json(msgspec.json.encode(value).decode())

    assert text == clean(text, limit=len(text))
    read = json.loads(text)
    assert [] == [one for one in _texts(read) if one.replace("\n", "").replace("\t", "") != clean(one.replace("\n", "").replace("\t", ""))]
    if all(is_one_line(one) for one in _texts(value)):
        assert value == read
        assert value == clean_values(value)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in _texts(part)]


def test_an_escaped_backslash_begins_no_escape() -> None:
    assert '{"a":"\\\\u001b \\" \\n � �"}' == clean_json('{"a":"\\\\u001b \\" \\n \\u001b \\u009B"}')
