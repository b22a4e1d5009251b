"""The resource tree of an Application, in the shape of Argo CD's (controller/cache/info.go), and what is read off it."""

from __future__ import annotations

from collections.abc import Iterable

from backends.sandbox.cluster import Cluster
from backends.sandbox.comparison import Managed
from backends.sandbox.health import health_of
from backends.sandbox.objects import Key, Manifest, dig, images_of, is_deleting, key_of, uid_of, version_of
from backends.sandbox.pods import NODE_CPU, NODE_MEMORY, requests


def tree_of(managed: Iterable[Managed], cluster: Cluster) -> Manifest:
    """`{"nodes": […], "hosts": […]}` of what is managed, with everything that it owns."""
    nodes: list[Manifest] = []
    for one in managed:
        if one.live is None:
            nodes.append(_reference(one.key, one.version) | {"health": {"status": "Missing"}})
        else:
            _add(nodes, one.live, None, cluster)
    nodes.sort(key=lambda node: (node.get("group", ""), node["kind"], node.get("namespace", ""), node["name"]))
    tree: Manifest = {"nodes": nodes}
    on = sorted({item["value"] for node in nodes for item in node.get("info", ()) if item["name"] == "Node" and item.get("value")})
    if on:
        tree["hosts"] = [_host(name) for name in on]
    return tree


def summary_of(tree: Manifest) -> Manifest:
    """`status.summary`: images in use, addresses, whether it is an app of apps."""
    images = sorted({image for node in tree["nodes"] for image in node.get("images", ())})
    urls = sorted({url for node in tree["nodes"] for url in dig(node, "networkingInfo", "externalURLs", default=())})
    summary: Manifest = {}
    if urls:
        summary["externalURLs"] = urls
    if images:
        summary["images"] = images
    if any(node["kind"] == "Application" for node in tree["nodes"]):
        summary["isAppOfApps"] = True
    return summary


def with_health(resources: list[Manifest], tree: Manifest | None) -> list[Manifest]:
    """`status.resources` with the health that the tree knows, as get and watch (not list) send them."""
    if tree is None:
        return resources
    known = {(n.get("group", ""), n["kind"], n.get("namespace", ""), n["name"]): n["health"] for n in tree["nodes"] if n.get("health")}
    out = []
    for entry in resources:
        health = known.get((entry.get("group", ""), entry["kind"], entry.get("namespace", ""), entry["name"]))
        out.append(_in_order(entry, health) if health else entry)
    return out


def find_node(tree: Manifest | None, key: Key) -> Manifest | None:
    """The live node of a tree that a request names."""
    for node in (tree or {"nodes": ()})["nodes"]:
        if (node.get("group", ""), node["kind"], node.get("namespace", ""), node["name"]) == tuple(key) and node.get("uid"):
            found: Manifest = node
            return found
    return None


def _in_order(entry: Manifest, health: Manifest) -> Manifest:
    head = {key: value for key, value in entry.items() if key in ("group", "version", "kind", "namespace", "name", "status")}
    return head | {"health": health} | entry


def _add(nodes: list[Manifest], obj: Manifest, parent: Manifest | None, cluster: Cluster) -> None:
    nodes.append(_node(obj, parent))
    for child in cluster.dependents(obj):
        _add(nodes, child, obj, cluster)


def _reference(key: Key, version: str) -> Manifest:
    out: Manifest = {"group": key.group} if key.group else {}
    out |= {"version": version, "kind": key.kind}
    if key.namespace:
        out["namespace"] = key.namespace
    return out | {"name": key.name}


def _node(obj: Manifest, parent: Manifest | None) -> Manifest:
    node = _reference(key_of(obj), version_of(obj)) | {"uid": uid_of(obj)}
    if parent is not None:
        node["parentRefs"] = [_reference(key_of(parent), version_of(parent)) | {"uid": uid_of(parent)}]
    info, network = _info(obj), _network(obj)
    if info:
        node["info"] = info
    if network is not None:
        node["networkingInfo"] = network
    node["resourceVersion"] = dig(obj, "metadata", "resourceVersion", default="")
    if obj.get("kind") == "Pod" and (images := images_of(obj)):
        node["images"] = images
    health = health_of(obj)
    if health is not None:
        node["health"] = health.json()
    node["createdAt"] = dig(obj, "metadata", "creationTimestamp", default="")
    return node


