"""What `bootstrap` puts into Argo CD, and hands over, is this workspace's root and nothing that somebody else has slipped in."""

from typing import Any

import pytest

from backends.bootstrap import NotAllowed, bootstrap
from backends.errors import Forbidden, Invalid
from backends.gitops import files
from backends.gitops.intents import Init
from backends.gitops.tree import Tree


class Refusing:
    """An Argo CD in which we may create nothing; it notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def create_project(self, project: dict[str, Any]) -> None:
        self.asked.append(project["metadata"]["name"])
        raise Forbidden("permission denied")


def changed(**replaced: bytes) -> Tree:
    tree = Init(slug="acme", id="01M87DXC2RJBBED8CGNZG29R89", repo_url="https://git.example.org/x.git").apply(Tree.of({}))
    root = tree.read(files.ROOT) or b""
    for old, new in replaced.items():
        assert old.encode() in root
        root = root.replace(old.encode(), new)
    return tree.with_file(files.ROOT, root)


async def test_a_root_of_ours_is_handed_over_byte_for_byte() -> None:
    tree, server = changed(), Refusing()

    with pytest.raises(NotAllowed) as caught:
        await bootstrap(server, tree)  # type: ignore[arg-type]

    assert (["tiphys-acme"], tree.read(files.ROOT)) == (server.asked, caught.value.manifest)


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x85", "\u2028"])
async def test_a_root_with_hidden_characters_is_not_handed_over(hidden: str) -> None:
    with pytest.raises(Invalid, match=f"{files.ROOT}:1 holds hidden characters"):
        await bootstrap(Refusing(), changed(Applied=f"{hidden}Applied".encode()))  # type: ignore[arg-type]


async def test_a_root_of_another_name_is_put_nowhere() -> None:
    server = Refusing()

    with pytest.raises(Invalid, match=r"'payments' instead of 'tiphys-acme'"):
        await bootstrap(server, changed(**{'name: "tiphys-acme"': b'name: "payments"'}))  # type: ignore[arg-type]

    assert [] == server.asked


async def test_the_command_that_is_handed_over_is_quoted() -> None:
    namespaced = changed(**{'namespace: "argocd"': b'namespace: "argocd; rm -rf ~"'})

    with pytest.raises(NotAllowed) as caught:
        await bootstrap(Refusing(), namespaced)  # type: ignore[arg-type]

    assert caught.value.hint.endswith("kubectl apply -n 'argocd; rm -rf ~' -f -")
