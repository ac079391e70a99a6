# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments and results of procedures about networks, storage, host devices and secrets."""

from typing import Annotated

from covirt.wire.codec import I32, I64, U32, U64, Limit, String, wire_struct
from covirt.wire.structs import (
    LIST_LIMIT,
    RemoteInterface,
    RemoteNetwork,
    RemoteNodeDevice,
    RemoteNwfilter,
    RemoteSecret,
    RemoteStoragePool,
    RemoteStorageVol,
)


@wire_struct
class NetworkArgs:
    net: RemoteNetwork


@wire_struct
class NetworkFlagsArgs:
    net: RemoteNetwork
    flags: U32


@wire_struct
class NetworkRet:
    net: RemoteNetwork


@wire_struct
class NetworkGetDhcpLeasesArgs:
    net: RemoteNetwork
    mac: String | None
    need_results: I32
    flags: U32


@wire_struct
class NetworkDhcpLease:
    """``expirytime`` in seconds since the epoch; ``type`` 0 is IPv4, 1 is IPv6."""

    iface: String
    expirytime: I64
    type: I32
    mac: String | None
    iaid: String | None
    ipaddr: String
    prefix: U32
    hostname: String | None
    clientid: String | None


@wire_struct
class NetworkGetDhcpLeasesRet:
    leases: Annotated[tuple[NetworkDhcpLease, ...], Limit(65536)]
    ret: U32


@wire_struct
class StoragePoolArgs:
    pool: RemoteStoragePool


@wire_struct
class StoragePoolFlagsArgs:
    pool: RemoteStoragePool
    flags: U32


@wire_struct
class StoragePoolRet:
    pool: RemoteStoragePool


@wire_struct
class StoragePoolGetInfoRet:
    """Sizes in bytes."""

    state: U32
    capacity: U64
    allocation: U64
    available: U64


@wire_struct
class StoragePoolListAllVolumesArgs:
    pool: RemoteStoragePool
    need_results: I32
    flags: U32


@wire_struct
class StoragePoolListAllVolumesRet:
    vols: Annotated[tuple[RemoteStorageVol, ...], Limit(LIST_LIMIT)]
    ret: U32


@wire_struct
class StorageVolArgs:
    vol: RemoteStorageVol


@wire_struct
class StorageVolFlagsArgs:
    vol: RemoteStorageVol
    flags: U32


@wire_struct
class StorageVolLookupByNameArgs:
    pool: RemoteStoragePool
    name: String


@wire_struct
class StorageVolLookupByKeyArgs:
    key: String


@wire_struct
class StorageVolLookupByPathArgs:
    path: String


@wire_struct
class StorageVolRet:
    vol: RemoteStorageVol


@wire_struct
class StorageVolGetInfoRet:
    """Sizes in bytes."""

    type: I32
    capacity: U64
    allocation: U64


@wire_struct
class NodeNumOfDevicesArgs:
    cap: String | None
    flags: U32


@wire_struct
class NodeListDevicesArgs:
    cap: String | None
    maxnames: I32
    flags: U32


@wire_struct
class NodeDeviceNamesRet:
    names: Annotated[tuple[String, ...], Limit(65536)]


@wire_struct
class NodeDeviceRet:
    dev: RemoteNodeDevice


@wire_struct
class NodeDeviceGetParentRet:
    parent_name: String | None


@wire_struct
class InterfaceRet:
    iface: RemoteInterface


@wire_struct
class NwfilterRet:
    nwfilter: RemoteNwfilter


@wire_struct
class SecretRet:
    secret: RemoteSecret
