"""A secret shows itself to nobody who did not ask for it by name."""

import copy
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from backends.secret import Secret, Unshown, basic, masked, typed_url

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "show", [str, repr, "{}".format, "{!r:>40}".format, "%s".__mod__, lambda s: f"{s:>20}", lambda s: str([s, {"k": s}])]
)
def test_turning_it_into_text_redacts(show) -> None:
    assert CANARY not in show(Secret(CANARY))


def test_a_log_line_redacts(caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tiphys").debug("token=%s %r", Secret(CANARY), Secret(CANARY))
    assert CANARY not in caplog.text


def test_a_traceback_redacts() -> None:
    def fail(token: Secret) -> None:
        raise ValueError(token)

    with pytest.raises(ValueError) as caught:
        fail(Secret(CANARY))
    assert CANARY not in "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, pickle.dumps, copy.deepcopy])
def test_it_is_not_serialised(encode) -> None:
    with pytest.raises(TypeError):
        encode(Secret(CANARY))


def test_only_reveal_gives_it_away() -> None:
    assert CANARY == Secret(CANARY).reveal()
    assert not Secret("")
    assert Secret("a") == Secret("a") != Secret("b")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("https://user:pass@host/x", "https://…@host/x"),
        ("https://token@host/x", "https://…@host/x"),
        ("https://user:with/slash@and@host/x", "https://…@host/x"),
        ("HTTPS://user:pass@host", "HTTPS://…@host"),
    ],
)
def test_a_typed_url_shows_no_user_and_no_password_and_is_whole_to_who_takes_it_apart(typed: str, shown: str) -> None:
    url = typed_url(typed)

    assert {shown} == {str(url), f"{url}", f"{url:s}", repr(url)[1:-1]}
    assert typed == "".join(url[i] for i in range(len(url)))
    assert "pass" not in repr({"repo": url})


@pytest.mark.parametrize("typed", ["https://host/x", "/srv/git@home/x.git", "git@host:x.git", ""])
def test_a_url_without_a_secret_is_plain_text(typed: str) -> None:
    assert type(typed_url(typed)) is str


def test_an_environment_is_readable_by_name_and_shown_by_no_repr() -> None:
    values = Unshown({"TOKEN": "s3cret"})

    assert ("s3cret", ["TOKEN"], 1) == (values["TOKEN"], list(values), len(values))
    assert "s3cret" not in f"{values} {values!r}"


def test_a_secret_comes_back_in_no_writing() -> None:
    secret = Secret("s3cret p/w'")
    text = f"you sent {secret.reveal()}, s3cret%20p%2Fw%27, s3cret%20p/w%27 and {basic('ada', secret).reveal()}=="

    assert "you sent •••, •••, ••• and •••==" == masked(text, [secret, basic("ada", secret)])
    assert "a 1 in a sentence" == masked("a 1 in a sentence", [Secret("1"), Secret("")])
