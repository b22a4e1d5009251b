"""Identities as types: what names a commit, an image, an Argo CD object, a deployment.

An identity is validated where it enters (`parse_*` raise `Invalid`) and never cleaned or guessed afterwards.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple, NewType

from backends.errors import Invalid
from backends.text import clean

Sha = NewType("Sha", str)
"""A full Git commit id, 40 lower-case hexadecimal digits."""
Digest = NewType("Digest", str)
"""An image digest, `sha256:` and 64 lower-case hexadecimal digits."""
DeploymentId = NewType("DeploymentId", str)
"""Deployment ID == Argo CD Application name == Helm release name."""
ChangeId = NewType("ChangeId", str)
"""The ULID of one intent run (`Tiphys-Change`): how a commit is found again after a push whose outcome is unknown."""

_SHA = re.compile(r"[0-9a-f]{40}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_SLUG = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_NOT_STRINGS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class AppKey(NamedTuple):
    """An Application in one Argo CD: two namespaces may hold the same name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def is_sha(text: str) -> bool:
    """Whether a text is a full commit id; a branch name in `sync.revision` (after a manifest error) is not."""
    return bool(_SHA.match(text))


def parse_sha(text: str) -> Sha:
    """Raises `Invalid`."""
    if not is_sha(text):
        raise Invalid(f"not a full commit id: {clean(text, limit=80)!r}")
    return Sha(text)


def parse_digest(text: str) -> Digest:
    """Raises `Invalid`."""
    if not _DIGEST.match(text):
        raise Invalid(f"not an image digest: {clean(text, limit=90)!r}", hint="sha256: and 64 hexadecimal digits")
    return Digest(text)


def parse_slug(text: str, what: str = "name") -> str:
    """A name of an app, environment, cluster or workspace: `[a-z][-a-z0-9]*`, at most 40, no `--`, nothing YAML reads as a non-string.

    Raises `Invalid`, naming `what`.
    """
    reason = ""
    if not _SLUG.match(text):
        reason = "lower-case letters, digits and single dashes, beginning with a letter and not ending with a dash"
    elif "--" in text:
        reason = "no double dash: it separates workspace and environment in Argo CD's names"
    elif len(text) > 40:
        reason = f"at most 40 characters, this one has {len(text)}"
    elif text in _NOT_STRINGS:
        reason = "YAML reads this word as a value that is not a string"
    if reason:
        raise Invalid(f"not a usable {what}: {clean(text, limit=80)!r}", hint=reason)
    return text


def parse_deployment_id(text: str) -> DeploymentId:
    """An id as minted, or the name of an adopted Application (any DNS-1123 subdomain). Raises `Invalid`."""
    if len(text) > 253 or not _DNS.match(text):
        raise Invalid(f"not a deployment id: {clean(text, limit=80)!r}")
    return DeploymentId(text)


def mint_deployment_id(app: str, environment: str, taken: Callable[[str], bool]) -> DeploymentId:
    """A new random id, `{app ≤20}-{env ≤12}-{6 of a-z2-7}`; `taken` says whether the repository holds or ever held it."""
    stem = f"{app[:20].rstrip('-')}-{environment[:12].rstrip('-')}"
    while True:
        candidate = f"{stem}-{''.join(secrets.choice(_BASE32) for _ in range(6))}"
        if not taken(candidate):
            return DeploymentId(candidate)


def mint_change_id() -> ChangeId:
    """A new ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32, so that ids sort by time."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return ChangeId("".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5)))
