# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a source to a finished image file in a work directory: copy, unpack, pack, add the trailer."""

import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covirt.common.files import remove_tree
from covirt.oci.image import skopeo
from covirt.oci.image.aci import aci_layout
from covirt.oci.image.errors import (
    DiskFull,
    NoSuchSource,
    PackFailed,
    UnreadableSource,
    WrongArchitecture,
    WrongOperatingSystem,
)
from covirt.oci.image.layout import LayoutImage, read_layout
from covirt.oci.image.model import BadConfig, host_architecture, mapping, parse_config
from covirt.oci.image.options import ImportOptions, Progress, ProgressCallback, Step
from covirt.oci.image.pack import make_filesystem, unpack_layers
from covirt.oci.image.reference import Scheme, Source, scrub
from covirt.oci.image.shown_file import is_open_file
from covirt.oci.image.trailer import append_trailer
from covirt.oci.image.workdir import WorkDir


def make_image(
    source: Source, options: ImportOptions, *, work: WorkDir, filesystem: str, progress: ProgressCallback
) -> tuple[Path, str, str]:
    """Bring the image here as one file in ``work``: its path, its file digest, its manifest's digest."""
    name = scrub(source.text)
    skopeo.check_options(source, options)
    progress(Progress(step=Step.RESOLVE))
    wanted_source = source
    if source.path is not None and not source.path.exists():
        raise NoSuchSource(source=name)
    if source.scheme is Scheme.ACI:
        wanted_source = aci_layout(source, work)
    elif source.path is not None and is_open_file(source.path):
        wanted_source = source.shown_at(work.path / "archive")
        (work.path / "archive").touch(mode=0o400)
    total_bytes = _resolve(wanted_source, options, work)

    def watch(arrived: int) -> None:
        done = arrived if total_bytes is None else min(arrived, total_bytes)
        progress(Progress(step=Step.COPY, done_bytes=done, total_bytes=total_bytes))

    layout = work.inner / "layout"
    watch(0)
    skopeo.copy(
        wanted_source, options, work_dir=work.path, layout=layout, lock_descriptor=work.lock_descriptor, watch=watch
    )
    remove_tree(work.path / "download")
    image = _read(layout, name)
    progress(Progress(step=Step.UNPACK))
    began_ns = time.time_ns()
    unpack_layers(work, image, source=name)
    for spent in ("layout", "plain", "tar"):
        remove_tree(work.inner / spent)
    progress(Progress(step=Step.PACK))
    about = about_image(image.digest, image.config)
    path = make_filesystem(work, about, filesystem=filesystem, digest=image.digest, began_ns=began_ns, source=name)
    return path, seal(work, path, about, source=name), image.digest


def about_image(digest: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of image.json and of the trailer: the same for the same image, wherever and whenever imported."""
    return {"version": 1, "digest": digest, "architecture": config.get("architecture"), "config": config}


def seal(work: WorkDir, path: Path, about: Mapping[str, Any], *, source: str) -> str:
    """Make the packed file ours and read-only, and append the trailer; gives the file digest.

    Nothing confined runs any more, but what it left in its directory is still foreign: the name must be a plain file.
    """
    remove_tree(work.inner / "tree")
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise PackFailed(source=source, reason="the packed file is no plain file")
        os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, 0o400)
        try:
            digest = append_trailer(descriptor, about)
            os.fsync(descriptor)
        except OSError as error:
            raise DiskFull(source=source, path=work.path) from error
        except ValueError as error:
            raise PackFailed(source=source, reason=error) from error
    finally:
        os.close(descriptor)
    return digest


def _resolve(source: Source, options: ImportOptions, work: WorkDir) -> int | None:
    """Refuse what cannot run here before it is copied; gives the bytes to come, where the manifest tells them."""
    name = scrub(source.text)
    manifest = skopeo.inspect_manifest(source, options, work_dir=work.path)
    try:
        if "manifests" in manifest:
            _check_index(manifest, name)
            return None
        _check_platform(skopeo.inspect_config(source, options, work_dir=work.path), name)
        return _total_bytes(manifest)
    except BadConfig as error:
        raise UnreadableSource(source=name, reason=error) from error


def _check_index(index: Mapping[str, Any], name: str) -> None:
    entries = index["manifests"]
    if not isinstance(entries, list):
        raise BadConfig("manifests is not a list")
    wanted = host_architecture()
    found = set()
    for entry in entries:
        platform = mapping(mapping(entry, "manifest").get("platform"), "platform")
        # What says nothing of its platform is judged by its configuration, after the copy.
        if not platform or (platform.get("os") == "linux" and platform.get("architecture") == wanted):
            return
        found.add(f"{platform.get('os')}/{platform.get('architecture')}")
    raise WrongArchitecture(source=name, found=", ".join(sorted(found)) or "nothing", wanted=f"linux/{wanted}")


def _check_platform(config: Mapping[str, Any], name: str) -> None:
    operating_system = config.get("os") or "linux"
    if operating_system != "linux":
        raise WrongOperatingSystem(source=name, found=operating_system)
    found = config.get("architecture") or "unknown"
    if found != host_architecture():
        raise WrongArchitecture(source=name, found=found, wanted=host_architecture())


def _total_bytes(manifest: Mapping[str, Any]) -> int | None:
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        return None
    sizes = [mapping(layer, "layer").get("size") for layer in [*layers, manifest.get("config")]]
    whole = [size for size in sizes if isinstance(size, int) and size > 0]
    return sum(whole) if len(whole) == len(sizes) else None


def _read(layout: Path, name: str) -> LayoutImage:
    try:
        image = read_layout(layout)
        parse_config(image.config)
    except BadConfig as error:
        raise UnreadableSource(source=name, reason=error) from error
    _check_platform(image.config, name)
    return image
