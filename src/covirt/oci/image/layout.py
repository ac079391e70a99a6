# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An OCI image layout on disk, read and written (OCI image specification, "Image Layout")."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.oci.image.model import BadConfig, is_digest, json_object, mapping

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
_JSON_LIMIT: Final = 4 << 20  # what registries themselves accept as a manifest
_LAYER_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    media_type: str
    digest: str
    diff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutImage:
    """The one image in a layout: its manifest's digest, its configuration, its layers from the lowest up."""

    digest: str
    config_digest: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]

    @property
    def architecture(self) -> str:
        return str(self.config.get("architecture") or "unknown")

    @property
    def operating_system(self) -> str:
        return str(self.config.get("os") or "linux")


def blob_path(layout: Path, digest: str) -> Path:
    """Where a blob lies. Raises BadConfig for anything but a SHA-256 digest, so it never leaves the layout."""
    if not is_digest(digest):
        raise BadConfig(f"{digest!r:.80} is not a SHA-256 digest")
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def read_layout(layout: Path) -> LayoutImage:
    """Read a layout that holds one image. Raises BadConfig, OSError."""
    manifests = _read_json(layout / "index.json").get("manifests")
    if not isinstance(manifests, list) or len(manifests) != 1:
        raise BadConfig("the layout does not hold exactly one image")
    digest = mapping(manifests[0], "manifests[0]").get("digest")
    manifest = _read_blob(layout, digest)
    config_digest = mapping(manifest.get("config"), "config").get("digest")
    config = _read_blob(layout, config_digest)
    descriptors = manifest.get("layers")
    diff_ids = mapping(config.get("rootfs"), "rootfs").get("diff_ids")
    if not isinstance(descriptors, list) or not isinstance(diff_ids, list) or len(descriptors) > _LAYER_LIMIT:
        raise BadConfig("layers or diff_ids are missing, or far too many")
    if len(descriptors) != len(diff_ids):
        raise BadConfig(f"it has {len(descriptors)} layers, but {len(diff_ids)} diff_ids")
    layers = [_layer(*pair) for pair in zip(descriptors, diff_ids, strict=True)]
    return LayoutImage(digest=str(digest), config_digest=str(config_digest), config=config, layers=tuple(layers))


def write_layout(
    layout: Path, *, config: Mapping[str, Any] | bytes, layers: Sequence[tuple[str, str, int]], tag: str = "image"
) -> str:
    """Add configuration, manifest and index to layer blobs (media type, digest, size); gives the manifest digest."""
    data = config if isinstance(config, bytes) else _dump(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": _write_blob(layout, data), "size": len(data)},
        "layers": [{"mediaType": kind, "digest": digest, "size": size} for kind, digest, size in layers],
    }
    text = _dump(manifest)
    digest = _write_blob(layout, text)
    entry = {
        "mediaType": MANIFEST_TYPE,
        "digest": digest,
        "size": len(text),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    (layout / "index.json").write_bytes(_dump({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_bytes(_dump({"imageLayoutVersion": "1.0.0"}))
    return digest


def make_blobs(layout: Path) -> Path:
    """The blob directory of a new layout."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    return blobs


def _layer(descriptor: object, diff_id: object) -> Layer:
    fields = mapping(descriptor, "layer")
    digest, media_type = fields.get("digest"), fields.get("mediaType")
    if not is_digest(digest) or not is_digest(diff_id) or not isinstance(media_type, str):
        raise BadConfig("a layer has no SHA-256 digest or no media type")
    return Layer(media_type=media_type, digest=str(digest), diff_id=str(diff_id))


def _write_blob(layout: Path, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    blob_path(layout, digest).write_bytes(data)
    return digest


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _read_blob(layout: Path, digest: object) -> Mapping[str, Any]:
    data = _read(blob_path(layout, str(digest)))
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise BadConfig(f"the blob {digest} does not match its digest")
    return json_object(data)


def _read_json(path: Path) -> Mapping[str, Any]:
    return json_object(_read(path))


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(_JSON_LIMIT + 1)
    if len(data) > _JSON_LIMIT:
        raise BadConfig(f"{path.name} is larger than {_JSON_LIMIT} bytes")
    return data
