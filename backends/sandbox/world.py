"""What all simulated clusters of one sandbox share: the clock, the growing resource version, and names that repeat from run to run.

Random-looking things (uids, pod suffixes, jitter) are drawn from a seed and a counter, so that two sandboxes that were asked the same
things in the same order say the same.
"""

from __future__ import annotations

import uuid
from hashlib import blake2b

from backends.sandbox.clock import Clock

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_DIGITS = "456789bcdf"
RESTART_GAP = 10_000
"""How far the resource version jumps when a sandbox is started again on its state: further than it can have come unsaved."""


class World:
    """Clock, versions and names.

    Args:
        clock: the sandbox's clock.
        seed: what names and jitter are drawn from.
    """

    def __init__(self, clock: Clock, seed: str = "tiphys") -> None:
        self.clock = clock
        self.seed = seed
        self.version = 1_000
        self.drawn = 0

    def next_version(self) -> str:
        self.version += 1
        return str(self.version)

    def uid(self) -> str:
        return str(uuid.UUID(bytes=self._draw(16), version=4))

    def suffix(self, length: int = 5) -> str:
        """The random end of a pod's name."""
        return letters(self._draw(length), length)

    def fraction(self) -> float:
        """A number from 0 to 1, for jitter."""
        return int.from_bytes(self._draw(4), "big") / 2**32

    def _draw(self, size: int) -> bytes:
        self.drawn += 1
        return blake2b(f"{self.seed}:{self.drawn}".encode(), digest_size=size).digest()


def letters(data: bytes, length: int) -> str:
    """Bytes as the letters that Kubernetes uses in generated names."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in data[:length])


def template_hash(text: bytes) -> str:
    """What tells two pod templates of one Deployment apart: ten digits, in the spelling that makes no words."""
    number = int.from_bytes(blake2b(text, digest_size=4).digest(), "big")
    return "".join(_DIGITS[int(digit)] for digit in f"{number:010}")
