"""YAML as Argo CD reads it: documents of Kubernetes objects, with the types that JSON has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from backends.sandbox.objects import Manifest


class _Loader(yaml.CSafeLoader):
    """The C loader without dates: to Kubernetes `2026-11-24` is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str | bytes) -> Any:
    """One document. Raises `yaml.YAMLError`."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader


def objects(text: str | bytes) -> Iterator[Manifest]:
    """The Kubernetes objects of a text, lists opened. Raises `yaml.YAMLError`."""
    for document in yaml.load_all(text, Loader=_Loader):
        if isinstance(document, dict) and document.get("kind"):
            if document["kind"] == "List" and isinstance(document.get("items"), list):
                yield from (item for item in document["items"] if isinstance(item, dict))
            else:
                yield document
