# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine has at this moment, out of its domain's XML as its host tells it (Host.dumpxmls).

Statistics tell of the last sample, in which a device that was plugged just now is not.
"""

from pathlib import PurePosixPath

from lxml import etree

from covirt.common.errors import Unavailable
from covirt.common.xml_guard import PARSER_OPTIONS, UnsafeXml, bounded, guarded


class BadDomainXml(Unavailable):
    template = "The host's description of a machine cannot be read: {reason}."


def live_drives(xml: str) -> dict[str, str]:
    """Drives' names to the ids of the disks whose volumes are in them. Raises BadDomainXml."""
    found = {}
    for disk in _root(xml).iterfind("devices/disk"):
        target, source = disk.find("target"), disk.find("source")
        parts = PurePosixPath(source.get("file", "") if source is not None else "").parts
        if target is not None:
            found[str(target.get("dev", ""))] = parts[-2] if len(parts) > 2 else ""
    return found


def live_macs(xml: str) -> frozenset[str]:
    """Of its interfaces, in lower case. Raises BadDomainXml."""
    found = _root(xml).iterfind("devices/interface/mac")
    return frozenset(str(each.get("address", "")).lower() for each in found)


def _root(xml: str) -> etree._Element:
    try:
        root = etree.fromstring(guarded(xml), etree.XMLParser(**PARSER_OPTIONS))
        for _ in bounded(root):
            pass  # only its bounds count
    except (UnsafeXml, etree.XMLSyntaxError) as error:
        raise BadDomainXml(reason=str(error)) from error
    return root
