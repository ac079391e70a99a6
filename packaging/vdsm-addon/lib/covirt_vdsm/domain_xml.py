# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine's definition becomes a container's: what the properties say goes where virtocid reads it.

What the XML says itself counts more. The type is ``oci`` afterwards: whatever becomes of it, no QEMU boots it.
"""

import xml.etree.ElementTree as ET
from typing import Final, Optional

from covirt_vdsm import dialect
from covirt_vdsm.dialect import CONTAINER, CONTAINER_NAMESPACE, COVIRT_NAMESPACE, DRIVE_MAP_NAMESPACE
from covirt_vdsm.properties import DEFAULT_RUNTIME, BadProperty, Properties, is_disk_id, is_drive

_RUNTIME: Final = f"{{{CONTAINER_NAMESPACE}}}runtime"
_IMAGE: Final = f"{{{CONTAINER_NAMESPACE}}}image"
_DRIVE_MAP: Final = f"{{{DRIVE_MAP_NAMESPACE}}}drivemap"
_SETTINGS: Final = f"{{{COVIRT_NAMESPACE}}}container"


def drives(root: ET.Element) -> frozenset[str]:
    """vda, vdb, …: the disks that can be volumes."""
    disks = (disk for disk in root.iterfind("devices/disk") if disk.get("device", "disk") == "disk")
    return frozenset(_target(disk) for disk in disks) - {""}


def make_container(root: ET.Element, wanted: Optional[Properties]) -> None:
    """Change a <domain>; without properties its metadata say everything. Raises BadProperty."""
    properties = wanted or Properties(runtime=DEFAULT_RUNTIME)
    root.set("type", dialect.DOMAIN_TYPE)
    os = _child(root, "os")
    kind = _child(os, "type")
    kind.text = "exe"
    kind.attrib.pop("machine", None)
    metadata = _child(root, "metadata")
    _set_process(os, properties)
    _set_image(root, metadata, properties)
    _set_volumes(metadata, properties)
    _set_settings(metadata, properties)
    _need_places(root, metadata)
    for console in root.iterfind("devices/console"):
        _give_terminal(console)
    _remove_screens(root)


def with_addresses(xml: str) -> str:
    """The XML of a domain, with an address for every disk: libvirt makes them up, and Vdsm needs one."""
    root = dialect.read(xml)
    lacking = [disk for disk in root.iterfind("devices/disk") if disk.find("address") is None]
    if not lacking:
        return xml
    for disk in lacking:
        place = {"controller": "0", "bus": "0", "target": "0", "unit": str(_number(_target(disk)))}
        ET.SubElement(disk, "address", {"type": "drive", **place})
    return ET.tostring(root, encoding="unicode")


def _number(target: str) -> int:
    """vda -> 0, vdb -> 1, …, vdaa -> 26: the same for a disk's whole life."""
    number = 0
    for letter in target[2:]:
        number = number * 26 + ord(letter) - ord("a") + 1
    return max(number - 1, 0)


def _set_process(os: ET.Element, properties: Properties) -> None:
    """The command takes the place of the image's command and leaves its entrypoint, as "docker run IMAGE COMMAND"."""
    if os.find("init") is None and os.find("initarg") is None:
        for word in properties.command:
            ET.SubElement(os, "initarg").text = word
    present = {variable.get("name") for variable in os.iterfind("initenv")}
    for name, value in properties.environment:
        if name not in present:
            ET.SubElement(os, "initenv", {"name": name}).text = value


def _set_image(root: ET.Element, metadata: ET.Element, properties: Properties) -> None:
    container = _child(metadata, CONTAINER)
    if not (container.findtext(_RUNTIME) or "").strip():
        _child(container, _RUNTIME).text = properties.runtime
    image = (container.findtext(_IMAGE) or "").strip() or properties.image
    disk = _image_disk(root, image)
    if disk is not None:
        image = _become_image(disk)
    if image:
        _child(container, _IMAGE).text = image
    elif not _has_image_drive(root):
        raise BadProperty(
            "containerImage: it is missing; give it the name of an image on the host or a disk of this machine, or "
            "attach a CD with the image"
        )


