"""Label selectors as feeds use them."""

import pytest

from backends.errors import Invalid
from backends.live.selector import one_of, parse

LABELS = {"tiphys.dev/workspace": "w1", "tiphys.dev/environment": "prod", "team": "a"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("team=a", True),
        ("team==a", True),
        ("team=b", False),
        ("team!=b", True),
        ("absent!=b", True),
        ("team", True),
        ("absent", False),
        ("!absent", True),
        ("!team", False),
        ("tiphys.dev/environment in (dev, prod)", True),
        ("tiphys.dev/environment notin (dev, prod)", False),
        ("tiphys.dev/workspace=w1,tiphys.dev/environment in (prod)", True),
        ("tiphys.dev/workspace=w2,tiphys.dev/environment in (prod)", False),
        ("tiphys.dev/workspace!=w1", False),
    ],
)
def test_a_selector_matches_as_kubernetes_does(selector: str, expected: bool) -> None:
    assert expected == parse(selector)(LABELS)


@pytest.mark.parametrize("selector", ["a=(", "=x", "a in b", "a,,b"])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(Invalid):
        parse(selector)


def test_one_of_several_values_reads_back() -> None:
    assert ["a=x", "a in (x,y)"] == [one_of("a", {"x"}), one_of("a", {"y", "x"})]
    assert parse(one_of("a", {"y", "x"}))({"a": "y"})
