# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Discs made of files that an engine sends along with a machine: its first settings, for cloud-init or Sysprep.

The files stand in oVirt's block, beside the CD-ROM drive that shall have them. They may hold passwords, so they are
taken out of the XML before anybody keeps or passes on any of it, and are in the disc alone.
"""

import base64
import binascii
import io
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lxml import etree

from covirt.common.dialect import OVIRT_VM_NAMESPACE
from covirt.common.files import make_directory
from covirt.host.virt.document import attribute_of, child_text
from covirt.host.virt.errors import BadPayload
from covirt.host.virt.ovirt_metadata import DEVICE_TAG, PAYLOAD_TAG, VM_TAG

_FILE_TAG: Final = f"{{{OVIRT_VM_NAMESPACE}}}file"
_LABEL_TAG: Final = f"{{{OVIRT_VM_NAMESPACE}}}volId"
_MOST_BYTES: Final = 1 << 20
_MOST_FILES: Final = 64
_DEEPEST: Final = 7  # what ISO 9660 allows
_LONGEST_NAME: Final = 64  # characters that Joliet has of a name
_LONGEST_LABEL: Final = 16  # of a disc, in Joliet


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """``drive``: its name in the machine, as hdd. ``files``: by their paths on the disc."""

    drive: str
    label: str
    files: Mapping[str, bytes]

    def __repr__(self) -> str:  # it stands in no log
        return f"Payload({self.drive})"


def read_payload(root: etree._Element) -> Payload | None:
    """What a <domain> brings along; None without, and where the files were taken out. Raises BadPayload."""
    found = [each for each in _payloads(root) if each.find(_FILE_TAG) is not None]
    if not found:
        return None
    drives = [_drive(each) for each in found]
    if len(found) > 1:
        raise BadPayload(drive=", ".join(drives), reason="a machine has one such disc")
    drive, label = drives[0], child_text(found[0], _LABEL_TAG)
    if not drive or _disk(root, drive) is None:
        raise BadPayload(drive=drive, reason="the machine has no CD-ROM drive of this name")
    if len(label) > _LONGEST_LABEL:
        raise BadPayload(drive=drive, reason=f"a disc's name has {_LONGEST_LABEL} characters at most")
    return Payload(drive=drive, label=label, files=_files(found[0], drive))


def take_files_out(root: etree._Element) -> bool:
    """Of a <domain>'s block, which keeps the rest of it; its drive is empty then. Whether there were any."""
    taken = False
    for payload in _payloads(root):
        for file in payload.findall(_FILE_TAG):
            payload.remove(file)
            taken = True
        if (disk := _disk(root, _drive(payload))) is not None:
            _empty(disk)
    return taken


def insert_disc(root: etree._Element, drive: str, path: str) -> None:
    """Into the <domain>'s drive of that name. Its owner becomes whoever libvirt starts the machine as."""
    disk = _disk(root, drive)
    if disk is None:
        raise BadPayload(drive=drive, reason="the machine has no CD-ROM drive of this name")
    disk.set("type", "file")
    _empty(disk)
    disk.insert(0, etree.Element("source", file=path))


class PayloadDiscs:
    """One a machine, in a directory that goes with the boot."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, vm_id: str, payload: Payload) -> str:
        """The path of the disc; one that is there is replaced. Raises OSError."""
        data = _image(payload)
        make_directory(self._directory)  # QEMU passes through it
        path = self._path(vm_id)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        return str(path)

    def remove(self, vm_id: str) -> None:
        """One that is not there is fine."""
        self._path(vm_id).unlink(missing_ok=True)

    def _path(self, vm_id: str) -> Path:
        return self._directory / f"{uuid.UUID(vm_id)}.iso"


def _payloads(root: etree._Element) -> list[etree._Element]:
    return root.findall(f"metadata/{VM_TAG}/{DEVICE_TAG}/{PAYLOAD_TAG}")


def _drive(payload: etree._Element) -> str:
    device = payload.getparent()
    return "" if device is None else device.get("name", "")


def _disk(root: etree._Element, drive: str) -> etree._Element | None:
    disks = root.iterfind("devices/disk[@device='cdrom']")
    return next((disk for disk in disks if attribute_of(disk, "target", "dev") == drive), None)


def _empty(disk: etree._Element) -> None:
    for source in disk.findall("source"):
        disk.remove(source)


def _files(payload: etree._Element, drive: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for file in payload.iterchildren(_FILE_TAG):
        path = _checked(file.get("path", ""), drive)
        try:
            found[path] = base64.b64decode("".join((file.text or "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise BadPayload(drive=drive, reason=f"{path} is not in base64") from None  # which would show it
    if len(found) > _MOST_FILES or sum(map(len, found.values())) > _MOST_BYTES:
        raise BadPayload(drive=drive, reason=f"it has {_MOST_FILES} files and {_MOST_BYTES >> 20} MiB at most")
    if any(other.startswith(f"{path}/") for path in found for other in found):
        raise BadPayload(drive=drive, reason="a file has the name of a directory")
    return found


def _checked(path: str, drive: str) -> str:
    parts = path.strip("/").split("/")
    if not path or len(parts) > _DEEPEST or any(not _is_name(part) for part in parts):
        raise BadPayload(drive=drive, reason=f"{path[:80]!r} is no path on a disc")
    return "/".join(parts)


def _is_name(part: str) -> bool:
    return part not in ("", ".", "..") and len(part) <= _LONGEST_NAME and part.isprintable() and "\\" not in part


def _image(payload: Payload) -> bytes:
    """ISO 9660 with Rock Ridge and Joliet, so that every guest reads the names as they are."""
    import pycdlib  # 3 MiB, which few hosts need

    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=payload.label)
    places = {"": ""}
    names = _short_names()
    for path, data in sorted(payload.files.items()):
        above = _directory(disc, path.rpartition("/")[0], places, names)
        place = f"{above}/{next(names)}.;1"
        name = path.rpartition("/")[2]
        disc.add_fp(io.BytesIO(data), len(data), place, rr_name=name, joliet_path=f"/{path}")
    written = io.BytesIO()
    disc.write_fp(written)
    disc.close()
    return written.getvalue()


def _directory(disc: Any, path: str, places: dict[str, str], names: Iterator[str]) -> str:
    """Where it is in ISO 9660's own names, made with those above it."""
    if path not in places:
        above, _, name = path.rpartition("/")
        places[path] = f"{_directory(disc, above, places, names)}/{next(names)}"
        disc.add_directory(places[path], rr_name=name, joliet_path=f"/{path}")
    return places[path]


def _short_names() -> Iterator[str]:
    """All that ISO 9660 alone would know of a file."""
    yield from (f"N{number:07}" for number in range(_MOST_FILES * (_DEEPEST + 1)))
