# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Our table against a stock server: libvirtd's test driver, asked with our codecs.

Every procedure that only reads is called. Its answer must decode to the last byte, and its arguments must not be what
libvirtd complains about; where libvirt-python gives the same fact, it is compared.
"""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import libvirt
import pytest

from covirt.virtocid.connection import SESSION_PROCEDURES
from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.constants import EventId, LifecycleEvent, MetadataType, StoppedDetail
from covirt.wire.framing import Frame, FrameStatus, FrameType
from covirt.wire.params import ParamType
from covirt.wire.protocol import Access, AnyProcedure
from covirt.wire.structs import (
    DomainArgs,
    DomainFlagsArgs,
    ListArgs,
    NameArgs,
    RemoteDomain,
    RemoteError,
    RemoteNetwork,
    RemoteSecret,
    RemoteStoragePool,
    RemoteStorageVol,
)
from covirt.wire.structs_connect import (
    ConnectDomainEventRegisterAnyArgs,
    ConnectGetAllDomainStatsArgs,
    ConnectSupportsFeatureArgs,
)
from covirt.wire.structs_domain import DomainGetMetadataArgs, DomainSetMetadataArgs
from covirt.wire.structs_events import LifecycleMsg, MetadataChangeMsg
from covirt.wire.structs_host import StoragePoolListAllVolumesArgs
from covirt.wire.xdr import Source
from tests.support.libvirtd import Libvirtd
from tests.support.wire_client import WireClient

_URI: Final = "test:///default"
_SOCKET: Final = Path("/run/libvirt/libvirt-sock")
_UNDECODED: Final = "Unable to decode message payload"

READING: Final = [
    procedure
    for (_, number), procedure in sorted(proc.PROCEDURES.items())
    if procedure.access is Access.READ and number not in SESSION_PROCEDURES
]


@pytest.fixture(scope="module")
def client(libvirtd: Libvirtd) -> Iterator[WireClient]:
    with WireClient(_SOCKET) as one:
        one.open(_URI)
        assert one.call(proc.CONNECT_SUPPORTS_FEATURE, ConnectSupportsFeatureArgs(feature=14)).supported
        yield one


@pytest.fixture(scope="module")
def stock(libvirtd: Libvirtd) -> Iterator["libvirt.virConnect"]:
    """libvirt-python on the same driver: in libvirtd too, but another copy of its domains."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    connection = libvirt.open("test+unix:///default")
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def known(client: WireClient) -> dict[str, Any]:
    """A value for every field name of arguments, about objects that the test driver has."""
    dom = client.call(proc.DOMAIN_LOOKUP_BY_NAME, NameArgs(name="test")).dom
    net = client.call(proc.CONNECT_LIST_ALL_NETWORKS, ListArgs(need_results=1, flags=0)).nets[0]
    pool = client.call(proc.CONNECT_LIST_ALL_STORAGE_POOLS, ListArgs(need_results=1, flags=0)).pools[0]
    volumes = client.call(
        proc.STORAGE_POOL_LIST_ALL_VOLUMES, StoragePoolListAllVolumesArgs(pool=pool, need_results=1, flags=0)
    ).vols
    none = RemoteStorageVol(pool=pool.name, name="none", key="none")
    return {
        "dom": dom,
        "doms": (dom,),
        "net": net,
        "pool": pool,
        "vol": volumes[0] if volumes else none,
        "uuid": dom.uuid,
        "name": "test",
        "id": dom.id,
        "type": "test",
        "xml": "<cpu/>",
        "path": "vda",
        "device": "testnet0",
        "key": "none",
        "cap": None,
        "mac": None,
        "uri": None,
        "arch": "x86_64",
        "dev_name": None,
        "cpu_num": -1,
        "cell_num": -1,
        "start_cpu": -1,
        "ncpus": 1,
        "pages": (4,),
        "cell_count": 1,
        "need_results": 1,
        "need_map": 1,
        "need_online": 1,
        "nparams": 16,
        "maxinfo": 2,
        "maplen": 1,
        "ncpumaps": 2,
        "max_stats": 16,
        "maxerrors": 4,
        "maxcells": 4,
        "disk": "vda",
        "secret": RemoteSecret(uuid=dom.uuid, usage_type=0, usage_id=""),
        "usage_type": 1,
        "usage_id": "none",
        **dict.fromkeys(("flags", "stats", "source", "start_cell", "types"), 0),
        **dict.fromkeys(("maxnames", "maxids", "maxuuids"), 100),
    }


