"""What changes between two renderings, and what is never shown of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.argocd.types import ResourceDiff
from backends.render.diff import Change, ObjectDiff, compare, compare_live, mask_secrets
from backends.render.hunks import Hunk, LineKind, hunks
from backends.render.manifests import Reader
from backends.render.normal import Masks, lines
from backends.render.types import Rendered
from tests.render.charts import config_map


def rendered(*texts: str) -> Rendered:
    return Rendered(manifests=tuple(one for text in texts for one in Reader().read(text, "a.yaml")))


def shown(found: tuple[ObjectDiff, ...]) -> list[str]:
    return [line.kind + line.text for one in found for hunk in one.hunks for line in hunk.lines]


def secret(data: str, more: str = "") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s{more}}}\n{data}"


def test_objects_are_added_changed_and_removed_each_with_its_lines() -> None:
    before = rendered(config_map("kept"), config_map("gone"), config_map("web", "{a: x, b: y}"))
    after = rendered(
        config_map("web", "{b: z, a: x}"), config_map("kept"), config_map("new", annotations="{argocd.argoproj.io/hook: PreSync}")
    )
    found = compare(before, after)
    assert [(Change.CHANGED, "web", ""), (Change.ADDED, "new", "PreSync"), (Change.REMOVED, "gone", "")] == [
        (one.change, one.name, one.hook) for one in found
    ]
    assert ["-  b: y", "+  b: z"] == [line for line in shown(found[:1]) if line[0] != " "]
    assert (1, 1) == (found[0].added, found[0].removed)
    assert {LineKind.ADDED} == {line.kind for line in found[1].hunks[0].lines}
    assert (0, 1) == (found[1].hunks[0].before, found[1].hunks[0].after)


def test_the_same_content_written_otherwise_is_no_change() -> None:
    one = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {text: \'plain words\', url: "https://x.example/a", "k": v}\n'
    other = (
        "# comment\nkind: ConfigMap\napiVersion: v1\ndata:\n  k: v\n  url: https://x.example/a\n  text: plain words\nmetadata:\n  name: a\n"
    )
    assert () == compare(rendered(one), rendered(other))
    assert () == compare(
        rendered(one),
        rendered(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "a"},
                    "data": {"text": "plain words", "url": "https://x.example/a", "k": "v"},
                }
            )
        ),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("8080", "'8080'"), ("true", "'true'"), ("y", "'y'"), ("1e3", "'1e3'"), ("[a, b]", "[b, a]"), ("null", "''"), ("010", "8")],
)
def test_what_may_mean_something_else_is_a_change(one: str, other: str) -> None:
    assert 1 == len(compare(rendered(config_map("a", f"{{k: {one}}}")), rendered(config_map("a", f"{{k: {other}}}"))))


def test_texts_of_several_lines_change_by_line() -> None:
    before = config_map("a", '{conf: "one\\ntwo\\nthree\\n"}')
    assert ["-    two", "+    2"] == [
        line for line in shown(compare(rendered(before), rendered(before.replace("two", "2")))) if line[0] != " "
    ]


def test_a_new_version_of_a_group_is_the_same_object_another_group_is_not() -> None:
    before = rendered("apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\n")
    assert ["changed"] == [one.change for one in compare(before, rendered("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"))]
    assert ["added", "removed"] == [
        one.change for one in compare(before, rendered("apiVersion: extensions/v1\nkind: Deployment\nmetadata: {name: a}\n"))
    ]


def test_of_an_object_that_is_there_twice_the_last_one_counts() -> None:
    assert () == compare(rendered(config_map("a", "{x: old}"), config_map("a")), rendered(config_map("a")))


def test_a_changed_secret_shows_that_it_changed_and_nothing_more() -> None:
    before = secret("data: {same: c2FtZQ==, password: aHVudGVyMg==, gone: eA==}\n")
    after = secret("data: {same: c2FtZQ==, password: bG9uZ2VyLXBhc3N3b3Jk, new: eA==}\nstringData: {token: hunter3}\n")
    assert [
        "   apiVersion: v1"[2:],
        " data:",
        "-  gone: •••",
        "-  password: •••",
        "+  new: •••",
        "+  password: ••• (2)",
        "   same: •••",
        " kind: Secret",
        " metadata:",
        "   name: s",
        "+stringData:",
        "+  token: •••",
    ] == shown(compare(rendered(before), rendered(after)))


@pytest.mark.parametrize(
    "text",
    [
        secret("data: {p: CANARY}\n"),
        secret("data:\n  p: |\n    CANARY\n    more\n"),
        secret("stringData: {p: CANARY}\ndata: CANARY\n"),
        secret("data: [CANARY, {x: CANARY}]\n"),
        secret("data: {p: {deep: [CANARY]}}\n"),
        secret("data: {a: b}\ndata: {p: CANARY}\n"),
        secret("x: &x {data: {p: CANARY}}\n<<: *x\n").replace("x: &x", "data: &x"),
        secret("<<: {data: {p: CANARY}}\n"),
        secret("<<: [{stringData: {<<: {p: CANARY}}}]\n"),
        secret("data: {<<: [{p: CANARY}, {q: CANARY}]}\n"),
        "apiVersion: v1\nmetadata: {name: s}\n<<: {kind: Secret}\ndata: {p: CANARY}\n",
        "apiVersion: v1\nkind: ConfigMap\nkind: Secret\ndata: {p: CANARY}\n",
        'apiVersion: v1\n"kind": "Secret"\n"data": {"p": "CANARY"}\n',
        "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  data: {p: CANARY}\n",
        "apiVersion: x/v1\nkind: Template\nspec: {objects: [{kind: Secret, stringData: {p: CANARY}}]}\n",
        secret("", ', annotations: {kubectl.kubernetes.io/last-applied-configuration: \'{"data":{"p":"CANARY"}}\'}'),
        secret("data: {p: CANARY\n"),
        "apiVersion: v1\nkind: !!binary U2VjcmV0\ndata: {p: CANARY}\n",
        "apiVersion: v1\n!!binary a2luZA==: Secret\ndata: {p: CANARY}\n",
        "apiVersion: v1\nkind: ConfigMap\n...\n---\nkind: Secret\ndata: {p: CANARY}\n",
        "kind: Secret\n\tdata: CANARY\n",
        json.dumps({"kind": "Secret", "data": {"p": "CANARY"}}),
        '{"kind": "Secret", "data": {"p\\/q": "CANARY\\/x\\ud83d\\ude00"}}',
    ],
)
def test_no_writing_of_a_secret_shows_its_data(text: str) -> None:
    assert "CANARY" not in mask_secrets(text)
    assert "•••" in mask_secrets(text)


@given(
    st.dictionaries(st.text("abc.", min_size=1, max_size=5), st.text("XYZÄ€=", min_size=1), min_size=1),
    st.sampled_from(["data", "stringData"]),
)
def test_a_mask_tells_neither_value_nor_length(data: dict[str, str], field: str) -> None:
    text = mask_secrets(json.dumps({"apiVersion": "v1", "kind": "Secret", field: data}))
    assert all(value not in text for value in data.values())
    assert {"•••"} == {line.partition(": ")[2] for line in text.splitlines() if line.startswith("  ")}


def test_what_is_no_secret_is_shown_whole() -> None:
    assert "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  annotations: {}\n  name: a\n" == mask_secrets(
        config_map("a", "{a: b}")
    )


def test_an_object_that_is_endless_by_aliases_is_not_written_out() -> None:
    laugh = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    endless = config_map("a") + laugh
    assert "••• not shown: more than 200,000 lines\n" == mask_secrets(endless)
    assert ["-••• not shown: more than 200,000 lines", "+••• (2) not shown: more than 200,000 lines"] == shown(
        compare(rendered(endless), rendered(endless + "b: c\n"))
    )
    assert "not shown: more than 100 levels" in mask_secrets("a: " + "[" * 200 + "]" * 200)
    assert "not shown" in mask_secrets("a: &a {<<: *a}")
    assert "not shown: more than 1000 merges" in mask_secrets(
        "a0: &a0 {x: y}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9))
    )


def test_live_differences_are_between_what_is_and_what_would_be() -> None:
    def one(kind: str, live: object, predicted: object, target: object) -> ResourceDiff:
        texts = [json.dumps(state) for state in (live, predicted, target)]
        return ResourceDiff(
            kind=kind, name="web", namespace="prod", normalized_live_state=texts[0], predicted_live_state=texts[1], target_state=texts[2]
        )

    def state(replicas: int) -> dict[str, object]:
        return {"kind": "Deployment", "spec": {"replicas": replicas}}

    found = compare_live(
        [
            one("Deployment", state(1), state(3), state(3)),
            one("Same", state(1), state(1), state(1)),
            one("Missing", None, state(1), state(1)),
            one("Extra", state(1), None, None),
            one("Secret", {"kind": "Secret", "data": {"p": "++++++++"}}, {"kind": "Secret", "data": {"p": "++++++++++++"}}, {}),
        ]
    )
    assert [("Deployment", "changed"), ("Missing", "added"), ("Extra", "removed"), ("Secret", "changed")] == [
        (each.kind, each.change) for each in found
    ]
    assert ["-  replicas: 1", "+  replicas: 3"] == [line for line in shown(found[:1]) if line[0] != " "]
    assert ["-  p: •••", "+  p: ••• (2)"] == [line for line in shown(found[3:]) if line[0] != " "]


def applied(old: list[str], found: tuple[Hunk, ...]) -> list[str]:
    """The lines after the hunks: what `patch` would make of them."""
    out, at = [], 0
    for hunk in found:
        start = hunk.before - 1 if hunk.before else next((0 for _ in [0]), 0)
        kept = [line.text for line in hunk.lines if line.kind is not LineKind.ADDED]
        start = max(start, at) if kept else start
        assert old[start : start + len(kept)] == kept
        out += old[at:start] + [line.text for line in hunk.lines if line.kind is not LineKind.REMOVED]
        at = start + len(kept)
    return out + old[at:]


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.lists(st.sampled_from("abcdef"), max_size=40))
def test_hunks_lead_from_one_text_to_the_other(old: list[str], new: list[str]) -> None:
    found = hunks(old, new)
    assert (old == new) == (found == ())
    if old:
        assert new == applied(old, found)


def test_a_change_that_costs_too_much_to_find_is_shown_whole() -> None:
    old, new = ["head", *(str(i % 90) for i in range(9000)), "tail"], ["head", *(str(i * 7 % 91) for i in range(9000)), "tail"]
    (found,) = hunks(old, new)
    assert new == applied(old, (found,))


def test_the_normal_form_is_what_people_read() -> None:
    text = 'b: [1, {y: "on", x: [a, [b]]}, {}, []]\na: {text: "one\\ntwo", end: "x\\n\\n", odd: " x\\ny", "o n": \'a: b\'}\n'
    assert [
        "a:",
        '  end: "x\\n\\n"',
        '  o n: "a: b"',
        '  odd: " x\\ny"',
        "  text: |-",
        "    one",
        "    two",
        "b:",
        "- 1",
        "- x:",
        "  - a",
        "  -",
        "    - b",
        '  y: "on"',
        "- {}",
        "- []",
    ] == lines(text, Masks())
