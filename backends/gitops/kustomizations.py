"""kustomization.yaml of a deployment whose app is a Kustomize base: written once, then its images are edited in place."""

from __future__ import annotations

import posixpath

from backends.domain.app import App
from backends.domain.record import Image, Record
from backends.errors import Invalid
from backends.gitops.document import read
from backends.gitops.keys import KeyPath
from backends.gitops.quoting import flow
from backends.gitops.values import spliced


def kustomization_yaml(app: App, base: str, folder: str, record: Record) -> bytes:
    """The first kustomization of a deployment: the app's base and the images of the release."""
    lines = [
        "apiVersion: kustomize.config.k8s.io/v1beta1",
        "kind: Kustomization",
        f"resources: {flow([posixpath.relpath(base, folder)])}",
    ]
    if record.images:
        lines += ["images:", *(f"  - {flow(_entry(_name(app, name), image))}" for name, image in record.images.items())]
    return ("\n".join(lines) + "\n").encode()


def with_images(path: str, data: bytes, app: App, record: Record) -> bytes:
    """A kustomization with the images of a release; all else stays. A digest replaces the tag and the reverse, as Kustomize does itself."""
    document = read(path, data)
    found = document.data.get("images") if isinstance(document.data, dict) else None
    entries = [entry.get("name") if isinstance(entry, dict) else None for entry in found or []]
    changes: list[tuple[KeyPath, object, bool]] = []
    for name, image in record.images.items():
        wanted = _entry(_name(app, name), image)
        if wanted["name"] in entries:
            at = entries.index(wanted["name"])
            changes += [(("images", at, field), wanted[field], False) for field in ("newName", "newTag", "digest") if field in wanted]
            changes += [(("images", at, field), None, True) for field in ("newName", "newTag", "digest") if field not in wanted]
        else:
            changes.append((("images", len(entries)), wanted, False))
            entries.append(wanted["name"])
    return spliced(path, data, changes)


def _name(app: App, image: str) -> str:
    """The image as the base names it."""
    declared = app.images.get(image)
    if declared is None or not declared.repository:
        raise Invalid(
            f"app {app.name} does not say which repository its base names for the image {image!r}",
            hint=f"images: of apps/{app.name}/app.yaml",
        )
    return declared.repository


def _entry(name: str, image: Image) -> dict[str, str]:
    renamed = {"newName": image.repository} if image.repository not in ("", name) else {}
    version = {"digest": image.digest} if image.digest else {"newTag": image.tag}
    return {"name": name, **renamed, **version}
