"""Image references as people type them: `[NAME=]REF`, registry ports, tags and digests included."""

from __future__ import annotations

import re
from collections.abc import Iterable

from backends.domain.app import MAIN
from backends.domain.record import Image
from backends.errors import Invalid
from backends.text import clean

_NAMED = re.compile(r"([a-z][-a-z0-9]{0,39})=(.+)\Z", re.DOTALL)
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def parse_image(text: str) -> tuple[str, Image]:
    """The name (`main` unless one is given) and the image of a reference.

    `registry:5000/team/web:1.2@sha256:…`, and short for the repository that the app names: `:1.2`, `@sha256:…`. Raises `Invalid`.
    """
    named = _NAMED.match(text)
    name, reference = (named[1], named[2]) if named else (MAIN, text)
    rest, at, digest = reference.partition("@")
    slash = rest.rfind("/")
    colon = rest.rfind(":")
    repository, tag = (rest[:colon], rest[colon + 1 :]) if colon > slash else (rest, "")
    if at and not _DIGEST.match(digest):
        raise _wrong(text, "a digest is sha256: and 64 hexadecimal digits")
    if colon > slash and not _TAG.match(tag):
        raise _wrong(text, "a tag is at most 128 letters, digits, dots, dashes and underscores")
    if repository and not _REPOSITORY.match(repository):
        raise _wrong(text, "a repository is lower-case: registry.example.org/team/web")
    if not tag and not digest:
        raise _wrong(text, "add a tag or a digest: what is deployed must be said")
    return name, Image(repository=repository, tag=tag, digest=digest)


def parse_images(texts: Iterable[str]) -> dict[str, Image]:
    """Several references by name. Raises `Invalid` when a name is given twice."""
    images: dict[str, Image] = {}
    for text in texts:
        name, image = parse_image(text)
        if name in images:
            raise Invalid(f"the image {name!r} is given twice", hint="name the others: NAME=REFERENCE")
        images[name] = image
    return images


def _wrong(text: str, hint: str) -> Invalid:
    return Invalid(f"not an image reference: {clean(text, limit=200)!r}", hint=hint)