def _image_disk(root: ET.Element, image: str) -> Optional[ET.Element]:
    """The disk that is meant, by its drive or by oVirt's disk ID, which is its serial number."""
    disks = root.findall("devices/disk")
    if is_disk_id(image):
        for disk in disks:
            if _disk_id(disk) == image.lower():
                return disk
        raise BadProperty(f"containerImage: this machine has no disk {image}")
    # An image may be called sdk: only a drive that is there counts as one.
    return next((disk for disk in disks if is_drive(image) and _target(disk) == image), None)


def _become_image(disk: ET.Element) -> str:
    """Shown to virtocid as what it reads an image from; the path is Vdsm's own, which has prepared the volume."""
    source = disk.find("source")
    path = "" if source is None else source.get("file") or source.get("dev") or ""
    if not path:
        raise BadProperty(f"containerImage: the disk {_target(disk)} has no file and no block device")
    driver = disk.find("driver")
    if driver is not None and driver.get("type", "raw") != "raw":
        raise BadProperty(f"containerImage: the disk {_target(disk)} is not raw; copy the image to a raw one")
    disk.set("device", "cdrom")
    _child(disk, "readonly")
    return path


def _has_image_drive(root: ET.Element) -> bool:
    for disk in root.iterfind("devices/disk"):
        source = disk.find("source")
        if disk.get("device") == "cdrom" and source is not None and (source.get("file") or source.get("dev")):
            return True
    return root.find(f"metadata/{_SETTINGS}/{{{COVIRT_NAMESPACE}}}image") is not None


def _set_volumes(metadata: ET.Element, properties: Properties) -> None:
    labels = [(drive, label) for drive, label in properties.volumes if not label.startswith("/")]
    if labels and metadata.find(_DRIVE_MAP) is None:
        drive_map = ET.SubElement(metadata, _DRIVE_MAP)
        for drive, label in labels:
            ET.SubElement(drive_map, f"{{{DRIVE_MAP_NAMESPACE}}}{label}").text = drive


def _set_settings(metadata: ET.Element, properties: Properties) -> None:
    settings = _child(metadata, _SETTINGS)
    for drive, label in properties.volumes:
        if label.startswith("/"):
            _add(settings, "volume", {"disk": drive, "target": label})
    for path in properties.discarded:
        _add(settings, "volume", {"discard": path})
    if settings.find(_setting("root")) is None:
        # Without a disk, what was written outside of volumes ends with the run: the next one may be on any host.
        drive = properties.root_drive
        _add(settings, "root", {"layer": "kept", "disk": drive} if drive else {"layer": "discarded"})
    if properties.restart not in ("", "never") and settings.find(_setting("restart")) is None:
        _add(settings, "restart", {"policy": properties.restart})


def _need_places(root: ET.Element, metadata: ET.Element) -> None:
    """virtocid refuses a disk without a place too, but speaks of its XML, which nobody at an engine has written."""
    placed = {drive.text for drive in metadata.iterfind(f"{_DRIVE_MAP}/*")}
    placed |= {each.get("disk") for each in metadata.iterfind(f"{_SETTINGS}/*")}
    placed |= {_target(disk) for disk in root.iterfind("devices/disk") if disk.find(_setting("volume")) is not None}
    for drive in sorted(drives(root) - placed):
        raise BadProperty(
            f"volumeMap: it does not say where the disk {drive} is to be mounted; add {drive}:/a/path, or "
            f"{drive}:name for a volume of the image"
        )


def _give_terminal(console: ET.Element) -> None:
    """oVirt's is a socket for a proxy of its own; a container's is a terminal."""
    console.set("type", "pty")
    for child in list(console):
        if child.tag != "log":
            console.remove(child)


def _remove_screens(root: ET.Element) -> None:
    """There is none; and of a machine without one Vdsm knows that it has no password to set."""
    devices = root.find("devices")
    if devices is not None:
        for graphics in devices.findall("graphics"):
            devices.remove(graphics)


def _setting(name: str) -> str:
    return f"{{{COVIRT_NAMESPACE}}}{name}"


def _add(settings: ET.Element, name: str, attributes: dict[str, str]) -> None:
    ET.SubElement(settings, _setting(name), attributes)


def _child(element: ET.Element, tag: str) -> ET.Element:
    found = element.find(tag)
    return ET.SubElement(element, tag) if found is None else found


def _target(disk: ET.Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def _disk_id(disk: ET.Element) -> str:
    return (disk.findtext("serial") or "").strip().lower()
