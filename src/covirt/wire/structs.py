# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Objects of libvirt's protocol that travel in many messages, and the shapes that many procedures share.

Field order is wire order; names are libvirt's, in snake case.
"""

from typing import Annotated

from covirt.wire.codec import I32, U32, Limit, String, Uuid, wire_struct
from covirt.wire.params import EncodedParams, ParamsCodec, TypedParam

LIST_LIMIT = 16384  # domains, networks, pools, volumes, names of each

# Counted typed parameters, by libvirt's limit for their place.
Params16 = Annotated[tuple[TypedParam, ...], ParamsCodec(16)]
Params64 = Annotated[tuple[TypedParam, ...], ParamsCodec(64)]
Params2048 = Annotated[tuple[TypedParam, ...], ParamsCodec(2048)]
StatsParams = Annotated[tuple[TypedParam, ...] | EncodedParams, ParamsCodec(262144)]
Names = Annotated[tuple[String, ...], Limit(LIST_LIMIT)]


@wire_struct
class RemoteDomain:
    """``id`` is -1 when the domain does not run. Identify by ``uuid``: clients send name and id from their memory."""

    name: String
    uuid: Uuid
    id: I32


@wire_struct
class RemoteNetwork:
    name: String
    uuid: Uuid


@wire_struct
class RemoteNwfilter:
    name: String
    uuid: Uuid


@wire_struct
class RemoteInterface:
    name: String
    mac: String


@wire_struct
class RemoteStoragePool:
    name: String
    uuid: Uuid


@wire_struct
class RemoteStorageVol:
    pool: String
    name: String
    key: String


@wire_struct
class RemoteNodeDevice:
    name: String


@wire_struct
class RemoteSecret:
    uuid: Uuid
    usage_type: I32
    usage_id: String


@wire_struct
class RemoteDomainSnapshot:
    name: String
    dom: RemoteDomain


@wire_struct
class RemoteDomainCheckpoint:
    name: String
    dom: RemoteDomain


@wire_struct
class RemoteError:
    """An error as clients get it (virNetMessageError). Always give ``message``: go-libvirt takes it for granted."""

    code: I32
    domain: I32
    message: String | None
    level: I32 = 2
    dom: RemoteDomain | None = None
    str1: String | None = None
    str2: String | None = None
    str3: String | None = None
    int1: I32 = 0
    int2: I32 = 0
    net: RemoteNetwork | None = None


@wire_struct
class FlagsArgs:
    flags: U32


@wire_struct
class ListArgs:
    need_results: I32
    flags: U32


@wire_struct
class MaxNamesArgs:
    maxnames: I32


@wire_struct
class NameArgs:
    name: String


@wire_struct
class NameFlagsArgs:
    name: String
    flags: U32


@wire_struct
class UuidArgs:
    uuid: Uuid


@wire_struct
class XmlArgs:
    xml: String


@wire_struct
class XmlFlagsArgs:
    xml: String
    flags: U32


@wire_struct
class DomainArgs:
    dom: RemoteDomain


@wire_struct
class DomainFlagsArgs:
    dom: RemoteDomain
    flags: U32


@wire_struct
class DomainListArgs:
    dom: RemoteDomain
    need_results: I32
    flags: U32


@wire_struct
class DomainXmlArgs:
    dom: RemoteDomain
    xml: String


@wire_struct
class DomainXmlFlagsArgs:
    dom: RemoteDomain
    xml: String
    flags: U32


@wire_struct
class NparamsFlagsArgs:
    """``nparams`` 0 asks for the number of parameters only."""

    nparams: I32
    flags: U32


@wire_struct
class DomainNparamsFlagsArgs:
    """``nparams`` 0 asks for the number of parameters only."""

    dom: RemoteDomain
    nparams: I32
    flags: U32


@wire_struct
class DomainParams16FlagsArgs:
    dom: RemoteDomain
    params: Params16
    flags: U32


@wire_struct
class CallbackIdArgs:
    callback_id: I32


@wire_struct
class CallbackIdRet:
    callback_id: I32


@wire_struct
class DomainRet:
    dom: RemoteDomain


@wire_struct
class NumRet:
    num: I32


@wire_struct
class ResultRet:
    result: I32


@wire_struct
class ActiveRet:
    active: I32


@wire_struct
class PersistentRet:
    persistent: I32


@wire_struct
class AutostartRet:
    autostart: I32


@wire_struct
class XmlRet:
    xml: String


@wire_struct
class NameRet:
    name: String


@wire_struct
class NamesRet:
    names: Names


@wire_struct
class TypeRet:
    type: String


@wire_struct
class HostnameRet:
    hostname: String


@wire_struct
class CapabilitiesRet:
    capabilities: String


@wire_struct
class Params16Ret:
    params: Params16


@wire_struct
class Params16NparamsRet:
    """``nparams`` is the number there are; ``params`` stays empty when the caller only asked for it."""

    params: Params16
    nparams: I32


@wire_struct
class Params64Ret:
    params: Params64


@wire_struct
class Params64NparamsRet:
    params: Params64
    nparams: I32
