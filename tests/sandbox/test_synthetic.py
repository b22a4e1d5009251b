"""Thousands of lightweight Applications: each change is told once, and what is listed is what was streamed."""

from typing import Any

from backends.sandbox.objects import Manifest
from backends.sandbox.projection import Fields
from tests.sandbox.served import Served


async def test_every_change_is_an_event_and_the_list_agrees_with_the_stream(served: Served) -> None:
    seen: dict[str, Manifest] = {}
    async with served.stream() as stream:
        for count in range(5 + 40):
            if count == 5:
                await served.client.post("/sandbox/changes", json={"count": 40})
            application = (await stream.event())["result"]["application"]
            seen[application["metadata"]["name"]] = application
    versions = [int(one["metadata"]["resourceVersion"]) for one in seen.values()]
    stats = (await served.client.get("/sandbox/stats")).json()
    assert (40, 5, max(versions)) == (stats["changes"], stats["applications"], stats["version"])

    listed: list[dict[str, Any]] = (await served.list()).json()["items"]
    assert {name: (one["metadata"]["resourceVersion"], one["status"]["sync"]) for name, one in seen.items()} == {
        one["metadata"]["name"]: (one["metadata"]["resourceVersion"], one["status"]["sync"]) for one in listed
    }


async def test_templates_say_the_same_as_documents(served: Served) -> None:
    served.sandbox.synthetic.change(13)
    paths = "items.metadata.name,items.metadata.resourceVersion,items.status.sync,items.status.operationState.phase,items.operation.sync"
    for fields in (Fields.of(""), Fields.of(paths)):
        for light in served.sandbox.applications.light.values():
            assert fields.encode_item(light.document()) == light.item(fields)


async def test_they_change_at_their_rate_by_themselves(served: Served) -> None:
    async with served.stream() as stream:
        await stream.names(5)
        served.sandbox.synthetic.rate = 200.0
        served.sandbox.synthetic.start()
        assert 100 == len([await stream.event() for _ in range(100)])


async def test_one_of_them_can_be_looked_at(served: Served) -> None:
    whole = (await served.client.get("/api/v1/applications/load-00001", params={"project": "default"})).json()
    assert ("load-00001", "Synced") == (whole["metadata"]["name"], whole["status"]["sync"]["status"])
    tree = (await served.client.get("/api/v1/applications/load-00001/resource-tree", params={"project": "default"})).json()
    assert ["Deployment", "Pod", "Pod", "ReplicaSet", "Service"] == sorted(node["kind"] for node in tree["nodes"])
