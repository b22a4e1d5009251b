"""What the simulated API server refuses. Every text is a real server's answer to the same object."""

import pytest

from backends.sandbox.admission import Refused, quantity
from tests.sandbox.place import Place

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: "registry.example.org/web:1"}]
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: task}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "x:1"}]}}}
"""
STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: "x:1"}]}}
"""
FIXED = "{apiVersion: v1, kind: ConfigMap, metadata: {name: fixed}, immutable: true, data: {a: '1'}}"
OTHERS = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
HANDLED = 'Deployment in version "v1" cannot be handled as a Deployment: '


def refused(place: Place, text: str) -> str:
    with pytest.raises(Refused) as caught:
        place.apply(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "replicas: 1",
            'replicas: "many"',
            HANDLED + "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "image:",
            "env: [{name: A, value: 1}], image:",
            HANDLED + "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            "image:",
            "resources: {limits: {memory: lots}}, image:",
            HANDLED + "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "  selector: {matchLabels: {app: web}}\n",
            "",
            'Deployment.apps "web" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: {"app":"web"}: '
            "`selector` does not match template `labels`]",
        ),
        (
            "labels: {app: web}",
            "labels: {app: other}",
            'Deployment.apps "web" is invalid: spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match '
            "template `labels`",
        ),
        (
            'image: "registry.example.org/web:1"',
            "env: []",
            'Deployment.apps "web" is invalid: spec.template.spec.containers[0].image: Required value',
        ),
        (
            "name: main",
            "name: Main_1",
            'Deployment.apps "web" is invalid: spec.template.spec.containers[0].name: Invalid value: "Main_1": a lowercase RFC 1123 label must '
            "consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or "
            "'123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        (
            "image:",
            "resources: {requests: {cpu: 2}, limits: {cpu: 1}}, image:",
            'Deployment.apps "web" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or '
            "equal to cpu limit of 1",
        ),
        (
            '[{name: main, image: "registry.example.org/web:1"}]',
            "[]",
            'Deployment.apps "web" is invalid: spec.template.spec.containers: Required value',
        ),
        (
            "{name: web}",
            '{name: web, labels: {a: "b c"}}',
            'Deployment.apps "web" is invalid: metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of '
            "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
            "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
        (
            "{name: web}",
            "{name: Web_1}",
            'Deployment.apps "Web_1" is invalid: metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain must consist of lower case '
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
            "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
    ],
)
async def test_an_invalid_deployment_is_refused_in_the_api_server_s_words(place: Place, old: str, new: str, said: str) -> None:
    assert said == refused(place, DEPLOYMENT.replace(old, new, 1))
    assert [] == place.pods


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: env}, data: {a: 1}}",
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of '
            "type string",
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 99999}]}}",
            'Service "s" is invalid: [spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive, '
            "spec.ports[0].targetPort: Invalid value: 99999: must be between 1 and 65535, inclusive]",
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: Odd, ports: [{port: 80}]}}",
            'Service "s" is invalid: spec.type: Unsupported value: "Odd": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
            '"NodePort"',
        ),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: env, namespace: nowhere}}", 'namespaces "nowhere" not found'),
    ],
)
async def test_other_kinds_are_looked_at_too(place: Place, text: str, said: str) -> None:
    assert said == refused(place, text)


@pytest.mark.parametrize(
    ("before", "old", "new", "said"),
    [
        (
            DEPLOYMENT,
            "app: web",
            "app: other",
            'Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable',
        ),
        (DEPLOYMENT, "replicas: 1", 'replicas: "many"', ' "" is invalid: patch: Invalid value: "": unrecognized type: int32'),
        (
            DEPLOYMENT,
            "image:",
            "env: [{name: A, value: 1}], image:",
            ' "" is invalid: patch: Invalid value: "": cannot convert int64 to string',
        ),
        (STATEFUL, "serviceName: db", "serviceName: other", f'StatefulSet.apps "db" is invalid: spec: Forbidden: {OTHERS}'),
        (FIXED, "'1'", "'2'", 'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set'),
    ],
)
async def test_a_forbidden_change_is_refused_as_a_patch(place: Place, before: str, old: str, new: str, said: str) -> None:
    place.apply(before)
    start, _, rest = refused(place, before.replace(old, new)).partition(": ")

    assert said == rest
    assert start.startswith('error when patching "/dev/shm/')


async def test_a_job_s_template_cannot_change(place: Place) -> None:
    place.apply(JOB)
    said = refused(place, JOB.replace("x:1", "x:2"))
    assert ': Job.batch "task" is invalid: spec.template: Invalid value: ' in said
    assert said.endswith(": field is immutable")


async def test_the_same_again_is_unchanged(place: Place) -> None:
    for text, name in (
        (DEPLOYMENT, "deployment.apps/web"),
        (JOB, "job.batch/task"),
        (STATEFUL, "statefulset.apps/db"),
        (FIXED, "configmap/fixed"),
    ):
        assert f"{name} created" == place.apply(text)
        assert f"{name} unchanged" == place.apply(text)
        assert f"{name} replaced" == place.apply(text, replace=True)
        assert f"{name} serverside-applied" == place.apply(text, server_side=True)


@pytest.mark.parametrize(
    ("text", "number"), [("100m", 0.1), ("2", 2), (4, 4), ("128Mi", 128 * 2**20), ("1Gi", 2**30), ("5k", 5000), ("what", 0)]
)
def test_quantities_are_numbers(text: object, number: float) -> None:
    assert number == quantity(text)
