"""Whatever happens to the connection and meanwhile to the Applications: within a list of the server's return the store is its truth."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.domain.rollout import FeedState
from backends.errors import Unavailable
from backends.live.feeds import ApplicationsFeed
from backends.live.store import Store
from tests.live.fake import FakeArgoCD
from tests.live.samples import application, key
from tests.live.test_feeds import SELECTOR, out_of_sync, play, seen, truth
from tests.live.test_store_properties import faces

NAMES = ("a", "b", "c", "d")
moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("change", "create", "delete", "vanish")), st.sampled_from(NAMES)),
        st.tuples(st.sampled_from(("end", "break", "away", "back", "lossy", "lossless", "mute", "talk")), st.just("")),
        st.tuples(st.just("wait"), st.sampled_from(("0.01", "0.3", "4", "40", "200"))),
    ),
    max_size=25,
)


def act(argocd: FakeArgoCD, what: str, name: str) -> None:
    known = key(name) in argocd.truth
    match what:
        case "change" if known:
            argocd.change(out_of_sync(argocd.truth[key(name)]))
        case "create" if not known:
            argocd.change(application(name, uid=f"{name}-{argocd.version}"))
        case "delete" | "vanish" if known:
            argocd.delete(key(name), told=what == "delete")
        case "end":
            argocd.cut()
        case "break":
            argocd.restart()
        case "away":
            argocd.refusing = Unavailable("nobody listens")
            argocd.cut()
        case "back":
            argocd.refusing = None
        case "lossy" | "lossless":
            argocd.lossy = what == "lossy"
        case "mute" | "talk":
            argocd.keepalive = None if what == "mute" else 15.0


@settings(max_examples=100)
@given(moves)
def test_the_store_ends_equal_to_the_truth(history: list[tuple[str, str]]) -> None:
    argocd = FakeArgoCD(application("a", version=1), application("foreign", version=2, labels={}))

    async def scenario(argocd: FakeArgoCD, store: Store, feed: ApplicationsFeed) -> None:
        for what, name in history:
            if what == "wait":
                await asyncio.sleep(float(name))
            else:
                act(argocd, what, name)
        argocd.refusing, argocd.lossy, argocd.keepalive = None, False, 15.0
        await asyncio.sleep(240)
        assert FeedState.LIVE is feed.status.state
        assert faces(truth(argocd)) == faces(seen(store))

    play(argocd, scenario, SELECTOR)
