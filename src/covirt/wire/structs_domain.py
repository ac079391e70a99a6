# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments and results of procedures about one domain."""

from typing import Annotated

from covirt.wire.codec import I32, I64, U32, U64, Limit, String, wire_struct
from covirt.wire.structs import (
    LIST_LIMIT,
    Params16,
    Params64,
    Params2048,
    RemoteDomain,
    RemoteDomainCheckpoint,
    RemoteDomainSnapshot,
)
from covirt.wire.xdr import CountedCharsCodec, OpaqueCodec

_CPUMAP_BYTES = 2048
_CPUMAPS_BYTES = 8388608


@wire_struct
class DomainLookupByIdArgs:
    id: I32


@wire_struct
class DomainGetInfoRet:
    """Memory in KiB, ``cpu_time`` in nanoseconds."""

    state: U32
    max_mem: U64
    memory: U64
    nr_virt_cpu: U32
    cpu_time: U64


@wire_struct
class DomainGetStateRet:
    state: I32
    reason: I32


@wire_struct
class DomainGetControlInfoRet:
    """``state_time`` in milliseconds."""

    state: U32
    details: U32
    state_time: U64


@wire_struct
class DomainGetMaxMemoryRet:
    """KiB."""

    memory: U64


@wire_struct
class DomainSetMemoryArgs:
    """KiB. Also the arguments of domain_set_max_memory."""

    dom: RemoteDomain
    memory: U64


@wire_struct
class DomainSetMemoryFlagsArgs:
    """KiB."""

    dom: RemoteDomain
    memory: U64
    flags: U32


@wire_struct
class DomainSetVcpusArgs:
    dom: RemoteDomain
    nvcpus: U32


@wire_struct
class DomainSetVcpusFlagsArgs:
    dom: RemoteDomain
    nvcpus: U32
    flags: U32


@wire_struct
class DomainGetVcpusArgs:
    dom: RemoteDomain
    maxinfo: I32
    maplen: I32


@wire_struct
class VcpuInfo:
    """``cpu_time`` in nanoseconds; ``cpu`` is the host CPU, -1: offline, -2: not told."""

    number: U32
    state: I32
    cpu_time: U64
    cpu: I32


@wire_struct
class DomainGetVcpusRet:
    """``cpumaps`` is empty, or holds ``maplen`` bytes for each vCPU."""

    info: Annotated[tuple[VcpuInfo, ...], Limit(16384)]
    cpumaps: Annotated[bytes, OpaqueCodec(_CPUMAPS_BYTES)]


@wire_struct
class DomainPinVcpuArgs:
    dom: RemoteDomain
    vcpu: U32
    cpumap: Annotated[bytes, OpaqueCodec(_CPUMAP_BYTES)]


@wire_struct
class DomainPinVcpuFlagsArgs:
    dom: RemoteDomain
    vcpu: U32
    cpumap: Annotated[bytes, OpaqueCodec(_CPUMAP_BYTES)]
    flags: U32


@wire_struct
class DomainGetVcpuPinInfoArgs:
    dom: RemoteDomain
    ncpumaps: I32
    maplen: I32
    flags: U32


@wire_struct
class DomainGetVcpuPinInfoRet:
    cpumaps: Annotated[bytes, OpaqueCodec(_CPUMAPS_BYTES)]
    num: I32


@wire_struct
class DomainGetEmulatorPinInfoArgs:
    dom: RemoteDomain
    maplen: I32
    flags: U32


@wire_struct
class DomainGetEmulatorPinInfoRet:
    cpumaps: Annotated[bytes, OpaqueCodec(_CPUMAPS_BYTES)]
    ret: I32


@wire_struct
class DomainSetAutostartArgs:
    dom: RemoteDomain
    autostart: I32


@wire_struct
class DomainGetSchedulerTypeRet:
    type: String
    nparams: I32


@wire_struct
class DomainGetSchedulerParametersArgs:
    dom: RemoteDomain
    nparams: I32


@wire_struct
class DomainSetSchedulerParametersArgs:
    dom: RemoteDomain
    params: Params16


@wire_struct
class DomainBlockStatsArgs:
    """``path`` is the target name ("vda") or the source path; empty means all disks together."""

    dom: RemoteDomain
    path: String


@wire_struct
class DomainBlockStatsRet:
    """-1 where it is not known."""

    rd_req: I64
    rd_bytes: I64
    wr_req: I64
    wr_bytes: I64
    errs: I64


@wire_struct
class DomainBlockStatsFlagsArgs:
    dom: RemoteDomain
    path: String
    nparams: I32
    flags: U32


@wire_struct
class DomainGetBlockInfoArgs:
    dom: RemoteDomain
    path: String
    flags: U32


@wire_struct
class DomainGetBlockInfoRet:
    """Bytes."""

    allocation: U64
    capacity: U64
    physical: U64


@wire_struct
class DomainDiskError:
    disk: String
    error: I32


@wire_struct
class DomainGetDiskErrorsArgs:
    dom: RemoteDomain
    maxerrors: U32
    flags: U32


@wire_struct
class DomainGetDiskErrorsRet:
    errors: Annotated[tuple[DomainDiskError, ...], Limit(256)]
    nerrors: I32


@wire_struct
class DomainInterfaceStatsArgs:
    """``device`` is the host end's name (<target dev>), or its MAC address."""

    dom: RemoteDomain
    device: String


