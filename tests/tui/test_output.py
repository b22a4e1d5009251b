"""What reaches the terminal: tables that align, JSON that is JSON, and never a raw control byte."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from backends.errors import Invalid, NotFound
from tui.cli.output import Column, Output, age

COLUMNS = (Column("NAME", "name"), Column("STATE", "state"), Column("N", "n", right=True), Column("MORE", "more", wide=True))
ITEMS = [{"name": "web", "state": "Live", "n": 3, "more": "x"}, {"name": "日本", "state": None, "n": 12, "more": None}]


def test_a_table_aligns_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    Output().listing(ITEMS, COLUMNS)
    assert ["NAME  STATE   N", "web   Live    3", "日本  –      12"] == capsys.readouterr().out.splitlines()


def test_wide_shows_more_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Output(form="wide").listing(ITEMS, COLUMNS)
    assert "NAME  STATE   N  MORE" == capsys.readouterr().out.splitlines()[0]


def test_json_holds_items_and_feeds(capsys: pytest.CaptureFixture[str]) -> None:
    Output(form="json").listing(ITEMS, COLUMNS, [{"name": "argo", "state": "live"}])
    assert {"items": ITEMS, "feeds": [{"name": "argo", "state": "live"}]} == json.loads(capsys.readouterr().out)


def test_yaml_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    Output(form="yaml").listing(ITEMS, COLUMNS)
    assert {"items": ITEMS, "feeds": []} == yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_no_control_byte_gets_out(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(form=form, color=False)
    output.listing([{"name": "a\x1b]52;c;x\x07\x9b1m\u202e\r\nb", "state": "", "n": 1, "more": ""}], COLUMNS)
    output.note("n\x1b[2J\x9b")
    output.error(NotFound("no\x1bthing\x85", target="x\x07"))
    shown = capsys.readouterr()
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e" for c in shown.out + shown.err)


def test_colour_paints_states_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Output(color=True).listing(ITEMS[:1], COLUMNS)
    assert "web   \x1b[32mLive \x1b[0m  3" == capsys.readouterr().out.splitlines()[1]


def test_an_error_says_what_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    Output().error(Invalid("2 files do not fit", problems=["a.yaml:3:1: tab"], hint="mend them"))
    assert ["tiphys: 2 files do not fit", "  a.yaml:3:1: tab", "  hint: mend them"] == capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (59, "59s"), (119, "119s"), (120, "2m"), (3_600, "1h"), (90_000, "1d")])
def test_ages_have_one_unit(seconds: int, words: str) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert words == age(now - timedelta(seconds=seconds), now=now)


def test_an_unknown_age_is_a_dash() -> None:
    assert "–" == age(None)
