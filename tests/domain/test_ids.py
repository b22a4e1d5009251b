"""What may name a thing, and what may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.domain import ids
from backends.errors import Invalid


@pytest.mark.parametrize("slug", ["web", "shop-api", "a", "a1", "x" * 40])
def test_a_slug_is_accepted(slug: str) -> None:
    assert slug == ids.parse_slug(slug)


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "A", "1a", "a--b", "on", "null", "yes", "a_b", "a.b", "x" * 41, "a\n", "ä", "--upload-pack=x"]
)
def test_a_slug_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not a usable environment"):
        ids.parse_slug(text, "environment")


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True), st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True))
def test_a_minted_id_fits_everything_that_carries_it(app: str, environment: str) -> None:
    minted = ids.mint_deployment_id(app, environment, taken=lambda _id: False)
    assert len(minted) <= 40
    assert minted == ids.parse_deployment_id(minted)


def test_an_id_that_was_ever_used_is_not_minted_again() -> None:
    seen: list[str] = []

    def taken(candidate: str) -> bool:
        seen.append(candidate)
        return len(seen) < 3

    minted = ids.mint_deployment_id("web", "prod", taken)
    assert [3, minted] == [len(seen), seen[-1]]


def test_change_ids_sort_by_time_and_differ() -> None:
    minted = [ids.mint_change_id() for _ in range(50)]
    assert len(set(minted)) == 50
    assert all(len(one) == 26 for one in minted)
    assert minted[0][:8] <= minted[-1][:8]


@pytest.mark.parametrize("text", ["main", "8d02e11", "A" * 40, "a" * 41, ""])
def test_only_a_full_commit_id_is_one(text: str) -> None:
    assert not ids.is_sha(text)
    with pytest.raises(Invalid):
        ids.parse_sha(text)
