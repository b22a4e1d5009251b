"""Where the project's shared facts lie: recordings of real servers and the example workspace.

They are beside the checkout, not in it; a test that needs them is skipped by name where they are absent.
"""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def shared_dir() -> Path | None:
    """`TIPHYS_SHARED`, else `shared` beside the checkout, else None."""
    named = os.environ.get("TIPHYS_SHARED")
    path = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    return path if path.is_dir() else None


def need_shared(part: str) -> Path:
    """The path of a part of it ("recordings/rest"); skips the test, naming what it lacks, where it is absent."""
    base = shared_dir()
    if base is None or not (base / part).exists():
        pytest.skip(f"needs {part} of the shared facts (set TIPHYS_SHARED)")
    return base / part


def recording(name: str) -> dict[str, Any]:
    """One REST recording by its file name without ending ("019-get-app"): note, request, response."""
    answer: dict[str, Any] = json.loads((need_shared("recordings/rest") / f"{name}.json").read_bytes())
    return answer


def stream(name: str) -> Iterator[dict[str, Any]]:
    """The lines of a recorded stream ("deploy-good"), in order."""
    folder = need_shared("recordings/streams")
    packed = folder / f"{name}.ndjson.gz"
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / f"{name}.ndjson").read_bytes()
    for line in data.splitlines():
        if line.strip():
            yield json.loads(line)
