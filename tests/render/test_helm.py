"""What a chart becomes, rendered by the real Helm SDK."""

import msgspec
import pytest

from backends.errors import Invalid
from backends.render.renderer import Renderer
from backends.render.types import Rendered
from tests.render.charts import CHART, PATH, chart, config_map, vendored


def named(rendered: Rendered) -> list[tuple[str, str, str, int]]:
    return [(one.kind, one.name, one.hook, one.wave) for one in rendered.manifests]


def refusal(renderer: Renderer, *args: object, **more: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        renderer.render(chart(*args, **more))  # type: ignore[arg-type]
    return caught.value


def test_a_chart_becomes_its_objects_with_release_and_namespace(sdk: Renderer) -> None:
    rendered = sdk.render(
        chart({"templates/a.yaml": config_map("{{ .Release.Name }}", '{in: "{{ .Release.Namespace }}", by: "{{ .Release.Service }}"}')})
    )
    assert [("ConfigMap", "web-prod-k3x7qa", "", 0)] == named(rendered)
    assert 'data: {in: "web-prod", by: "Helm"}' in rendered.manifests[0].text
    assert "Helm 4.2 for Kubernetes 1.36" == rendered.by
    assert ("", ()) == (rendered.missing, rendered.warnings)


def test_hooks_carry_their_phase_and_what_argo_cd_never_runs_is_left_out(sdk: Renderer) -> None:
    hooks = {
        "pre": "{helm.sh/hook: 'pre-install,pre-upgrade', helm.sh/hook-weight: '-5'}",
        "post": "{helm.sh/hook: post-install}",
        "ours": "{argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/sync-wave: '3'}",
        "both": "{argocd.argoproj.io/hook: 'Sync,PostSync', helm.sh/hook: pre-install}",
        "gone": "{helm.sh/hook: post-delete}",
        "test": "{helm.sh/hook: test}",
        "rollback": "{helm.sh/hook: pre-rollback}",
        "crd": "{helm.sh/hook: crd-install}",
        "skip": "{argocd.argoproj.io/hook: Skip}",
    }
    rendered = sdk.render(chart({f"templates/{name}.yaml": config_map(name, annotations=text) for name, text in hooks.items()}))
    assert {
        "pre": ("PreSync", -5),
        "post": ("PostSync", 0),
        "ours": ("PreSync", 3),
        "both": ("Sync,PostSync", 0),
        "gone": ("PostDelete", 0),
    } == {one.name: (one.hook, one.wave) for one in rendered.manifests}


def test_crds_come_first_notes_and_partials_not_at_all(sdk: Renderer) -> None:
    crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: shops.example.org}\n"
    rendered = sdk.render(
        chart(
            {
                "crds/shop.yaml": f"{crd}---\n{crd.replace('shops', 'carts')}",
                "templates/a.yaml": config_map('{{ include "name" . }}'),
                "templates/_name.tpl": '{{ define "name" }}from-partial{{ end }}',
                "templates/NOTES.txt": "Thank you for installing.",
                "templates/none.yaml": "{{ if false }}kind: Never{{ end }}\n---\n# only a comment\n---\n",
            }
        )
    )
    assert ["shops.example.org", "carts.example.org", "from-partial"] == [one.name for one in rendered.manifests]


def test_values_files_are_merged_in_order_and_null_deletes(sdk: Renderer) -> None:
    rendered = sdk.render(
        chart(
            {
                "values.yaml": "a: {x: 1, y: 2, z: 3}\nlist: [1, 2]\nkeep: yes\n",
                "templates/a.yaml": config_map("v", "{all: {{ .Values | toJson | quote }}}"),
            },
            values={
                "apps/web/values.yaml": "a: {x: 10, y: null}\n",
                "environments/prod/values.yaml": "a: {x: 100}\nlist: [3]\n",
                "deployments/prod/values.yaml": "# nothing yet\n{}\n",
                "deployments/prod/more.yaml": "a: {w: 1}\n---\na: {x: 1000}\n",
            },
        )
    )
    assert '{all: "{\\"a\\":{\\"w\\":1,\\"x\\":1000,\\"z\\":3},\\"keep\\":true,\\"list\\":[3]}"}' in rendered.manifests[0].text


