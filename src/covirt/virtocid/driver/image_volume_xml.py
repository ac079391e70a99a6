# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container image in libvirt's <volume>, with what its maker says of it in <covirt:image>."""

import os
from collections.abc import Iterator, Mapping
from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.oci.image.model import ContainerImage
from covirt.virtocid.driver.disk_facts import disk_size
from covirt.virtocid.driver.domain_xml.build import group, make
from covirt.virtocid.driver.domain_xml.document import write_document
from covirt.virtocid.driver.domain_xml.values import without_controls

_SPACE: Final = f"{{{COVIRT_NAMESPACE}}}"


def volume_xml(image: ContainerImage, *, users: Mapping[str, str | None], secure: bool) -> str:
    """``users``: names of the domains that hold the image, by UUID. Without ``secure``, no value of the environment.

    Raises OSError when the file is gone.
    """
    facts, size = os.stat(image.path), disk_size(image.path)
    volume = group(
        "volume",
        (
            make("name", image.name),
            make("key", image.path),
            make("source"),
            make("capacity", size.capacity, unit="bytes"),
            make("allocation", size.allocation, unit="bytes"),
            make("physical", size.physical, unit="bytes"),
            group("target", (make("path", image.path), make("format", type_="raw"), *_attributes(facts))),
        ),
        type_="file",
    )
    volume.append(_about(image, users, secure=secure))
    return write_document(volume)


def _attributes(facts: os.stat_result) -> Iterator[etree._Element]:
    yield group(
        "permissions",
        (
            make("mode", f"{facts.st_mode & 0o7777:04o}"),
            make("owner", facts.st_uid),
            make("group", facts.st_gid),
        ),
    )
    stamps = (("atime", facts.st_atime_ns), ("mtime", facts.st_mtime_ns), ("ctime", facts.st_ctime_ns))
    yield group("timestamps", (make(name, f"{value // 10**9}.{value % 10**9:09d}") for name, value in stamps))


def _about(image: ContainerImage, users: Mapping[str, str | None], *, secure: bool) -> etree._Element:
    about = etree.Element(f"{_SPACE}image", nsmap={"covirt": COVIRT_NAMESPACE})
    about.set("digest", image.digest)
    about.set("architecture", image.architecture)
    about.set("filesystem", image.filesystem)
    config = image.config
    for argument in config.entrypoint:
        _add(about, "entrypoint", argument)
    for argument in config.command:
        _add(about, "command", argument)
    for name, value in config.environment:
        _add(about, "environment", value if secure else None, name=name)
    _add(about, "directory", config.working_directory)
    if config.user:
        _add(about, "user", config.user)
    if config.stop_signal:
        _add(about, "stop", None, signal=config.stop_signal)
    for port in config.exposed_ports:
        _add(about, "port", port)
    for path in image.volumes:
        _add(about, "volume", path)
    for name, value in sorted(config.labels.items()):
        _add(about, "label", value, name=name)
    for uuid, name_of_user in sorted(users.items()):
        _add(about, "domain", name_of_user, uuid=uuid)
    return about


def _add(parent: etree._Element, tag: str, text: str | None, **attributes: str) -> None:
    child = etree.SubElement(parent, f"{_SPACE}{tag}")
    if text is not None:
        child.text = without_controls(text)
    for name, value in attributes.items():
        child.set(name, without_controls(value))
