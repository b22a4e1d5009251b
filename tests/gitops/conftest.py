"""A workspace for every test that wants one, and helm's own reading of YAML where the Helm SDK is installed."""

from collections.abc import Callable
from typing import Any

import pytest

from backends.gitops.tree import Tree
from tests.gitops import example


@pytest.fixture(scope="session")
def workspace() -> Tree:
    return example.built()


@pytest.fixture(scope="session")
def helm_reads() -> Callable[[str], Any]:
    """A values text as helm reads it, in this process: the SDK is small enough for a test run."""
    helm = pytest.importorskip("helm_python", reason="the Helm SDK is not installed (pip install 'tiphys[helm]')")
    reads: Callable[[str], Any] = helm.values_from_yaml
    return reads
