# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection: domains are defined, found, listed, described and forgotten."""

from collections.abc import Callable
from uuid import UUID

import libvirt
import pytest
from lxml import etree

from tests.support.connections import PREFIX, Ability, Client, refused, short_name

UUID_ONE = "11111111-2222-4333-8444-555555555555"
UUID_TWO = "66666666-7777-4888-9999-aaaaaaaaaaaa"
XML_ERRORS = (libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL)


def test_a_definition_is_found_again(client: Client) -> None:
    domain = client.define("one", uuid=UUID_ONE)
    assert domain.name() == f"{PREFIX}one"
    assert domain.UUIDString() == UUID_ONE
    assert domain.ID() == -1
    assert client.connection.lookupByName(f"{PREFIX}one").UUIDString() == UUID_ONE
    assert client.connection.lookupByUUIDString(UUID_ONE).name() == f"{PREFIX}one"
    assert client.connection.lookupByUUID(UUID(UUID_ONE).bytes).name() == f"{PREFIX}one"


def test_a_definition_without_a_uuid_gets_one(client: Client) -> None:
    first, second = client.define("one"), client.define("two")
    assert UUID(first.UUIDString()) != UUID(second.UUIDString())
    assert UUID(first.UUIDString()).version == 4


def test_a_definition_is_off_and_persistent(client: Client) -> None:
    domain = client.define("one")
    assert domain.state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN]
    assert not domain.isActive()
    assert domain.isPersistent()
    assert not domain.isUpdated()
    assert not domain.autostart()
    assert not domain.hasManagedSaveImage()
    assert domain.snapshotNum() == 0


def test_defining_again_changes_it(client: Client) -> None:
    client.define("one", uuid=UUID_ONE, title="old")
    domain = client.define("one", uuid=UUID_ONE, title="new")
    assert client.names() == ["one"]
    assert domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None) == "new"


def test_a_name_belongs_to_one_uuid(client: Client) -> None:
    client.define("one", uuid=UUID_ONE)
    for attempt in (client.define, client.create):
        with refused(libvirt.VIR_ERR_OPERATION_FAILED):
            attempt("one", uuid=UUID_TWO)
        with refused(libvirt.VIR_ERR_OPERATION_FAILED):
            attempt("two", uuid=UUID_ONE)
    assert client.names() == ["one"]
    assert client.connection.lookupByName(f"{PREFIX}one").UUIDString() == UUID_ONE


@pytest.mark.parametrize("text", ["<domain", "", "<network><name>contract-one</name></network>", "<domain/>"])
def test_bad_xml_is_refused_as_such(client: Client, text: str) -> None:
    attempts: list[Callable[[str], object]] = [client.connection.defineXML, client.connection.createXML]
    for attempt in attempts:
        with refused(*XML_ERRORS, libvirt.VIR_ERR_NO_NAME, libvirt.VIR_ERR_INTERNAL_ERROR):
            attempt(text)
    assert client.names() == []


def test_undefine_forgets(client: Client) -> None:
    domain = client.define("one")
    domain.undefine()
    assert client.names() == []
    asks: list[Callable[[], object]] = [
        domain.state, domain.info, domain.XMLDesc, domain.create, domain.destroy, domain.undefine, domain.isActive,
    ]  # fmt: skip
    for ask in asks:
        with refused(libvirt.VIR_ERR_NO_DOMAIN):
            ask()


def test_a_name_is_free_again_after_undefine(client: Client) -> None:
    client.define("one", uuid=UUID_ONE).undefine()
    assert client.define("one", uuid=UUID_TWO).UUIDString() == UUID_TWO


