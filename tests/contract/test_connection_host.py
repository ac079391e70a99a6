# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection: how it opens, what it tells of the host, and that a reader may not write."""

import socket
import threading
from collections.abc import Callable

import libvirt
import pytest
from lxml import etree

from tests.support.connections import PREFIX, Ability, Client, refused

NOBODY = "00000000-0000-4000-8000-000000000000"


def test_a_connection_lives(client: Client) -> None:
    assert client.connection.isAlive() == 1
    assert client.connection.isSecure() == 1  # nobody can listen in
    assert client.connection.getURI() == client.implementation.uri


def test_versions_are_numbers(client: Client) -> None:
    assert client.connection.getVersion() > 0
    assert client.connection.getLibVersion() >= 9_000_000
    assert client.connection.getType().isupper()


def test_host_name(client: Client) -> None:
    assert client.connection.getHostname() == socket.gethostname()


def test_node_facts_agree(client: Client) -> None:
    model, memory_mib, cpus, _, nodes, sockets, cores, threads = client.connection.getInfo()
    assert model
    assert nodes * sockets * cores * threads >= cpus >= 1
    assert 0 < client.connection.getFreeMemory() <= memory_mib << 20
    assert client.connection.getMaxVcpus(None) >= 1


def test_capabilities_name_what_can_be_defined(client: Client) -> None:
    """A client finds in them what it may write into <domain> and <os>."""
    capabilities = etree.fromstring(client.connection.getCapabilities())
    assert capabilities.tag == "capabilities"
    assert capabilities.findtext("host/cpu/arch")
    definition = etree.fromstring(client.implementation.xml("any"))
    guests = [
        (domain.get("type"), guest.findtext("os_type"))
        for guest in capabilities.iterfind("guest")
        for domain in guest.iterfind("arch/domain")
    ]
    assert (definition.get("type"), definition.findtext("os/type")) in guests


def test_keepalive_can_be_switched_on(client: Client) -> None:
    client.require(Ability.KEEPALIVE)
    assert client.connection.setKeepAlive(5, 3) == 0
    assert client.connection.isAlive() == 1


def test_a_close_callback_comes_and_goes(client: Client) -> None:
    called = threading.Event()
    for _ in range(2):
        client.connection.registerCloseCallback(lambda *_args: called.set(), None)
        client.connection.unregisterCloseCallback()
    assert not called.is_set()


def test_what_does_not_exist_is_not_found(client: Client) -> None:
    lookups: list[Callable[[], object]] = [
        lambda: client.connection.lookupByName(f"{PREFIX}nobody"),
        lambda: client.connection.lookupByUUIDString(NOBODY),
        lambda: client.connection.lookupByID(999_999),
    ]
    for lookup in lookups:
        with refused(libvirt.VIR_ERR_NO_DOMAIN):
            lookup()


def test_two_connections_see_the_same(client: Client, readonly: Client) -> None:
    client.define("one")
    assert readonly.names() == ["one"]
    assert readonly.connection.lookupByName(f"{PREFIX}one").state() == [libvirt.VIR_DOMAIN_SHUTOFF, 0]


def writes(client: Client, domain: "libvirt.virDomain") -> list[Callable[[], object]]:
    """Everything of the contract that changes something."""
    definition = client.implementation.xml("two")
    title = (libvirt.VIR_DOMAIN_METADATA_TITLE, "title", None, None)
    return [
        lambda: client.connection.defineXML(definition),
        lambda: client.connection.createXML(definition),
        domain.create,
        domain.destroy,
        domain.shutdown,
        domain.suspend,
        domain.resume,
        domain.undefine,
        lambda: domain.reboot(),
        lambda: domain.reset(),
        lambda: domain.setAutostart(1),
        lambda: domain.setMetadata(*title),
    ]


def test_a_reader_writes_nothing(client: Client, readonly: Client) -> None:
    client.define("one")
    domain = readonly.connection.lookupByName(f"{PREFIX}one")
    for write in writes(readonly, domain):
        with refused(libvirt.VIR_ERR_OPERATION_DENIED):
            write()
    with refused(libvirt.VIR_ERR_OPERATION_DENIED):
        domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
    assert client.names() == ["one"]


def test_a_client_that_does_not_say_it_only_reads_is_stopped_at_the_socket(client: Client) -> None:
    """libvirt's own library refuses on the client's side; here the server has to."""
    client.require(Ability.READ_ONLY_SOCKET)
    client.define("one")
    connection = libvirt.open(client.implementation.readonly_uri)
    try:
        pretender = Client(client.implementation, connection)
        domain = connection.lookupByName(f"{PREFIX}one")
        for write in writes(pretender, domain):
            with refused(libvirt.VIR_ERR_OPERATION_DENIED):
                write()
    finally:
        connection.close()
    assert client.names() == ["one"]


@pytest.mark.parametrize("flags", [1 << 25, 1 << 30])
def test_a_filter_that_does_not_exist_is_refused(client: Client, flags: int) -> None:
    with refused(libvirt.VIR_ERR_INVALID_ARG):
        client.connection.listAllDomains(flags)
