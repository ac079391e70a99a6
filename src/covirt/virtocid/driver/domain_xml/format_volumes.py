# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Write <covirt:volume>."""

from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.virtocid.driver.domain_xml.model_settings import ContainerSettings
from covirt.virtocid.driver.domain_xml.model_volumes import DiskMount

_NSMAP: Final = {"covirt": COVIRT_NAMESPACE}


def write_volumes(settings: ContainerSettings) -> list[etree._Element]:
    """Those of <covirt:container>."""
    return [
        *(
            _volume(disk=mapping.disk, target=mapping.mount.target, subpath=mapping.mount.subpath)
            for mapping in settings.volumes
        ),
        *(
            _volume(
                discard=each.target,
                size=each.size_bytes and str(each.size_bytes),
                units="bytes" if each.size_bytes else None,
            )
            for each in settings.discarded_volumes
        ),
    ]


def write_disk_mount(mount: DiskMount | None) -> etree._Element | None:
    """The one inside <disk>."""
    return None if mount is None else _volume(target=mount.target, subpath=mount.subpath)


def _volume(**attributes: object | None) -> etree._Element:
    element = etree.Element(f"{{{COVIRT_NAMESPACE}}}volume", nsmap=_NSMAP)
    for name, value in attributes.items():
        if value is not None:
            element.set(name, str(value))
    return element
