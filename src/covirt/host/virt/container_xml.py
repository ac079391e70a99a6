# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's machine becomes a container's definition: custom properties go where virtocid reads them.

What the XML says itself counts more than a property. The domain's type is ``oci`` afterwards, so that no QEMU ever
boots it, wherever it may be sent.
"""

from collections.abc import Mapping
from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE, OVIRT_CONTAINER_NAMESPACE, OVIRT_DRIVE_MAP_NAMESPACE
from covirt.host.virt.container_errors import NoContainerImage
from covirt.host.virt.container_properties import ContainerProperties, RestartPolicy, VolumeLabel, read_properties
from covirt.host.virt.document import attribute_of, child_text, made_child

_OVIRT_CONTAINER: Final = f"{{{OVIRT_CONTAINER_NAMESPACE}}}container"
_OVIRT_RUNTIME: Final = f"{{{OVIRT_CONTAINER_NAMESPACE}}}runtime"
_OVIRT_IMAGE: Final = f"{{{OVIRT_CONTAINER_NAMESPACE}}}image"
_DRIVE_MAP: Final = f"{{{OVIRT_DRIVE_MAP_NAMESPACE}}}drivemap"
_CONTAINER: Final = f"{{{COVIRT_NAMESPACE}}}container"
_DOMAIN_TYPE: Final = "oci"
_OS_TYPE: Final = "exe"
# What an absent runtime is called in oVirt's element, whose readers expect a word there.
_DEFAULT_RUNTIME: Final = "docker"


def covirt_name(name: str) -> str:
    """A tag of <covirt:container>."""
    return f"{{{COVIRT_NAMESPACE}}}{name}"


def drive_names(root: etree._Element) -> tuple[str, ...]:
    """Target names of the disks that can hold volumes: vda, vdb, …"""
    return tuple(
        attribute_of(disk, "target", "dev")
        for disk in root.iterfind("devices/disk")
        if disk.get("device", "disk") == "disk"
    )


def apply_properties(root: etree._Element, custom: Mapping[str, str]) -> ContainerProperties:
    """Change a <domain> into a container's, and tell what its properties were. Raises BadContainerProperty."""
    properties = read_properties(custom, drives=drive_names(root))
    root.set("type", _DOMAIN_TYPE)
    kind = made_child(made_child(root, "os"), "type")
    kind.text = _OS_TYPE
    if "machine" in kind.attrib:
        del kind.attrib["machine"]
    _set_process(made_child(root, "os"), properties)
    metadata = made_child(root, "metadata")
    _set_image(root, metadata, properties)
    _set_volumes(metadata, properties)
    _set_settings(metadata, properties)
    _give_terminal(root)
    return properties


def chosen_runtime(root: etree._Element) -> str | None:
    """The runtime that a container's definition names; None is the host's default."""
    own = (root.findtext(f"metadata/{_CONTAINER}/{covirt_name('runtime')}") or "").strip()
    if own:
        return own
    name = (root.findtext(f"metadata/{_OVIRT_CONTAINER}/{_OVIRT_RUNTIME}") or "").strip()
    return None if name in ("", _DEFAULT_RUNTIME) else name


def _set_process(os: etree._Element, properties: ContainerProperties) -> None:
    """The command takes the place of the image's command and leaves its entrypoint, as "docker run IMAGE COMMAND"."""
    if os.find("init") is None and os.find("initarg") is None:
        for word in properties.command:
            etree.SubElement(os, "initarg").text = word
    present = {variable.get("name") for variable in os.iterfind("initenv")}
    for name, value in properties.environment:
        if name not in present:
            etree.SubElement(os, "initenv", name=name).text = value


def _set_image(root: etree._Element, metadata: etree._Element, properties: ContainerProperties) -> None:
    container = metadata.find(_OVIRT_CONTAINER)
    if container is None:
        container = etree.SubElement(metadata, _OVIRT_CONTAINER, nsmap={"ovirtcnt": OVIRT_CONTAINER_NAMESPACE})
    if not child_text(container, _OVIRT_RUNTIME):
        made_child(container, _OVIRT_RUNTIME).text = properties.runtime or _DEFAULT_RUNTIME
    if properties.image and not child_text(container, _OVIRT_IMAGE):
        made_child(container, _OVIRT_IMAGE).text = properties.image
    if not (child_text(container, _OVIRT_IMAGE) or _has_image(root)):
        raise NoContainerImage()


def _has_image(root: etree._Element) -> bool:
    """Whether a drive, a <filesystem> at "/" or covirt's own element names the image."""
    if root.findtext(f"metadata/{_CONTAINER}/{covirt_name('image')}"):
        return True
    if any(attribute_of(found, "target", "dir") == "/" for found in root.iterfind("devices/filesystem")):
        return True
    return any(
        attribute_of(disk, "source", "file") or attribute_of(disk, "source", "dev")
        for disk in root.iterfind("devices/disk")
        if disk.get("device") == "cdrom"
    )


def _set_volumes(metadata: etree._Element, properties: ContainerProperties) -> None:
    labels = [volume for volume in properties.volumes if not volume.label.startswith("/")]
    if labels and metadata.find(_DRIVE_MAP) is None:
        drive_map = etree.SubElement(metadata, _DRIVE_MAP, nsmap={"ovirtdm": OVIRT_DRIVE_MAP_NAMESPACE})
        for volume in labels:
            tag = f"{{{OVIRT_DRIVE_MAP_NAMESPACE}}}{volume.label}"
            etree.SubElement(drive_map, tag).text = volume.drive


def _set_settings(metadata: etree._Element, properties: ContainerProperties) -> None:
    settings = metadata.find(_CONTAINER)
    if settings is None:
        settings = etree.SubElement(metadata, _CONTAINER, nsmap={"covirt": COVIRT_NAMESPACE})
    for volume in properties.volumes:
        _mount_at_path(settings, volume)
    for path in properties.discarded:
        _add_once(settings, "volume", "discard", path)
    if settings.find(covirt_name("root")) is None:
        _set_root(settings, properties.root_drive)
    wants_restart = properties.restart not in (None, RestartPolicy.NEVER)
    if wants_restart and settings.find(covirt_name("restart")) is None:
        etree.SubElement(settings, covirt_name("restart"), policy=str(properties.restart))


def _mount_at_path(settings: etree._Element, volume: VolumeLabel) -> None:
    if volume.label.startswith("/"):
        added = _add_once(settings, "volume", "disk", volume.drive)
        if added is not None:
            added.set("target", volume.label)


def _set_root(settings: etree._Element, drive: str | None) -> None:
    """What a container wrote outside its volumes goes with the run, so that it can start on any host next time."""
    root = etree.SubElement(settings, covirt_name("root"))
    if drive is None:
        root.set("layer", "discarded")
    else:
        root.set("layer", "kept")
        root.set("disk", drive)


def _add_once(settings: etree._Element, tag: str, key: str, value: str) -> etree._Element | None:
    """A new element, or None when there is one that says something of the same."""
    if any(element.get(key) == value for element in settings.iterchildren(covirt_name(tag))):
        return None
    element = etree.SubElement(settings, covirt_name(tag))
    element.set(key, value)
    return element


def _give_terminal(root: etree._Element) -> None:
    """oVirt's console is a socket of its own proxy; a container's is a terminal. Without one it gets none."""
    for console in root.iterfind("devices/console"):
        console.set("type", "pty")
        for child in list(console):
            if child.tag != "log":
                console.remove(child)
