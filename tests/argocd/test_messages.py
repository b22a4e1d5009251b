"""The stream parser: the same messages, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.argocd import messages
from backends.argocd.messages import Messages
from backends.errors import ProtocolError

TEXTS = st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=40)
PARTS = st.lists(st.one_of(st.none(), TEXTS), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def written(parts: list[str | None], end: str) -> bytes:
    """A stream of keep-alives (None) and messages, as a server writes it."""
    return "".join(f":{end}" if part is None else f'data: {{"x":"{part}"}} {end}{end}{end}' for part in parts).encode()


def read(data: bytes, cuts: list[int]) -> list[bytes | None]:
    parser, found = Messages(), list[bytes | None]()
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, stop in pairwise(borders):
        found += parser.feed(data[start:stop])
    return found


@given(PARTS, ENDS, st.lists(st.integers(min_value=0), max_size=30))
def test_any_chunking_gives_the_same_messages(parts: list[str | None], end: str, cuts: list[int]) -> None:
    data = written(parts, end) + b"\n"  # a lone CR at the very end may be half of CRLF, so it waits for the next byte
    wanted = [None if part is None else f'{{"x":"{part}"}}'.encode() for part in parts]

    assert wanted == read(data, [])
    assert wanted == read(data, cuts)
    assert wanted == read(data, list(range(len(data))))


def test_a_keep_alive_is_told_at_once() -> None:
    assert [None] == Messages().feed(b":\n")


def test_a_message_is_told_with_its_blank_line_and_not_before() -> None:
    parser = Messages()
    assert [] == parser.feed(b'data: {"a":1} ')
    assert [] == parser.feed(b"\n")
    assert [b'{"a":1}'] == parser.feed(b"\n")


def test_lines_of_bare_json_are_messages_too() -> None:
    assert [b'{"a":1}', b'{"b":2}'] == Messages().feed(b'{"a":1}\n{"b":2}\n')


def test_fields_that_argo_cd_never_sends_are_passed_over() -> None:
    assert [b"{}"] == Messages().feed(b"event: x\nid: 4\nretry: 10\ndata: {}\n\n")


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (b"", b""),
        (b":\n", b""),
        (b":", b""),
        (b'{"error":{"message":"x"}}', b'{"error":{"message":"x"}}'),
        (b'data: {"error":{}} ', b'{"error":{}}'),
        (b'data: {"result":', b'{"result":'),
        (b'data: {"result":{}} \n', b'{"result":{}}'),
    ],
)
def test_what_stands_unfinished_at_the_end_is_kept(data: bytes, rest: bytes) -> None:
    parser = Messages()
    parser.feed(data)
    assert rest == parser.finish()


def test_a_megabyte_in_one_line_is_a_message() -> None:
    data = b'data: {"x":"' + b"a" * 1_000_000 + b'"}\n\n'
    parser, found = Messages(), list[bytes | None]()
    for start in range(0, len(data), 4096):
        found += parser.feed(data[start : start + 4096])
    assert [data[6:-2]] == found


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LONGEST", 1000)
    parser = Messages()
    parser.feed(b"x" * 900)
    with pytest.raises(ProtocolError, match="longer than"):
        parser.feed(b"x" * 200)


def test_endless_data_lines_of_one_message_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LONGEST", 1000)
    parser = Messages()
    for _ in range(15):
        parser.feed(b"data: " + b"x" * 50 + b"\n")
    with pytest.raises(ProtocolError, match="longer than"):
        parser.feed(b"data: " + b"x" * 500 + b"\n")
