"""The tree of an Application as a table: owners above what they own, every node once, whatever the server says of owners."""

from typing import Any

from tui.cli.look import indented


def node(name: str, parent: str | None = None, uid: str | None = None) -> dict[str, Any]:
    return {"uid": name if uid is None else uid, "parent": parent, "kind": "K", "name": name, "wave": None}


def drawn(*nodes: dict[str, Any]) -> list[str]:
    return [row["resource"] for row in indented(list(nodes))]


def test_owners_stand_above_what_they_own() -> None:
    assert ["K a", "├ K b", "│ └ K d", "└ K c", "K e"] == drawn(node("e"), node("d", "b"), node("c", "a"), node("b", "a"), node("a"))


def test_an_owner_that_is_not_there_leaves_a_node_at_the_top() -> None:
    assert ["K a"] == drawn(node("a", "gone"))


def test_nodes_that_own_each_other_or_themselves_are_shown_once() -> None:
    assert ["K a", "└ K b", "K c"] == drawn(node("a", "b"), node("b", "a"), node("c", "c"))


def test_a_long_chain_of_owners_is_drawn() -> None:
    nodes = [node("0"), *(node(str(number), str(number - 1)) for number in range(1, 3_000))]

    assert 3_000 == len(drawn(*nodes))


def test_ids_that_many_share_multiply_nothing() -> None:
    nodes = [node(f"{depth}-{copy}", str(depth - 1) if depth else None, str(depth)) for depth in range(60) for copy in range(2)]

    assert 120 == len(drawn(*nodes))


def test_nodes_without_an_id_are_shown() -> None:
    assert ["K a", "K b"] == drawn(node("a", uid=""), node("b", uid=""))
