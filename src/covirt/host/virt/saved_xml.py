# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The XML that libvirt keeps with a machine's state: on storage, where others may have written to it. It is looked
through like an engine's, and given to libvirt again, which then reads the one in the file no more."""

from collections.abc import Collection
from typing import Final

from lxml import etree

from covirt.host.virt.document import children

# What libvirt has found or chosen for the run that was saved, and does again for the next.
_CHOSEN: Final = ("seclabel", "resource")
_TERMINALS: Final = ("channel", "console", "parallel", "serial")


def without_last_run(root: etree._Element, *, prepared: Collection[str]) -> None:
    """Change the <domain> in place. A disc that is none of the ``prepared`` files is taken out: one of first settings
    goes with the run that it was made for."""
    for tag in _CHOSEN:
        for element in children(root, tag):
            root.remove(element)
    for tag in _TERMINALS:
        for terminal in root.iterfind(f"devices/{tag}"):
            terminal.attrib.pop("tty", "")
            _remove_all(terminal, "source")
    for disk in root.iterfind("devices/disk"):
        _remove_all(disk, "backingStore")
        for source in disk.findall("source"):
            if disk.get("device") == "cdrom" and source.get("file") not in prepared:
                disk.remove(source)
            else:
                _remove_all(source, "seclabel")
                etree.SubElement(source, "seclabel", model="dac", relabel="no")


def _remove_all(element: etree._Element, tag: str) -> None:
    for child in element.findall(tag):
        element.remove(child)
