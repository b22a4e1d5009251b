"""A read-only endpoint refuses before anything is sent."""

import pytest

from backends.argocd.endpoint import Endpoint
from backends.argocd.http import connect
from backends.domain.ids import AppKey
from backends.errors import Refused

KEY = AppKey("argocd", "web")


@pytest.mark.parametrize(
    "ask",
    [
        lambda argocd: argocd.sync(KEY),
        lambda argocd: argocd.terminate(KEY),
        lambda argocd: argocd.get_application(KEY, refresh="normal"),
        lambda argocd: argocd.create_project({"metadata": {"name": "x"}}),
        lambda argocd: argocd.delete_application(KEY),
    ],
)
async def test_what_changes_something_is_refused(ask) -> None:
    argocd = connect(Endpoint(url="http://127.0.0.1:9", readonly=True))  # nothing listens on the discard port: sending would fail otherwise
    with pytest.raises(Refused, match="read-only"):
        await ask(argocd)
    await argocd.close()