# Where a field of that name means something else.
_OWN: Final[dict[int, dict[str, Any]]] = {
    proc.NETWORK_LOOKUP_BY_NAME.number: {"name": "default"},
    proc.STORAGE_POOL_LOOKUP_BY_NAME.number: {"name": "default-pool"},
    proc.NODE_DEVICE_LOOKUP_BY_NAME.number: {"name": "computer"},
    proc.NODE_DEVICE_GET_XML_DESC.number: {"name": "computer"},
    proc.NODE_DEVICE_GET_PARENT.number: {"name": "computer"},
    proc.INTERFACE_LOOKUP_BY_NAME.number: {"name": "eth1"},
    proc.DOMAIN_GET_METADATA.number: {"type": 1},
    proc.DOMAIN_MEMORY_STATS.number: {"flags": 0},
}


def arguments(procedure: AnyProcedure, known: dict[str, Any]) -> Any:
    if procedure.args is type(None):
        return None
    values = {**known, **_OWN.get(procedure.number, {})}
    for prefix, owner in (("network", "net"), ("storage", "pool")):
        if procedure.name.startswith(prefix):
            values["uuid"] = known[owner].uuid
    return procedure.args(**{field.name: values[field.name] for field in fields(procedure.args)})


@pytest.mark.qemu
@pytest.mark.parametrize("procedure", READING, ids=lambda one: one.name)
def test_answer_decodes_to_the_last_byte(client: WireClient, known: dict[str, Any], procedure: AnyProcedure) -> None:
    reply = client.reply(client.start(procedure, arguments(procedure, known)))
    assert reply.procedure == procedure.number
    if reply.status == FrameStatus.ERROR:
        assert_error(reply, procedure)
        return
    source = Source(reply.payload)
    value = procedure.ret_codec.unpack(source)
    assert source.remaining == 0, value
    assert procedure.ret_codec.encode(value) == reply.payload


def assert_error(reply: Frame, procedure: AnyProcedure) -> None:
    """An error is fine as long as it is about the object, and decodes to the last byte itself."""
    source = Source(reply.payload)
    error = codec_of(RemoteError).unpack(source)
    assert source.remaining == 0
    assert codec_of(RemoteError).encode(error) == reply.payload
    assert error.message is not None
    assert _UNDECODED not in error.message, procedure.name


@pytest.mark.qemu
def test_most_of_it_was_really_answered(client: WireClient, known: dict[str, Any]) -> None:
    """So that the test above is not a test of error messages."""
    answered = 0
    for procedure in READING:
        reply = client.reply(client.start(procedure, arguments(procedure, known)))
        answered += reply.status == FrameStatus.OK
    assert answered > 60


