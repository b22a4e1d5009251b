"""Every change of a workspace repository, one module per verb; and how one is kept as bytes (the journal)."""

from __future__ import annotations

from typing import TypeAlias, get_args

import msgspec

from backends.errors import Invalid
from backends.gitops.intent import Intent
from backends.gitops.intents.create_app import CreateApp
from backends.gitops.intents.create_cluster import CreateCluster
from backends.gitops.intents.create_environment import CreateEnvironment
from backends.gitops.intents.delete import Delete
from backends.gitops.intents.deploy import Deploy, Target
from backends.gitops.intents.edit_values import EditValues
from backends.gitops.intents.init import Init
from backends.gitops.intents.pause import Pause, Resume
from backends.gitops.intents.rollback import Rollback

__all__ = [
    "AnyIntent",
    "CreateApp",
    "CreateCluster",
    "CreateEnvironment",
    "Delete",
    "Deploy",
    "EditValues",
    "Init",
    "Pause",
    "Resume",
    "Rollback",
    "Target",
    "decode",
    "encode",
]

AnyIntent: TypeAlias = Init | CreateEnvironment | CreateApp | CreateCluster | Deploy | EditValues | Rollback | Pause | Resume | Delete


def encode(intent: Intent) -> bytes:
    """An intent of these as JSON, tagged with its verb; another one cannot be read back: raises `TypeError`."""
    if not isinstance(intent, get_args(AnyIntent)):
        raise TypeError(f"{type(intent).__name__} is no intent of this package")
    return msgspec.json.encode(intent)


def decode(data: bytes) -> AnyIntent:
    """The intent that `encode` was given. Raises `Invalid` (another version's journal, a file that somebody changed)."""
    try:
        return msgspec.json.decode(data, type=AnyIntent)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Invalid(f"not a change that this version knows: {error}") from None
