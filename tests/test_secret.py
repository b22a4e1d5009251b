"""A secret shows itself to nobody who did not ask for it by name."""

import copy
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from backends.secret import Secret

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
