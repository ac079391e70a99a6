# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures that are not about containers at all: the host's own objects, other ways in, and our own messages.

They are refused like all others, each with the reason; ``docs/conformance.md`` calls them "not applicable".
"""

from collections.abc import Mapping
from typing import Final

from covirt.virtocid.dispatch import HandlerTable
from covirt.wire.framing import QEMU_PROGRAM

_REASONS: Final[Mapping[str, Mapping[int, str]]] = {
    "libvirt's own daemon has the host's networks: virsh -c network:///system or qemu:///system": {
        36: "virConnectListDefinedNetworks",
        38: "virConnectListNetworks",
        39: "virNetworkCreate",
        40: "virNetworkCreateXML",
        41: "virNetworkDefineXML",
        42: "virNetworkDestroy",
        43: "virNetworkGetXMLDesc",
        44: "virNetworkGetAutostart",
        45: "virNetworkGetBridgeName",
        46: "virNetworkLookupByName",
        47: "virNetworkLookupByUUID",
        48: "virNetworkSetAutostart",
        49: "virNetworkUndefine",
        50: "virConnectNumOfDefinedNetworks",
        52: "virConnectNumOfNetworks",
        152: "virNetworkIsActive",
        153: "virNetworkIsPersistent",
        283: "virConnectListAllNetworks",
        291: "virNetworkUpdate",
        341: "virNetworkGetDHCPLeases",
        404: "virNetworkListAllPorts",
        405: "virNetworkPortLookupByUUID",
        406: "virNetworkPortCreateXML",
        407: "virNetworkPortGetParameters",
        408: "virNetworkPortSetParameters",
        409: "virNetworkPortGetXMLDesc",
        410: "virNetworkPortDelete",
        432: "virNetworkDefineXMLFlags",
        437: "virNetworkCreateXMLFlags",
    },
    "libvirt's own daemon has the host's packet filters: virsh -c nwfilter:///system or qemu:///system": {
        177: "virNWFilterGetXMLDesc",
        180: "virNWFilterDefineXML",
        181: "virNWFilterUndefine",
        397: "virNWFilterBindingLookupByPortDev",
        398: "virNWFilterBindingGetXMLDesc",
        399: "virNWFilterBindingCreateXML",
        400: "virNWFilterBindingDelete",
        401: "virConnectListAllNWFilterBindings",
        431: "virNWFilterDefineXMLFlags",
    },
    "libvirt's own daemon has the host's devices: virsh -c nodedev:///system or qemu:///system": {
        111: "virNodeNumOfDevices",
        112: "virNodeListDevices",
        113: "virNodeDeviceLookupByName",
        114: "virNodeDeviceGetXMLDesc",
        115: "virNodeDeviceGetParent",
        116: "virNodeDeviceNumOfCaps",
        117: "virNodeDeviceListCaps",
        118: "virNodeDeviceDettach",
        119: "virNodeDeviceReAttach",
        120: "virNodeDeviceReset",
        123: "virNodeDeviceCreateXML",
        124: "virNodeDeviceDestroy",
        285: "virConnectListAllNodeDevices",
        297: "virNodeDeviceLookupSCSIHostByWWN",
        301: "virNodeDeviceDetachFlags",
        428: "virNodeDeviceDefineXML",
        429: "virNodeDeviceUndefine",
        430: "virNodeDeviceCreate",
        433: "virNodeDeviceGetAutostart",
        434: "virNodeDeviceSetAutostart",
        435: "virNodeDeviceIsPersistent",
        436: "virNodeDeviceIsActive",
    },
    "libvirt's own daemon has the host's interfaces: virsh -c interface:///system or qemu:///system": {
        126: "virConnectNumOfInterfaces",
        127: "virConnectListInterfaces",
        128: "virInterfaceLookupByName",
        129: "virInterfaceLookupByMACString",
        130: "virInterfaceGetXMLDesc",
        131: "virInterfaceDefineXML",
        132: "virInterfaceUndefine",
        133: "virInterfaceCreate",
        134: "virInterfaceDestroy",
        137: "virConnectNumOfDefinedInterfaces",
        138: "virConnectListDefinedInterfaces",
        156: "virInterfaceIsActive",
        220: "virInterfaceChangeBegin",
        221: "virInterfaceChangeCommit",
        222: "virInterfaceChangeRollback",
        284: "virConnectListAllInterfaces",
    },
    "libvirt's own daemon manages the host: virsh -c qemu:///system": {
        203: "virConnectGetSysinfo",
        250: "virNodeSuspendForDuration",
        288: "virNodeSetMemoryParameters",
        289: "virNodeGetMemoryParameters",
        347: "virNodeAllocPages",
        395: "virNodeGetSEVInfo",
    },
    "the kernel tells who is at the other end of a unix socket": {
        67: "SASL",
        68: "SASL",
        69: "SASL",
        419: "virConnectSetIdentity",
    },
    "clients that ask for events by callback number (316) need no older form": {
        105: "virConnectDomainEventRegister",
        106: "virConnectDomainEventDeregister",
        167: "virConnectDomainEventRegisterAny",
        168: "virConnectDomainEventDeregisterAny",
    },
}
_OUR_MESSAGES: Final[Mapping[str, tuple[int, ...]]] = {
    "it is a message of the daemon in its older form, and clients do not call it": (
        *(107, 169, 170, 171, 172, 173, 195, 224, 241, 248, 268, 269, 270, 276, 292, 311),
    ),
    "it is a message of the daemon, and clients do not call it": (
        *range(318, 334),
        *(315, 339, 346, 348, 354, 359, 362, 363, 367, 370, 373, 376, 377, 379, 382, 383, 385, 423, 438),
    ),
}
_QEMU_MESSAGES: Final = (6,)


def refuse_foreign(table: HandlerTable) -> None:
    """Give each of them its reason."""
    for reason, functions in _REASONS.items():
        for number, function in functions.items():
            table.refuse(number, function, reason, applicable=False)
    for reason, numbers in _OUR_MESSAGES.items():
        for number in numbers:
            table.refuse(number, f"event {number}", reason, applicable=False)
    for number in _QEMU_MESSAGES:
        reason = "it is a message of QEMU's monitor, which a container does not have"
        table.refuse(number, f"event {number}", reason, program=QEMU_PROGRAM, applicable=False)
