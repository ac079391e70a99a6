# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which XML is a container's, and its namespaces; written out here because nothing of covirt is imported."""

import xml.etree.ElementTree as ET  # the standard library's only one; a DOCTYPE is refused before
from typing import Final, Optional

CONTAINER_NAMESPACE: Final = "http://ovirt.org/vm/containers/1.0"
DRIVE_MAP_NAMESPACE: Final = "http://ovirt.org/vm/containers/drivemap/1.0"
VM_NAMESPACE: Final = "http://ovirt.org/vm/1.0"
TUNE_NAMESPACE: Final = "http://ovirt.org/vm/tune/1.0"
COVIRT_NAMESPACE: Final = "https://covirt.org/xmlns/container/1.0"
STOP_CAUSE_NAMESPACE: Final = "https://covirt.org/xmlns/stop-cause/1.0"
QEMU_NAMESPACE: Final = "http://libvirt.org/schemas/domain/qemu/1.0"

# The type of a container's domain. libvirt knows no such type, so no QEMU ever boots what says it.
DOMAIN_TYPE: Final = "oci"
TYPE_PROPERTY: Final = "containerType"

CONTAINER: Final = f"{{{CONTAINER_NAMESPACE}}}container"
_CUSTOM_TYPE: Final = f"metadata/{{{VM_NAMESPACE}}}vm/{{{VM_NAMESPACE}}}custom/{{{VM_NAMESPACE}}}{TYPE_PROPERTY}"
# What is in every container's XML, and hardly in another's: most definitions are not read at all.
_SIGNS: Final = (CONTAINER_NAMESPACE, TYPE_PROPERTY, DOMAIN_TYPE)

for _prefix, _uri in (
    ("ovirtcnt", CONTAINER_NAMESPACE),
    ("ovirtdm", DRIVE_MAP_NAMESPACE),
    ("ovirt-vm", VM_NAMESPACE),
    ("ovirt-tune", TUNE_NAMESPACE),
    ("covirt", COVIRT_NAMESPACE),
    ("qemu", QEMU_NAMESPACE),
):
    ET.register_namespace(_prefix, _uri)


def read(text: str) -> ET.Element:
    """The root element. Raises ValueError."""
    if "<!DOCTYPE" in text:
        raise ValueError("a DOCTYPE is not allowed")
    try:
        return ET.fromstring(text)  # noqa: S314  # no DOCTYPE, so no entity
    except ET.ParseError as error:
        raise ValueError(f"it is not XML: {error}") from error


def container_in(text: str) -> Optional[ET.Element]:
    """The <domain>, when the XML is a container's. Raises ValueError for XML that hides what it is."""
    if not any(sign in text for sign in _SIGNS):
        return None
    root = read(text)
    return root if is_container(root) else None


def is_container(root: ET.Element) -> bool:
    """Whether a <domain> says so by its type, in oVirt's element, or in Vdsm's copy of the custom properties, an
    empty one too: who wrote that did not want a virtual machine."""
    return (
        root.get("type") == DOMAIN_TYPE
        or root.find(f"metadata/{CONTAINER}") is not None
        or root.find(_CUSTOM_TYPE) is not None
    )
