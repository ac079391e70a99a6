# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments and results of procedures about the connection and the host."""

from typing import Annotated

from covirt.wire.codec import I32, U32, U64, Limit, String, wire_struct
from covirt.wire.params import ParamsCodec, TypedParam
from covirt.wire.structs import (
    LIST_LIMIT,
    RemoteDomain,
    RemoteInterface,
    RemoteNetwork,
    RemoteNodeDevice,
    RemoteNwfilter,
    RemoteSecret,
    RemoteStoragePool,
    StatsParams,
)
from covirt.wire.xdr import CountedCharsCodec, FixedCharsCodec, OpaqueCodec


@wire_struct
class AuthListRet:
    types: Annotated[tuple[I32, ...], Limit(20)]


@wire_struct
class AuthPolkitRet:
    complete: I32


@wire_struct
class ConnectOpenArgs:
    """``flags`` bit 0 asks for a read-only connection."""

    name: String | None
    flags: U32


@wire_struct
class ConnectSupportsFeatureArgs:
    feature: I32


@wire_struct
class ConnectSupportsFeatureRet:
    supported: I32


@wire_struct
class ConnectGetVersionRet:
    hv_ver: U64


@wire_struct
class ConnectGetLibVersionRet:
    lib_ver: U64


@wire_struct
class ConnectGetMaxVcpusArgs:
    type: String | None


@wire_struct
class ConnectGetMaxVcpusRet:
    max_vcpus: I32


@wire_struct
class ConnectGetUriRet:
    uri: String


@wire_struct
class ConnectGetSysinfoRet:
    sysinfo: String


@wire_struct
class ConnectIsSecureRet:
    secure: I32


@wire_struct
class ConnectGetDomainCapabilitiesArgs:
    emulatorbin: String | None
    arch: String | None
    machine: String | None
    virttype: String | None
    flags: U32


@wire_struct
class ConnectGetCpuModelNamesArgs:
    arch: String
    need_results: I32
    flags: U32


@wire_struct
class ConnectGetCpuModelNamesRet:
    models: Annotated[tuple[String, ...], Limit(8192)]
    ret: I32


@wire_struct
class ConnectSetIdentityArgs:
    params: Annotated[tuple[TypedParam, ...], ParamsCodec(20)]
    flags: U32


@wire_struct
class ConnectListDomainsArgs:
    maxids: I32


@wire_struct
class ConnectListDomainsRet:
    ids: Annotated[tuple[I32, ...], Limit(LIST_LIMIT)]


@wire_struct
class ConnectListAllDomainsRet:
    """``ret`` is the number of domains, also when only the number was asked for."""

    domains: Annotated[tuple[RemoteDomain, ...], Limit(LIST_LIMIT)]
    ret: U32


@wire_struct
class ConnectListAllStoragePoolsRet:
    pools: Annotated[tuple[RemoteStoragePool, ...], Limit(LIST_LIMIT)]
    ret: U32


@wire_struct
class ConnectListAllNetworksRet:
    nets: Annotated[tuple[RemoteNetwork, ...], Limit(LIST_LIMIT)]
    ret: U32


@wire_struct
class ConnectListAllInterfacesRet:
    ifaces: Annotated[tuple[RemoteInterface, ...], Limit(LIST_LIMIT)]
    ret: U32


@wire_struct
class ConnectListAllNodeDevicesRet:
    devices: Annotated[tuple[RemoteNodeDevice, ...], Limit(65536)]
    ret: U32


@wire_struct
class ConnectListAllNwfiltersRet:
    filters: Annotated[tuple[RemoteNwfilter, ...], Limit(LIST_LIMIT)]
    ret: U32


@wire_struct
class ConnectListAllSecretsRet:
    secrets: Annotated[tuple[RemoteSecret, ...], Limit(LIST_LIMIT)]
    ret: U32


@wire_struct
class ConnectListSecretsArgs:
    maxuuids: I32


@wire_struct
class ConnectListSecretsRet:
    """The UUIDs are text here, as nowhere else."""

    uuids: Annotated[tuple[String, ...], Limit(LIST_LIMIT)]


