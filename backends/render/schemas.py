"""`values.schema.json`, looked at before Helm follows what it refers to.

Helm's validator loads every `$ref`: over http(s) from wherever it points, and from this machine's disk (`file:///…`, tried with Helm 4.2),
where a message about a value that does not fit could carry another file's content. So a schema that refers to anything but itself is taken
out of the chart, and the plan says that values were not checked against it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from backends.errors import Invalid
from backends.text import clean

SCHEMA = "values.schema.json"

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_DRAFT = re.compile(r"https?://json-schema\.org/(draft-0[467]/|draft/(2019-09|2020-12)/)?schema#?\Z")
"""The metaschemas that the validator carries with it."""


def without_foreign_schemas(files: Mapping[str, bytes]) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """The files without the values schemas that refer to other documents, and a sentence about each. Raises `Invalid`: one is no JSON."""
    schemas = {path: data for path, data in files.items() if path.rpartition("/")[2] == SCHEMA}
    said = {path: reason for path, data in schemas.items() if (reason := foreign_reference(data, path))}
    if not said:
        return files, ()
    kept = {path: data for path, data in files.items() if path not in said}
    return kept, tuple(f"values were not checked: {path} {reason}" for path, reason in said.items())


def foreign_reference(data: bytes, path: str) -> str:
    """What a schema refers to outside itself ("refers to https://…"), or "". Raises `Invalid` for one that is no JSON.

    Every pair counts, also those of a key that is there twice: which of them a reader takes is its own affair.
    """
    found: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        for key, value in items:
            if isinstance(value, str) and (
                (key in _REFERENCES and not value.startswith("#")) or (key == "$schema" and not _DRAFT.match(value))
            ):
                found.append(value)
        return dict(items)

    try:
        json.loads(data.decode("utf-8-sig"), object_pairs_hook=pairs, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{path} is not JSON: {clean(str(error), limit=200)}", operation="render") from None
    return f"refers to {clean(found[0], limit=200)}" if found else ""