def _info(obj: Manifest) -> list[Manifest]:
    if obj.get("kind") == "Pod":
        return _pod_info(obj)
    revision = dig(obj, "metadata", "annotations", "deployment.kubernetes.io/revision")
    if obj.get("kind") == "ControllerRevision":
        revision = obj.get("revision")
    return [{"name": "Revision", "value": f"Rev:{revision}"}] if revision else []


def _pod_info(pod: Manifest) -> list[Manifest]:
    status = pod.get("status") or {}
    phase = str(status.get("phase", ""))
    containers = status.get("containerStatuses") or []
    reason, ready, running = str(status.get("reason") or phase), 0, False
    for one in reversed(containers):
        waiting, ended = dig(one, "state", "waiting", "reason"), dig(one, "state", "terminated", default={})
        if waiting:
            reason = str(waiting)
        elif ended:
            reason = str(ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}")
        elif one.get("ready"):
            ready, running = ready + 1, True
    if reason == "Completed" and running:
        reason = "Running"
    if is_deleting(pod) and phase not in ("Succeeded", "Failed"):
        reason = "Terminating"
    restarts = sum(int(one.get("restartCount", 0)) for one in containers)
    node = str(dig(pod, "spec", "nodeName", default=""))
    info: list[Manifest] = [{"name": "Status Reason", "value": reason}] if reason else []
    info.append({"name": "Node"} | ({"value": node} if node else {}))
    info.append({"name": "Containers", "value": f"{ready}/{len(dig(pod, 'spec', 'containers', default=[]))}"})
    if restarts:
        info.append({"name": "Restart Count", "value": str(restarts)})
    if phase not in ("Succeeded", "Failed"):
        cpu, memory = requests(pod)
        info += [{"name": "cpu", "value": str(cpu)}, {"name": "memory", "value": str(memory * 1000)}]
    return info


def _network(obj: Manifest) -> Manifest | None:
    kind, namespace = obj.get("kind"), dig(obj, "metadata", "namespace", default="")
    if kind == "Pod":
        return {"labels": labels} if (labels := dig(obj, "metadata", "labels")) else {}
    if kind == "Service":
        out: Manifest = {"targetLabels": labels} if (labels := dig(obj, "spec", "selector")) else {}
        ingress = dig(obj, "status", "loadBalancer", "ingress")
        return out | ({"ingress": ingress} if ingress and dig(obj, "spec", "type") == "LoadBalancer" else {})
    if kind == "Ingress":
        paths = [(rule, path) for rule in dig(obj, "spec", "rules", default=[]) for path in dig(rule, "http", "paths", default=[])]
        secure = "https" if dig(obj, "spec", "tls") else "http"
        urls = [f"{secure}://{rule['host']}{path.get('path', '')}" for rule, path in paths if rule.get("host")]
        backends = [dig(obj, "spec", "defaultBackend", default={}), *(path.get("backend") or {} for _, path in paths)]
        names = dict.fromkeys(name for one in backends if (name := dig(one, "service", "name")))
        refs = [{"kind": "Service", "namespace": namespace, "name": name} for name in names]
        ingress = dig(obj, "status", "loadBalancer", "ingress")
        out = {"targetRefs": refs} if refs else {}
        out |= {"ingress": ingress} if ingress else {}
        return out | ({"externalURLs": urls} if urls else {})
    return None


def _host(name: str) -> Manifest:
    capacity = [{"resourceName": "cpu", "capacity": NODE_CPU}, {"resourceName": "memory", "capacity": NODE_MEMORY * 1000}]
    system = {
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
        "kernelVersion": "sandbox",
        "osImage": "",
        "containerRuntimeVersion": "sandbox",
        "kubeletVersion": "v1.36.1",
        "kubeProxyVersion": "v1.36.1",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
    return {"name": name, "resourcesInfo": capacity, "systemInfo": system}