def test_lists_are_filtered(client: Client) -> None:
    client.define("off")
    client.define("automatic").setAutostart(1)
    client.run("on")
    client.create("transient")
    client.run("paused").suspend()
    expected = {
        0: ["automatic", "off", "on", "paused", "transient"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE: ["on", "paused", "transient"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE: ["automatic", "off"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT: ["automatic", "off", "on", "paused"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT: ["transient"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING: ["on", "transient"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED: ["paused"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_SHUTOFF: ["automatic", "off"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_OTHER: [],
        libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART: ["automatic"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART: ["off", "on", "paused", "transient"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE: [],
        libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT: [],
        # Several bits of one group mean "any of them", several groups "all of them".
        libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED | libvirt.VIR_CONNECT_LIST_DOMAINS_SHUTOFF: [
            "automatic",
            "off",
            "paused",
        ],
        libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        | libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT
        | libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING: ["on"],
        libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE | libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT: [],
    }
    assert {flags: client.names(flags) for flags in expected} == expected


def test_older_lists_agree(client: Client) -> None:
    client.define("off")
    domain = client.run("on")
    connection = client.connection
    assert domain.ID() in connection.listDomainsID()
    assert f"{PREFIX}off" in connection.listDefinedDomains()
    assert f"{PREFIX}on" not in connection.listDefinedDomains()
    assert connection.numOfDomains() == len(connection.listDomainsID())
    assert connection.numOfDefinedDomains() == len(connection.listDefinedDomains())


def test_a_transient_domain_vanishes_with_its_end(client: Client) -> None:
    domain = client.create("one")
    assert domain.isActive()
    assert not domain.isPersistent()
    assert client.names() == ["one"]
    domain.destroy()
    assert client.names() == []
    with refused(libvirt.VIR_ERR_NO_DOMAIN):
        domain.state()


def test_a_transient_domain_can_be_kept(client: Client) -> None:
    domain = client.create("one", uuid=UUID_ONE)
    client.define("one", uuid=UUID_ONE)
    assert domain.isPersistent()
    assert domain.isActive()
    domain.destroy()
    assert domain.state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED]


def test_a_running_domain_that_is_undefined_becomes_transient(client: Client) -> None:
    domain = client.run("one")
    domain.undefine()
    assert domain.isActive()
    assert not domain.isPersistent()
    domain.destroy()
    assert client.names() == []


def test_what_only_persistent_domains_have_is_refused_to_others(client: Client) -> None:
    client.require(Ability.STRICT_TRANSIENT)
    domain = client.create("one")
    with refused(libvirt.VIR_ERR_OPERATION_INVALID):
        domain.undefine()
    with refused(libvirt.VIR_ERR_OPERATION_INVALID):
        domain.setAutostart(1)


def test_a_running_transient_domain_is_not_created_twice(client: Client) -> None:
    client.create("one", uuid=UUID_ONE)
    with refused(libvirt.VIR_ERR_OPERATION_INVALID):
        client.create("one", uuid=UUID_ONE)


def test_a_definition_can_be_run_once_in_another_form(client: Client) -> None:
    """createXML of a persistent domain that is off: this run has the new form, the next one the definition's."""
    domain = client.define("one", uuid=UUID_ONE, title="defined")
    once = client.create("one", uuid=UUID_ONE, title="once")
    assert once.isPersistent()
    assert domain.isActive()
    assert domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None) == "once"
    assert title_of(domain, libvirt.VIR_DOMAIN_XML_INACTIVE) == "defined"
    domain.destroy()
    assert client.names() == ["one"]
    assert domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None) == "defined"


def title_of(domain: "libvirt.virDomain", flags: int = 0) -> str | None:
    return etree.fromstring(domain.XMLDesc(flags)).findtext("title")


def test_a_definition_made_while_it_runs_is_for_the_next_start(client: Client) -> None:
    domain = client.define("one", uuid=UUID_ONE, title="first")
    domain.create()
    client.define("one", uuid=UUID_ONE, title="second")
    assert title_of(domain) == "first"
    assert title_of(domain, libvirt.VIR_DOMAIN_XML_INACTIVE) == "second"
    domain.destroy()
    assert title_of(domain) == "second"


def test_the_autostart_flag_is_kept(client: Client) -> None:
    domain = client.define("one", uuid=UUID_ONE)
    domain.setAutostart(1)
    assert domain.autostart() == 1
    client.define("one", uuid=UUID_ONE)
    assert domain.autostart() == 1
    domain.setAutostart(0)
    assert domain.autostart() == 0


def test_xml_tells_the_id_of_a_run(client: Client) -> None:
    domain = client.define("one", uuid=UUID_ONE)
    before = etree.fromstring(domain.XMLDesc())
    assert before.get("id") is None
    assert before.findtext("name") == f"{PREFIX}one"
    assert before.findtext("uuid") == UUID_ONE
    domain.create()
    assert etree.fromstring(domain.XMLDesc()).get("id") == str(domain.ID())
    assert etree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).get("id") is None


def test_xml_can_be_defined_as_it_was_told(client: Client) -> None:
    domain = client.define("one", title="a title")
    text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    domain.undefine()
    again = client.connection.defineXML(text)
    assert again.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == text


def test_xml_of_a_run_can_be_defined(client: Client) -> None:
    domain = client.run("one")
    client.connection.defineXML(domain.XMLDesc())
    domain.destroy()
    domain.create()
    assert short_name(domain) == "one"
    assert domain.isActive()


def test_memory_and_processors_are_those_of_the_definition(client: Client) -> None:
    domain = client.define("one")
    definition = etree.fromstring(domain.XMLDesc())
    memory_kib = int(definition.findtext("memory") or 0)
    processors = int(definition.findtext("vcpu") or 0)
    _, maximum_kib, current_kib, count, cpu_time = domain.info()
    assert maximum_kib == current_kib == domain.maxMemory() == memory_kib > 0
    assert count == processors == domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_CONFIG) == 1
    assert cpu_time >= 0
    with refused(libvirt.VIR_ERR_OPERATION_INVALID):
        domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE)


def test_flags_that_do_not_exist_are_refused(client: Client) -> None:
    domain = client.run("one")
    unknown = 1 << 20
    attempts: list[Callable[[], object]] = [
        lambda: client.connection.defineXMLFlags(client.implementation.xml("two"), unknown),
        lambda: client.connection.createXML(client.implementation.xml("two"), unknown),
        lambda: domain.XMLDesc(unknown),
        lambda: domain.state(unknown),
        lambda: domain.destroyFlags(unknown),
        lambda: domain.shutdownFlags(unknown),
        lambda: domain.undefineFlags(unknown),
    ]
    for attempt in attempts:
        with refused(libvirt.VIR_ERR_INVALID_ARG):
            attempt()
    assert client.names(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING) == ["one"]
