# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What clients can ask of a domain and a container cannot do: libvirt's "not supported", with the reason in words.

Numbers are those of remote_protocol.x; what is in no table of ours (and so cannot be decoded) can be refused too.
``docs/conformance.md`` is made from this table: ``python -m tools.conformance``.
"""

from collections.abc import Mapping
from typing import Final

from covirt.virtocid.dispatch import HandlerTable
from covirt.virtocid.driver.handlers.foreign import refuse_foreign
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
        334: "virDomainCoreDumpWithFormat",
        388: "virDomainManagedSaveGetXMLDesc",
        389: "virDomainManagedSaveDefineXML",
        440: "virDomainSaveParams",
        441: "virDomainRestoreParams",
    },
    "a container has no snapshots": {
        185: "virDomainSnapshotCreateXML",
        186: "virDomainSnapshotGetXMLDesc",
        192: "virDomainRevertToSnapshot",
        193: "virDomainSnapshotDelete",
        244: "virDomainSnapshotGetParent",
        246: "virDomainSnapshotNumChildren",
        247: "virDomainSnapshotListChildrenNames",
        271: "virDomainSnapshotIsCurrent",
        272: "virDomainSnapshotHasMetadata",
        275: "virDomainSnapshotListAllChildren",
        411: "virDomainCheckpointCreateXML",
        412: "virDomainCheckpointGetXMLDesc",
        414: "virDomainCheckpointListAllChildren",
        416: "virDomainCheckpointGetParent",
        417: "virDomainCheckpointDelete",
        421: "virDomainBackupBegin",
    },
    "a container is not migrated; start it on the other host": {
        61: "virDomainMigratePrepare",
        62: "virDomainMigratePerform",
        63: "virDomainMigrateFinish",
        108: "virDomainMigratePrepare2",
        109: "virDomainMigrateFinish2",
        148: "virDomainMigratePrepareTunnel",
        166: "virDomainMigrateSetMaxDowntime",
        207: "virDomainMigrateSetMaxSpeed",
        213: "virDomainMigrateBegin3",
        214: "virDomainMigratePrepare3",
        215: "virDomainMigratePrepareTunnel3",
        216: "virDomainMigratePerform3",
        217: "virDomainMigrateFinish3",
        218: "virDomainMigrateConfirm3",
        242: "virDomainMigrateGetMaxSpeed",
        299: "virDomainMigrateGetCompressionCache",
        300: "virDomainMigrateSetCompressionCache",
        302: "virDomainMigrateBegin3Params",
        303: "virDomainMigratePrepare3Params",
        304: "virDomainMigratePrepareTunnel3Params",
        305: "virDomainMigratePerform3Params",
        306: "virDomainMigrateFinish3Params",
        307: "virDomainMigrateConfirm3Params",
        364: "virDomainMigrateStartPostCopy",
        387: "virDomainMigrateGetMaxDowntime",
        427: "virDomainStartDirtyRateCalc",
    },
    "a container has no screen and no keyboard": {
        211: "virDomainScreenshot",
        226: "virDomainSendKey",
        249: "virDomainOpenGraphics",
        343: "virDomainOpenGraphicsFD",
    },
    "a container has no firmware and no sleep states": {
        210: "virDomainInjectNMI",
        261: "virDomainPMSuspendForDuration",
        267: "virDomainPMWakeup",
    },
    "the clock of a container is the host's": {338: "virDomainSetTime"},
    "the accounts of a container are its image's; guest-exec can change them": {
        357: "virDomainSetUserPassword",
        424: "virDomainAuthorizedSSHKeysGet",
        425: "virDomainAuthorizedSSHKeysSet",
    },
    "the file systems of a container are mounted by the host; suspend the domain to hold it still": {
        294: "virDomainFSTrim",
        335: "virDomainFSFreeze",
        336: "virDomainFSThaw",
    },
    "the CPUs of a container are counted by virsh setvcpus": {372: "virDomainSetGuestVcpus"},
    "a container has no emulator and no threads of one": {
        279: "virDomainPinEmulator",
        280: "virDomainGetEmulatorPinInfo",
        351: "virDomainGetIOThreadInfo",
        352: "virDomainPinIOThread",
        355: "virDomainAddIOThread",
        356: "virDomainDelIOThread",
        402: "virDomainSetIOThreadParams",
    },
    "a container's disks are files that are mounted, not devices of a machine": {
        103: "virDomainBlockPeek",
        237: "virDomainBlockJobAbort",
        239: "virDomainBlockJobSetSpeed",
        240: "virDomainBlockPull",
        251: "virDomainBlockResize",
        266: "virDomainBlockRebase",
        290: "virDomainBlockCommit",
        345: "virDomainBlockCopy",
        386: "virDomainSetBlockThreshold",
    },
    "the host's own tools look into the memory of a container's processes": {104: "virDomainMemoryPeek"},
    "a container's memory numbers are read whenever they are asked for": {308: "virDomainSetMemoryStatsPeriod"},
    "an interface of a container has no bandwidth limits": {
        256: "virDomainSetInterfaceParameters",
        257: "virDomainGetInterfaceParameters",
    },
    "files are given to a container by their paths, not by descriptors": {
        309: "virDomainCreateXMLWithFiles",
        310: "virDomainCreateWithFiles",
        443: "virDomainFDAssociate",
    },
    "a container keeps its name; define it anew under the other one": {358: "virDomainRename"},
    "what follows an end stands in the definition; define it anew": {390: "virDomainSetLifecycleAction"},
    "the kernel keeps no such numbers for a container": {
        365: "virDomainGetPerfEvents",
        366: "virDomainSetPerfEvents",
    },
    "a container's memory is not encrypted": {
        396: "virDomainGetLaunchSecurityInfo",
        439: "virDomainSetLaunchSecurityState",
    },
    "a container runs on the host's own CPU; there is no model to choose": {
        158: "virConnectCompareCPU",
        162: "virConnectBaselineCPU",
        393: "virConnectCompareHypervisorCPU",
        394: "virConnectBaselineHypervisorCPU",
    },
    "a container's definition is libvirt's XML only": {
        135: "virConnectDomainXMLFromNative",
        136: "virConnectDomainXMLToNative",
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
        391: "virStoragePoolLookupByTargetPath",
    },
    "container images are imported by virtocid-image, and never change": {
        93: "virStorageVolCreateXML",
        125: "virStorageVolCreateXMLFrom",
        165: "virStorageVolWipe",
        208: "virStorageVolUpload",
        259: "virStorageVolWipePattern",
        260: "virStorageVolResize",
    },
}
_QEMU: Final = {
    1: "virDomainQemuMonitorCommand",
    2: "virDomainQemuAttach",
    4: "virConnectDomainQemuMonitorEventRegister",
    5: "virConnectDomainQemuMonitorEventDeregister",
    7: "virDomainQemuMonitorCommandWithFiles",
}
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
    refuse_foreign(table)