@wire_struct
class ConnectGetAllDomainStatsArgs:
    """No ``doms`` means all that the filter bits of ``flags`` let through; ``stats`` 0 means every group."""

    doms: Annotated[tuple[RemoteDomain, ...], Limit(LIST_LIMIT)]
    stats: U32
    flags: U32


@wire_struct
class DomainStatsRecord:
    dom: RemoteDomain
    params: StatsParams


@wire_struct
class ConnectGetAllDomainStatsRet:
    ret_stats: Annotated[tuple[DomainStatsRecord, ...], Limit(LIST_LIMIT)]


@wire_struct
class ConnectDomainXmlFromNativeArgs:
    native_format: String
    native_config: String
    flags: U32


@wire_struct
class ConnectDomainXmlFromNativeRet:
    domain_xml: String


@wire_struct
class ConnectDomainXmlToNativeArgs:
    native_format: String
    domain_xml: String
    flags: U32


@wire_struct
class ConnectDomainXmlToNativeRet:
    native_config: String


@wire_struct
class ConnectDomainEventRegisterAnyArgs:
    """``dom`` None means every domain."""

    event_id: I32
    dom: RemoteDomain | None


@wire_struct
class ConnectNetworkEventRegisterAnyArgs:
    event_id: I32
    net: RemoteNetwork | None


@wire_struct
class ConnectStoragePoolEventRegisterAnyArgs:
    event_id: I32
    pool: RemoteStoragePool | None


@wire_struct
class ConnectNodeDeviceEventRegisterAnyArgs:
    event_id: I32
    dev: RemoteNodeDevice | None


@wire_struct
class ConnectSecretEventRegisterAnyArgs:
    event_id: I32
    secret: RemoteSecret | None


@wire_struct
class NodeGetInfoRet:
    """``memory`` in KiB. ``model`` takes 128 bytes on the wire."""

    model: Annotated[str, FixedCharsCodec(32)]
    memory: U64
    cpus: I32
    mhz: I32
    nodes: I32
    sockets: I32
    cores: I32
    threads: I32


@wire_struct
class NodeGetCellsFreeMemoryArgs:
    start_cell: I32
    maxcells: I32


@wire_struct
class NodeGetCellsFreeMemoryRet:
    """Bytes by NUMA cell."""

    cells: Annotated[tuple[U64, ...], Limit(1024)]


@wire_struct
class NodeGetFreeMemoryRet:
    """Bytes."""

    free_mem: U64


@wire_struct
class NodeGetFreePagesArgs:
    pages: Annotated[tuple[U32, ...], Limit(1024)]
    start_cell: I32
    cell_count: U32
    flags: U32


@wire_struct
class NodeGetFreePagesRet:
    counts: Annotated[tuple[U64, ...], Limit(1024)]


@wire_struct
class NodeStat:
    field: String
    value: U64


@wire_struct
class NodeGetCpuStatsArgs:
    """``cpu_num`` -1 means all CPUs together; ``nparams`` 0 asks for the number of fields only."""

    cpu_num: I32
    nparams: I32
    flags: U32


@wire_struct
class NodeGetCpuStatsRet:
    params: Annotated[tuple[NodeStat, ...], Limit(16)]
    nparams: I32


@wire_struct
class NodeGetMemoryStatsArgs:
    """``cell_num`` -1 means all cells together; ``nparams`` 0 asks for the number of fields only."""

    nparams: I32
    cell_num: I32
    flags: U32


@wire_struct
class NodeGetMemoryStatsRet:
    params: Annotated[tuple[NodeStat, ...], Limit(16)]
    nparams: I32


@wire_struct
class NodeGetCpuMapArgs:
    need_map: I32
    need_online: I32
    flags: U32


@wire_struct
class NodeGetCpuMapRet:
    """``cpumap`` has a bit per CPU, lowest first; ``ret`` is the number of CPUs there are."""

    cpumap: Annotated[bytes, OpaqueCodec(2048)]
    online: U32
    ret: I32


@wire_struct
class NodeGetSecurityModelRet:
    model: Annotated[str, CountedCharsCodec(257)]
    doi: Annotated[str, CountedCharsCodec(257)]
