"""Commit messages: what is written can be read back, wherever a merge has moved it, and nothing can be smuggled in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.domain.ids import ChangeId, mint_change_id
from backends.errors import Refused
from backends.gitops.intent import Description, Trailer
from backends.gitops.messages import read_message, write_message

CHANGE = ChangeId("01JD8Z6W4T0Q8C2V6N3M5X7Y9A")
OTHER = ChangeId("01JD8Z6W4T0Q8C2V6N3M5X7Y9B")
DEPLOY = Description(
    "deploy(web → prod): 1f3c9ab → 8d02e11",
    (Trailer("Tiphys-Op", "deploy"), Trailer("Tiphys-Deployment", "web-prod-k3x7qa"), Trailer("Tiphys-Deployment", "web-prod-e5u6aa")),
)


def test_a_message_is_a_subject_and_a_block_of_trailers() -> None:
    assert (
        "deploy(web → prod): 1f3c9ab → 8d02e11\n\n"
        "Tiphys-Op: deploy\nTiphys-Deployment: web-prod-k3x7qa\nTiphys-Deployment: web-prod-e5u6aa\n"
        "Tiphys-Reason: the fix for INC-12\nTiphys-Change: 01JD8Z6W4T0Q8C2V6N3M5X7Y9A\n"
    ) == write_message(DEPLOY, change=CHANGE, reason="the fix for INC-12")


def test_a_long_subject_is_shortened_to_72_characters() -> None:
    subject = write_message(Description("x" * 100, DEPLOY.trailers), change=CHANGE).split("\n")[0]

    assert (72, "…") == (len(subject), subject[-1])


@pytest.mark.parametrize("reason", ["two\nlines", "one line\n", "x\rTiphys-Op: delete", "esc\x1b[2J", "bidi \u202e", "ls\u2028", "\x00"])
def test_a_reason_with_line_breaks_or_controls_is_refused(reason: str) -> None:
    with pytest.raises(Refused):
        write_message(DEPLOY, change=CHANGE, reason=reason)


@pytest.mark.parametrize(
    "description",
    [
        Description("two\nlines"),
        Description(""),
        Description("Tiphys-Op: delete"),
        Description("ok", (Trailer("Tiphys-Image", "a\nTiphys-Op: delete"),)),
        Description("ok", (Trailer("Signed-off-by", "x"),)),
        Description("ok", (Trailer("Tiphys-X\nTiphys-Op", "x"),)),
        Description("ok", body="fine\nTiphys-Op: delete"),
        Description("ok", body="esc \x1b[2J"),
    ],
)
def test_words_that_could_be_misread_are_refused(description: Description) -> None:
    with pytest.raises(Refused):
        write_message(description, change=CHANGE)


def test_a_change_id_that_is_none_is_refused() -> None:
    with pytest.raises(Refused):
        write_message(DEPLOY, change=ChangeId("x\ny"))


def test_a_squash_merge_keeps_its_changes_apart() -> None:
    first = write_message(DEPLOY, change=CHANGE)
    second = write_message(Description("pause(web)", (Trailer("Tiphys-Op", "pause"), Trailer("Tiphys-Env", "prod"))), change=OTHER)
    squashed = f"Two things (#12)\n\n* {first}\n\n* {second}\n\nCo-authored-by: A <a@example.org>\n".replace("\n", "\r\n")

    changes = read_message(squashed)

    assert [("deploy", CHANGE), ("pause", OTHER)] == [(change.first("Op"), change.first("Change")) for change in changes]
    assert ("web-prod-k3x7qa", "web-prod-e5u6aa") == changes[0].all("Deployment")
    assert () == changes[1].all("Deployment")


def test_a_persons_commit_tells_of_no_change() -> None:
    assert () == read_message("Fix replicas\n\nSee Tiphys-Op: in the docs.\nTiphys-Reason: stray\n")


@given(
    subject=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), min_size=1),
    values=st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40), max_size=5),
    reason=st.text(st.characters(codec="ascii", min_codepoint=32), max_size=40),
)
def test_what_is_written_is_read_back(subject: str, values: list[str], reason: str) -> None:
    change = mint_change_id()
    trailers = (Trailer("Tiphys-Op", "deploy"), *(Trailer("Tiphys-Image", value) for value in values))
    try:
        message = write_message(Description(subject, trailers), change=change, reason=reason)
    except Refused:
        return

    (read,) = read_message(message)

    assert ("deploy", tuple(values), reason.strip(), change) == (
        read.first("Op"),
        read.all("Image"),
        read.first("Reason"),
        read.first("Change"),
    )
