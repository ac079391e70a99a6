# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The host's own devices, as libvirt knows them, in the words of Host.hostdevListByCaps.

An engine keeps them with the host when it is activated. None is handed to guests here, so that none is assignable.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import libvirt
from lxml import etree

from covirt.host.virt.document import attribute_of, child_text, read_xml
from covirt.host.virt.libvirt_errors import translated
from covirt.hostapi.json import JsonValue

_ROOT: Final = "computer"
_PCI: Final = "pci"
_ADDRESSES: Final = {
    _PCI: ("domain", "bus", "slot", "function"),
    "scsi": ("host", "bus", "target", "lun"),
    "usb_device": ("bus", "device"),
}


def host_devices(connection: Any, capabilities: Collection[str] = ()) -> Mapping[str, JsonValue]:
    """By libvirt's names; of some capabilities ("pci", "usb_device", …), or all. Raises HypervisorUnavailable."""
    found: dict[str, JsonValue] = {}
    with translated("list the devices of", "the host"):
        for device in connection.listAllDevices(0):
            try:
                text = device.XMLDesc(0)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_NODE_DEVICE:
                    raise
                continue  # it left just now
            root = read_xml(text)
            kind = attribute_of(root, "capability", "type")
            if not capabilities or kind in capabilities:
                found[child_text(root, "name")] = {"params": _params(root, kind)}
    return found


def _params(root: etree._Element, kind: str) -> dict[str, JsonValue]:
    params: dict[str, JsonValue] = {"capability": kind}
    if child_text(root, "name") != _ROOT:
        params["parent"] = child_text(root, "parent")
    texts = {
        "driver": child_text(root, "driver/name"),
        "udev_path": child_text(root, "capability/char"),
        "iommu_group": attribute_of(root, "capability/iommuGroup", "number"),
        "numa_node": attribute_of(root, "capability/numa", "node"),
    }
    for name in ("vendor", "product"):
        texts[name] = child_text(root, f"capability/{name}")
        texts[f"{name}_id"] = attribute_of(root, f"capability/{name}", "id")
    if kind == "storage":
        texts["product"] = child_text(root, "capability/model")
    params.update({name: text for name, text in texts.items() if text})
    if kind in _ADDRESSES:
        params["address"] = {name: child_text(root, f"capability/{name}") for name in _ADDRESSES[kind]}
    if kind == _PCI:
        params["is_assignable"] = "false"
    return params
