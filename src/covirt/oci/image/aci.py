# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""AppC images (rkt's .aci) turned into an OCI layout, which then goes the way of every other source.

The archive's rootfs becomes one layer, rewritten confined and never unpacked here; the manifest becomes the image
configuration. As skopeo then copies the layout, its signature policy judges AppC images too.
Format: App Container specification 0.8.11, "Image Format" and "Image Manifest Schema".
"""

import json
import logging
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from covirt.common.process import PIPE, spawn
from covirt.oci.image.confine import confined_call
from covirt.oci.image.errors import DiskFull, NoSuchSource, UnreadableSource, UnsupportedSource
from covirt.oci.image.layout import LAYER_TYPE, blob_path, make_blobs, write_layout
from covirt.oci.image.model import BadConfig, host_architecture, json_object, mapping, text, texts
from covirt.oci.image.reference import Scheme, Source
from covirt.oci.image.workdir import WorkDir

log = logging.getLogger(__name__)

_CONVERT_SECONDS: Final = 6 * 3600.0
# AppC's names of architectures, in the words of OCI images.
_ARCHITECTURES: Final = {
    "amd64": "amd64", "i386": "386", "aarch64": "arm64", "armv6l": "arm", "armv7l": "arm", "ppc64le": "ppc64le",
    "s390x": "s390x",
}  # fmt: skip
_ANNOTATIONS: Final = {
    "authors": "org.opencontainers.image.authors",
    "homepage": "org.opencontainers.image.url",
    "documentation": "org.opencontainers.image.documentation",
}


def aci_layout(source: Source, work: WorkDir) -> Source:
    """Convert the file; gives the source that skopeo can copy. Raises NoSuchSource, UnreadableSource,
    UnsupportedSource, DiskFull."""
    layout = work.path / "aci"
    make_blobs(layout)
    try:
        summary = _rewrite(source, work)
        digest = text(summary.get("digest"), "digest")
        layer, size = work.inner / "layer.tar", int(summary["size"])
        if not stat.S_ISREG(os.lstat(layer).st_mode):
            raise BadConfig("the layer is no plain file")
        os.rename(layer, blob_path(layout, digest))
        config = convert_manifest(mapping(summary.get("manifest"), "manifest"), diff_id=digest, source=source.text)
    except (BadConfig, KeyError, OSError) as error:
        raise UnreadableSource(source=source.text, reason=error) from error
    write_layout(layout, config=config, layers=[(LAYER_TYPE, digest, size)])
    return Source(
        scheme=Scheme.LAYOUT,
        text=source.text,
        skopeo_name=f"oci:{layout}:image",
        default_name=source.default_name,
        path=Path(layout),
    )


def convert_manifest(manifest: Mapping[str, Any], *, diff_id: str, source: str) -> dict[str, Any]:
    """An AppC image manifest as an OCI image configuration. Raises BadConfig, UnsupportedSource.

    What OCI has no word for (isolators, supplementary groups, event handlers) is kept as labels "appc.…".
    """
    if manifest.get("acKind") != "ImageManifest":
        raise BadConfig("acKind is not ImageManifest")
    if manifest.get("dependencies"):
        names = ", ".join(text(mapping(each, "dependency").get("imageName"), "imageName") for each in
                          _list(manifest, "dependencies"))  # fmt: skip
        raise UnsupportedSource(
            source=source, reason=f"the image depends on others ({names}); render it into one first"
        )
    labels = dict(_pairs(_list(manifest, "labels"), "labels"))
    operating_system, architecture = labels.get("os", "linux"), labels.get("arch")
    app = mapping(manifest.get("app"), "app")
    section = {
        "Entrypoint": list(texts(app.get("exec"), "app.exec")),
        "Env": [f"{name}={value}" for name, value in _pairs(_list(app, "environment"), "app.environment")],
        "WorkingDir": text(app.get("workingDirectory"), "app.workingDirectory") or "/",
        "User": _user(app, source),
        "Volumes": {
            text(mapping(point, "mountPoint").get("path"), "path"): {} for point in _list(app, "mountPoints")
        },
        "ExposedPorts": {_port(mapping(port, "port")): {} for port in _list(app, "ports")},
        "Labels": _labels(manifest, app, labels),
    }
    return {
        "os": operating_system,
        "architecture": _ARCHITECTURES.get(architecture, architecture) if architecture else host_architecture(),
        "config": {key: value for key, value in section.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }


def _rewrite(source: Source, work: WorkDir) -> Mapping[str, Any]:
    assert source.path is not None, "an aci: source is a file"  # noqa: S101
    command = confined_call(work.inner, "aci_layer:convert")
    try:
        archive = source.path.open("rb")
    except OSError as error:
        raise NoSuchSource(source=source.text) from error
    with (
        archive,
        spawn(
            command, stdin=archive, stdout=PIPE, stderr=PIPE, own_group=True, pass_descriptors=(work.lock_descriptor,)
        ) as child,
    ):
        completed = child.communicate(timeout_seconds=_CONVERT_SECONDS)
    if completed.status != 0:
        lines = completed.complaint.splitlines()
        reason = lines[-1] if lines else "it holds no AppC image"
        if "No space left" in reason:
            raise DiskFull(source=source.text, path=work.path)
        raise UnreadableSource(source=source.text, reason=reason)
    return json_object(completed.stdout)


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key) or []
    if not isinstance(found, list):
        raise BadConfig(f"{key} is not a list")
    return found


def _pairs(items: Iterable[Any], where: str) -> list[tuple[str, str]]:
    found = [mapping(item, where) for item in items]
    return [(text(item.get("name"), where), text(item.get("value"), where)) for item in found]


def _user(app: Mapping[str, Any], source: str) -> str:
    words = [text(app.get(key), f"app.{key}") for key in ("user", "group")]
    if any(word.startswith("/") for word in words):
        reason = "its user or group is given as the owner of a file; give a name or a number"
        raise UnsupportedSource(source=source, reason=reason)
    return ":".join(word for word in words if word)


def _port(port: Mapping[str, Any]) -> str:
    number, protocol = port.get("port"), text(port.get("protocol"), "protocol") or "tcp"
    if not isinstance(number, int) or number not in range(1, 65536):
        raise BadConfig("app.ports holds no port number")
    return f"{number}/{protocol.lower()}"


def _labels(manifest: Mapping[str, Any], app: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    found = {"appc.name": text(manifest.get("name"), "name")}
    if "version" in labels:
        found["org.opencontainers.image.version"] = labels["version"]
    for name, value in _pairs(_list(manifest, "annotations"), "annotations"):
        found[_ANNOTATIONS.get(name, f"appc.annotation.{name}")] = value
    for isolator in _list(app, "isolators"):
        entry = mapping(isolator, "isolator")
        found[f"appc.isolator.{text(entry.get('name'), 'isolator')}"] = json.dumps(entry.get("value"), sort_keys=True)
    for key in ("supplementaryGIDs", "eventHandlers"):
        if app.get(key):
            found[f"appc.{key}"] = json.dumps(app[key], sort_keys=True)
    if app.get("eventHandlers"):
        log.warning("AppC event handlers are kept as a label and not run image=%s", found["appc.name"])
    return found