@pytest.mark.qemu
def test_facts_are_those_of_the_stock_client(client: WireClient, stock: "libvirt.virConnect") -> None:
    domain = stock.lookupByName("test")
    dom = client.call(proc.DOMAIN_LOOKUP_BY_NAME, NameArgs(name="test")).dom
    assert dom == RemoteDomain(name="test", uuid=UUID(domain.UUIDString()), id=domain.ID())
    info = client.call(proc.NODE_GET_INFO, None)
    assert [info.model, info.memory // 1024, info.cpus, info.mhz] == stock.getInfo()[:4]
    assert [info.nodes, info.sockets, info.cores, info.threads] == stock.getInfo()[4:]
    state = client.call(proc.DOMAIN_GET_STATE, DomainFlagsArgs(dom=dom, flags=0))
    assert [state.state, state.reason] == domain.state()
    facts = client.call(proc.DOMAIN_GET_INFO, DomainArgs(dom=dom))
    assert [facts.state, facts.max_mem, facts.memory, facts.nr_virt_cpu] == domain.info()[:4]
    assert client.call(proc.DOMAIN_GET_XML_DESC, DomainFlagsArgs(dom=dom, flags=0)).xml == domain.XMLDesc()
    assert client.call(proc.CONNECT_GET_CAPABILITIES, None).capabilities == stock.getCapabilities()
    assert client.call(proc.CONNECT_GET_LIB_VERSION, None).lib_ver == stock.getLibVersion()
    nets = client.call(proc.CONNECT_LIST_ALL_NETWORKS, ListArgs(need_results=1, flags=0)).nets
    assert nets == tuple(
        RemoteNetwork(name=one.name(), uuid=UUID(one.UUIDString())) for one in stock.listAllNetworks()
    )
    pools = client.call(proc.CONNECT_LIST_ALL_STORAGE_POOLS, ListArgs(need_results=1, flags=0)).pools
    assert pools == tuple(
        RemoteStoragePool(name=one.name(), uuid=UUID(one.UUIDString())) for one in stock.listAllStoragePools()
    )


@pytest.mark.qemu
def test_statistics_are_those_of_the_stock_client(client: WireClient, stock: "libvirt.virConnect") -> None:
    args = ConnectGetAllDomainStatsArgs(doms=(), stats=0, flags=0)
    ours = client.call(proc.CONNECT_GET_ALL_DOMAIN_STATS, args).ret_stats
    theirs = stock.getAllDomainStats()
    assert [record.dom.name for record in ours] == [domain.name() for domain, _ in theirs]
    assert [{param.field for param in record.params} for record in ours] == [set(params) for _, params in theirs]
    assert {param.type for record in ours for param in record.params} <= set(ParamType)


@pytest.mark.qemu
def test_messages_of_a_stock_server(client: WireClient) -> None:
    dom = client.call(proc.DOMAIN_LOOKUP_BY_NAME, NameArgs(name="test")).dom
    ids = [
        client.call(
            proc.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
            ConnectDomainEventRegisterAnyArgs(event_id=event_id, dom=None),
        ).callback_id
        for event_id in (EventId.LIFECYCLE, EventId.METADATA_CHANGE)
    ]
    kind = MetadataType.TITLE
    client.call(
        proc.DOMAIN_SET_METADATA,
        DomainSetMetadataArgs(dom=dom, type=kind, metadata="A title", key=None, uri=None, flags=0),
    )
    title = client.call(proc.DOMAIN_GET_METADATA, DomainGetMetadataArgs(dom=dom, type=kind, uri=None, flags=0))
    assert title.metadata == "A title"
    client.call(proc.DOMAIN_DESTROY, DomainArgs(dom=dom))
    metadata, stopped = client.frame(), client.frame()
    assert (metadata.type, metadata.procedure) == (FrameType.MESSAGE, 379)
    assert codec_of(MetadataChangeMsg).decode(metadata.payload) == MetadataChangeMsg(
        callback_id=ids[1], dom=dom, type=kind, nsuri=None
    )
    assert stopped.procedure == 318
    message = codec_of(LifecycleMsg).decode(stopped.payload)
    assert (message.callback_id, message.event, message.detail) == (
        ids[0],
        LifecycleEvent.STOPPED,
        StoppedDetail.DESTROYED,
    )
    client.call(proc.DOMAIN_CREATE, DomainArgs(dom=dom))
    started = codec_of(LifecycleMsg).decode(client.frame().payload)
    assert started.event == LifecycleEvent.STARTED
    assert started.dom.id > 0
    for callback_id in ids:
        deregister = proc.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY
        client.call(deregister, deregister.args(callback_id=callback_id))