@wire_struct
class DomainInterfaceStatsRet:
    """As the guest sees it; -1 where it is not known."""

    rx_bytes: I64
    rx_packets: I64
    rx_errs: I64
    rx_drop: I64
    tx_bytes: I64
    tx_packets: I64
    tx_errs: I64
    tx_drop: I64


@wire_struct
class DomainGetInterfaceParametersArgs:
    dom: RemoteDomain
    device: String
    nparams: I32
    flags: U32


@wire_struct
class DomainInterfaceAddressesArgs:
    dom: RemoteDomain
    source: U32
    flags: U32


@wire_struct
class DomainIpAddr:
    """``type`` 0 is IPv4, 1 is IPv6."""

    type: I32
    addr: String
    prefix: U32


@wire_struct
class DomainInterface:
    name: String
    hwaddr: String | None
    addrs: Annotated[tuple[DomainIpAddr, ...], Limit(2048)]


@wire_struct
class DomainInterfaceAddressesRet:
    ifaces: Annotated[tuple[DomainInterface, ...], Limit(2048)]


@wire_struct
class DomainMemoryStatsArgs:
    dom: RemoteDomain
    max_stats: U32
    flags: U32


@wire_struct
class DomainMemoryStat:
    tag: I32
    val: U64


@wire_struct
class DomainMemoryStatsRet:
    stats: Annotated[tuple[DomainMemoryStat, ...], Limit(1024)]


@wire_struct
class DomainGetCpuStatsArgs:
    """``start_cpu`` -1 asks for totals, ``ncpus`` 0 for the number of CPUs, ``nparams`` 0 for that of the fields."""

    dom: RemoteDomain
    nparams: U32
    start_cpu: I32
    ncpus: U32
    flags: U32


@wire_struct
class DomainGetCpuStatsRet:
    """``nparams`` also carries the number of CPUs or fields when that was asked for."""

    params: Params2048
    nparams: I32


@wire_struct
class DomainGetSecurityLabelRet:
    label: Annotated[str, CountedCharsCodec(4097)]
    enforcing: I32


@wire_struct
class DomainGetSecurityLabelListRet:
    labels: Annotated[tuple[DomainGetSecurityLabelRet, ...], Limit(64)]
    ret: I32


@wire_struct
class DomainGetJobInfoRet:
    type: I32
    time_elapsed: U64
    time_remaining: U64
    data_total: U64
    data_processed: U64
    data_remaining: U64
    mem_total: U64
    mem_processed: U64
    mem_remaining: U64
    file_total: U64
    file_processed: U64
    file_remaining: U64


@wire_struct
class DomainGetJobStatsRet:
    type: I32
    params: Params64


@wire_struct
class DomainListAllSnapshotsRet:
    snapshots: Annotated[tuple[RemoteDomainSnapshot, ...], Limit(LIST_LIMIT)]
    ret: I32


@wire_struct
class DomainListAllCheckpointsRet:
    checkpoints: Annotated[tuple[RemoteDomainCheckpoint, ...], Limit(LIST_LIMIT)]
    ret: I32


@wire_struct
class DomainOpenConsoleArgs:
    """``dev_name`` is a console's alias; none means the first. Flags: 1 force, 2 safe."""

    dom: RemoteDomain
    dev_name: String | None
    flags: U32


@wire_struct
class DomainOpenChannelArgs:
    dom: RemoteDomain
    name: String | None
    flags: U32


@wire_struct
class DomainIsUpdatedRet:
    updated: I32


@wire_struct
class DomainSetMetadataArgs:
    dom: RemoteDomain
    type: I32
    metadata: String | None
    key: String | None
    uri: String | None
    flags: U32


@wire_struct
class DomainGetMetadataArgs:
    dom: RemoteDomain
    type: I32
    uri: String | None
    flags: U32


@wire_struct
class DomainGetMetadataRet:
    metadata: String


@wire_struct
class DomainSendProcessSignalArgs:
    dom: RemoteDomain
    pid_value: I64
    signum: U32
    flags: U32


@wire_struct
class DomainGetTimeRet:
    seconds: I64
    nseconds: U32


@wire_struct
class DomainFsinfo:
    mountpoint: String
    name: String
    fstype: String
    dev_aliases: Annotated[tuple[String, ...], Limit(256)]


@wire_struct
class DomainGetFsinfoRet:
    info: Annotated[tuple[DomainFsinfo, ...], Limit(256)]
    ret: U32


@wire_struct
class DomainRenameArgs:
    dom: RemoteDomain
    new_name: String | None
    flags: U32


@wire_struct
class DomainRenameRet:
    retcode: I32


@wire_struct
class DomainGetGuestInfoArgs:
    dom: RemoteDomain
    types: U32
    flags: U32


@wire_struct
class DomainGetGuestInfoRet:
    params: Params2048


@wire_struct
class DomainGetMessagesRet:
    msgs: Annotated[tuple[String, ...], Limit(2048)]


@wire_struct
class DomainIothreadInfo:
    iothread_id: U32
    cpumap: Annotated[bytes, OpaqueCodec(_CPUMAP_BYTES)]


@wire_struct
class DomainGetIothreadInfoRet:
    info: Annotated[tuple[DomainIothreadInfo, ...], Limit(16384)]
    ret: U32