def test_values_are_read_as_go_reads_them(sdk: Renderer) -> None:
    template = "{a: {{ .Values.a | toJson | quote }}, b: {{ .Values.b | toJson | quote }}, c: {{ .Values.c | toJson | quote }}}"
    rendered = sdk.render(chart({"templates/a.yaml": config_map("v", template)}, values={"values.yaml": "a: 1e3\nb: 0o17\nc: on\n"}))
    assert '{a: "1000", b: "15", c: "true"}' in rendered.manifests[0].text


def test_nothing_of_a_cluster_or_this_machine_is_known_to_a_template(sdk: Renderer) -> None:
    template = (
        '{look: {{ lookup "v1" "Secret" "" "" | toJson | quote }}, host: {{ getHostByName "localhost" | quote }}, '
        'file: {{ .Files.Get "../../../../../../etc/passwd" | quote }}, has: {{ .Capabilities.APIVersions.Has "apps/v1" | quote }}}'
    )
    rendered = sdk.render(chart({"templates/a.yaml": config_map("v", template)}))
    assert '{look: "{}", host: "", file: "", has: "true"}' in rendered.manifests[0].text


def test_functions_that_read_the_environment_do_not_exist(sdk: Renderer) -> None:
    error = refusal(sdk, {"templates/a.yaml": config_map("v", '{home: {{ env "HOME" }}}')})
    assert f'{PATH}/templates/a.yaml:4: function "env" not defined' in str(error) or 'function "env" not defined' in str(error)


def test_dependencies_are_taken_from_the_charts_folder_as_conditions_and_aliases_say(sdk: Renderer) -> None:
    dependencies = (
        "dependencies:\n- {name: sub, version: 1.0.0, alias: one}\n- {name: sub, version: 1.0.0, alias: two, condition: two.enabled}\n"
        "- {name: packed, version: 1.0.0}\n"
    )
    rendered = sdk.render(
        chart(
            {
                "Chart.yaml": CHART + dependencies,
                "values.yaml": "two: {enabled: false}\n",
                "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
                "charts/sub/templates/a.yaml": config_map("{{ .Chart.Name }}"),
                "charts/packed-1.0.0.tgz": vendored("packed"),
            }
        )
    )
    assert ["one", "from-packed"] == [one.name for one in rendered.manifests]


def test_a_dependency_that_is_not_vendored_is_said_and_not_fetched(sdk: Renderer) -> None:
    dependencies = "dependencies:\n- {name: postgresql, version: 16.x, repository: 'https://charts.example.org'}\n"
    rendered = sdk.render(chart({"Chart.yaml": CHART + dependencies, "templates/a.yaml": config_map("v")}))
    assert "not rendered here: the chart needs postgresql, which its charts/ folder does not hold" == rendered.missing
    assert () == rendered.manifests


def test_helmignore_counts(sdk: Renderer) -> None:
    rendered = sdk.render(chart({".helmignore": "*.bak.yaml\n", "templates/a.bak.yaml": "{{ broken", "templates/a.yaml": config_map("v")}))
    assert ["v"] == [one.name for one in rendered.manifests]


