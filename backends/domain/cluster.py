"""A Kubernetes cluster that the workspace's Argo CD can deploy to. Credentials live in a Secret beside Argo CD, never here."""

from __future__ import annotations

import msgspec

IN_CLUSTER = "in-cluster"
"""Argo CD's name for the cluster that it runs in; needs no file."""


class Cluster(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What clusters/<cluster>.yaml says, keys in the order in which they are written."""

    name: str
    server: str = ""
    secret: str = ""
    """Name of the Secret that registers the cluster with Argo CD."""
    provider: str = ""
    region: str = ""
    labels: dict[str, str] = {}
    ca_fingerprint: str = ""
