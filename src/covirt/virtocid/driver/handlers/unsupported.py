# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What stock clients can ask for and a container cannot do: libvirt's "not supported", with the reason in words.

Numbers are those of remote_protocol.x; what is in no table of ours (and so cannot be decoded) can be refused too.
"""

from collections.abc import Mapping
from typing import Final

from covirt.virtocid.dispatch import HandlerTable
from covirt.wire.framing import LXC_PROGRAM, QEMU_PROGRAM

_REASONS: Final[Mapping[str, Mapping[int, str]]] = {
    "a container's processes cannot be saved to a file": {
        53: "virDomainCoreDump",
        54: "virDomainRestore",
        55: "virDomainSave",
        182: "virDomainManagedSave",
        232: "virDomainSaveFlags",
        233: "virDomainRestoreFlags",
        235: "virDomainSaveImageGetXMLDesc",
        236: "virDomainSaveImageDefineXML",
        388: "virDomainManagedSaveGetXMLDesc",
    },
    "a container has no snapshots": {
        185: "virDomainSnapshotCreateXML",
        189: "virDomainSnapshotLookupByName",
        190: "virDomainHasCurrentSnapshot",
        191: "virDomainSnapshotCurrent",
        411: "virDomainCheckpointCreateXML",
        413: "virDomainListAllCheckpoints",
        421: "virDomainBackupBegin",
    },
    "a container is not migrated; start it on the other host": {
        61: "virDomainMigratePrepare",
        62: "virDomainMigratePerform",
        164: "virDomainAbortJob",
        166: "virDomainMigrateSetMaxDowntime",
        387: "virDomainMigrateGetMaxDowntime",
        427: "virDomainStartDirtyRateCalc",
    },
    "a container has no screen and no keyboard": {211: "virDomainScreenshot", 226: "virDomainSendKey"},
    "a container has no firmware and no sleep states": {
        210: "virDomainInjectNMI",
        261: "virDomainPMSuspendForDuration",
        267: "virDomainPMWakeup",
    },
    "a container has no guest agent": {
        277: "virDomainGetHostname",
        294: "virDomainFSTrim",
        335: "virDomainFSFreeze",
        336: "virDomainFSThaw",
        337: "virDomainGetTime",
        338: "virDomainSetTime",
        349: "virDomainGetFSInfo",
        357: "virDomainSetUserPassword",
        371: "virDomainGetGuestVcpus",
        372: "virDomainSetGuestVcpus",
        418: "virDomainGetGuestInfo",
    },
    "devices of a running container cannot be changed yet; define it anew and start it again": {
        8: "virDomainAttachDevice",
        13: "virDomainDetachDevice",
        160: "virDomainAttachDeviceFlags",
        161: "virDomainDetachDeviceFlags",
        174: "virDomainUpdateDeviceFlags",
    },
    "limits of a running container cannot be changed yet; define it anew and start it again": {
        26: "virDomainPinVcpu",
        30: "virDomainSetMaxMemory",
        31: "virDomainSetMemory",
        32: "virDomainSetVcpus",
        58: "virDomainSetSchedulerParameters",
        197: "virDomainSetMemoryParameters",
        199: "virDomainSetVcpusFlags",
        204: "virDomainSetMemoryFlags",
        205: "virDomainSetBlkioParameters",
        219: "virDomainSetSchedulerParametersFlags",
        225: "virDomainPinVcpuFlags",
        384: "virDomainSetVcpu",
    },
    "a container has no emulator and no threads of one": {
        279: "virDomainPinEmulator",
        280: "virDomainGetEmulatorPinInfo",
        351: "virDomainGetIOThreadInfo",
        355: "virDomainAddIOThread",
    },
    "a container's disks are files that are mounted, not devices of a machine": {
        237: "virDomainBlockJobAbort",
        238: "virDomainGetBlockJobInfo",
        240: "virDomainBlockPull",
        251: "virDomainBlockResize",
        253: "virDomainGetBlockIoTune",
        263: "virDomainGetDiskErrors",
        266: "virDomainBlockRebase",
        290: "virDomainBlockCommit",
        386: "virDomainSetBlockThreshold",
    },
    "a container's memory comes from every node": {
        254: "virDomainSetNumaParameters",
        255: "virDomainGetNumaParameters",
    },
    "an interface of a container has no bandwidth limits": {257: "virDomainGetInterfaceParameters"},
    "a container keeps its name; define it anew under the other one": {358: "virDomainRename"},
    "the kernel keeps no such numbers for a container": {365: "virDomainGetPerfEvents"},
    "libvirt's own daemon has the host's networks: virsh -c network:///system or qemu:///system": {
        36: "virConnectListDefinedNetworks",
        38: "virConnectListNetworks",
        41: "virNetworkCreateXML",
        42: "virNetworkDefineXML",
        46: "virNetworkLookupByName",
        47: "virNetworkLookupByUUID",
        50: "virConnectNumOfDefinedNetworks",
        52: "virConnectNumOfNetworks",
        283: "virConnectListAllNetworks",
    },
    "the pool 'images' is the directory of virtocid-image: it always runs, and there is no other": {
        75: "virConnectFindStoragePoolSources",
        76: "virStoragePoolCreateXML",
        77: "virStoragePoolDefineXML",
        78: "virStoragePoolCreate",
        79: "virStoragePoolBuild",
        80: "virStoragePoolDestroy",
        81: "virStoragePoolDelete",
        82: "virStoragePoolUndefine",
        90: "virStoragePoolSetAutostart",
    },
    "container images are imported by virtocid-image, and never change": {
        93: "virStorageVolCreateXML",
        125: "virStorageVolCreateXMLFrom",
        165: "virStorageVolWipe",
        208: "virStorageVolUpload",
        259: "virStorageVolWipePattern",
        260: "virStorageVolResize",
    },
    "libvirt's own daemon has the host's devices: virsh -c nodedev:///system or qemu:///system": {
        111: "virNodeNumOfDevices",
        112: "virNodeListDevices",
        113: "virNodeDeviceLookupByName",
        285: "virConnectListAllNodeDevices",
    },
    "libvirt's own daemon has the host's interfaces: virsh -c interface:///system or qemu:///system": {
        126: "virConnectNumOfInterfaces",
        127: "virConnectListInterfaces",
        137: "virConnectNumOfDefinedInterfaces",
        284: "virConnectListAllInterfaces",
    },
    "libvirt's own daemon manages the host: virsh -c qemu:///system": {
        203: "virConnectGetSysinfo",
        250: "virNodeSuspendForDuration",
        289: "virNodeGetMemoryParameters",
        340: "virNodeGetFreePages",
        347: "virNodeAllocPages",
        401: "virConnectListAllNWFilterBindings",
    },
    "a container's definition is libvirt's XML only": {
        135: "virConnectDomainXMLFromNative",
        136: "virConnectDomainXMLToNative",
    },
}
_QEMU: Final = {1: "virDomainQemuMonitorCommand", 2: "virDomainQemuAttach", 3: "virDomainQemuAgentCommand"}
_LXC: Final = {1: "virDomainLxcOpenNamespace"}


def refuse_the_rest(table: HandlerTable) -> None:
    """Give every refusal its reason."""
    for reason, functions in _REASONS.items():
        for number, function in functions.items():
            table.refuse(number, function, reason)
    for number, function in _QEMU.items():
        table.refuse(number, function, "a container has no QEMU", program=QEMU_PROGRAM)
    for number, function in _LXC.items():
        table.refuse(number, function, "nsenter with the container's pid does it", program=LXC_PROGRAM)