def test_a_list_is_taken_apart_and_a_repeated_object_is_warned_about(sdk: Renderer) -> None:
    items = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec: {ports: [{port: 0x50}]}\n"
    )
    rendered = sdk.render(
        chart({"templates/a.yaml": items, "templates/b.yaml": config_map("v"), "templates/c.yaml": config_map("v", "{b: c}")})
    )
    assert [("Service", "a", "", 0), ("ConfigMap", "v", "", 0), ("ConfigMap", "v", "", 0)] == named(rendered)
    assert "port: 0x50" in rendered.manifests[0].text
    assert ("ConfigMap v is rendered more than once; the last one counts",) == rendered.warnings


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ .Values.a.b }}", f"{PATH}/templates/a.yaml:1:10: nil pointer evaluating interface {{}}.b"),
        ('{{ required "an image\\nis needed" .Values.image }}', f"{PATH}/templates/a.yaml:1:3: an image is needed"),
        ("{{ if }}", f"parse error at ({PATH}/templates/a.yaml:1): missing value for if"),
        ('{{ include "helper" . }}', f"{PATH}/templates/_helper.tpl:1:31: nil pointer evaluating interface {{}}.c"),
        ("kind: [\n", f"{PATH}/templates/a.yaml, line 2 as rendered: not YAML: did not find expected node content"),
        ("just text", f"{PATH}/templates/a.yaml: a document that is no object"),
        ("metadata: {name: a}", f"{PATH}/templates/a.yaml: an object without kind"),
        ("kind: A\x00", f"{PATH}/templates/a.yaml: not YAML: unacceptable character #x0000: control characters are not allowed"),
    ],
)
def test_a_chart_that_does_not_render_says_where_in_the_repository_and_why(sdk: Renderer, template: str, said: str) -> None:
    error = refusal(sdk, {"templates/a.yaml": template, "templates/_helper.tpl": '{{ define "helper" }}{{ .Values.b.c }}{{ end }}'})
    assert said in str(error)
    assert "/tmp" not in " ".join([str(error), *error.problems])


def test_values_that_do_not_fit_the_schema_are_all_named(sdk: Renderer) -> None:
    schema = '{"properties": {"replicas": {"type": "integer"}, "name": {"type": "string"}}}'
    error = refusal(sdk, {"values.schema.json": schema, "templates/a.yaml": ""}, values={"values.yaml": "replicas: many\nname: 3\n"})
    assert "values do not fit the chart's schema: " in error.message
    assert "at '/replicas': got string, want integer" in error.message
    assert "at '/name': got number, want string" in error.message


def test_a_values_file_that_cannot_be_read_is_named(sdk: Renderer) -> None:
    error = refusal(sdk, {"templates/a.yaml": ""}, values={"apps/web/values.yaml": "a: 1\n", "environments/prod/values.yaml": "a: [\n"})
    assert "environments/prod/values.yaml" in error.message
    assert "did not find expected node content" in error.message
    assert "apps/web/values.yaml is not UTF-8" == refusal(sdk, {}, values={"apps/web/values.yaml": b"a: \xff\n"}).message
    assert "control characters" in refusal(sdk, {}, values={"apps/web/values.yaml": b"a: 1\0\nb: 2\n"}).message


def test_a_values_file_that_is_not_there_is_an_error_never_a_default(sdk: Renderer) -> None:
    error = refusal(sdk, {"templates/a.yaml": ""}, value_files=("apps/web/values.yaml",))
    assert "the values file apps/web/values.yaml is not there" == error.message


def test_a_folder_without_a_chart_and_a_library_chart_are_errors(sdk: Renderer) -> None:
    with pytest.raises(Invalid, match=r"there is no chart in charts/other: no Chart\.yaml"):
        sdk.render(chart({}, path="charts/other"))
    assert "library charts are not installable" == refusal(sdk, {"Chart.yaml": CHART + "type: library\n"}).message


@pytest.mark.parametrize("name", ["", "Web", "-web", "{{ env }}", "web_prod", "w" * 54, "web\n"])
def test_names_that_helm_does_not_accept_never_reach_it(sdk: Renderer, name: str) -> None:
    with pytest.raises(Invalid, match="not a Helm release name"):
        sdk.render(chart({}, release_name=name))


def test_a_chart_at_the_root_of_a_repository_renders(sdk: Renderer) -> None:
    request = chart({"templates/a.yaml": config_map("v")})
    files = {path.removeprefix(f"{PATH}/"): data for path, data in request.files.items()}
    assert ["v"] == [one.name for one in sdk.render(msgspec.structs.replace(request, files=files, path=".")).manifests]
