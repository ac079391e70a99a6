# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection that keeps secrets: the same answers, errors and XML as libvirt's own driver of secrets."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import libvirt
import pytest

from tests.support.connections import Client, refused

_ID: Final = "0a1b2c3d-1111-2222-3333-444455556666"
_OTHER: Final = "0a1b2c3d-1111-2222-3333-444455557777"
_CEPH: Final = libvirt.VIR_SECRET_USAGE_TYPE_CEPH
_VALUE: Final = b"correct horse \0\xff battery"


@pytest.fixture
def connection(client: Client) -> Iterator["libvirt.virConnect"]:
    if client.implementation.name == "test":
        pytest.skip("test differs, it keeps no secrets")
    yield client.connection
    for uuid in (_ID, _OTHER):
        with contextlib.suppress(libvirt.libvirtError):
            client.connection.secretLookupByUUIDString(uuid).undefine()


def xml(uuid: str = _ID, *, usage: str = "db", ephemeral: str = "no", private: str = "no") -> str:
    return (
        f"<secret ephemeral='{ephemeral}' private='{private}'><uuid>{uuid}</uuid><description>Of &lt;a&gt; shop"
        f"</description><usage type='ceph'><name>{usage}</name></usage></secret>"
    )


@pytest.mark.parametrize("ephemeral", ["no", "yes"])
def test_a_value_is_given_and_told(connection: "libvirt.virConnect", ephemeral: str) -> None:
    secret = connection.secretDefineXML(xml(ephemeral=ephemeral))
    with refused(libvirt.VIR_ERR_NO_SECRET):
        secret.value()
    secret.setValue(_VALUE)
    assert secret.value() == _VALUE
    secret.setValue(b"x" * 65536)
    assert secret.value() == b"x" * 65536
    secret.undefine()
    with refused(libvirt.VIR_ERR_NO_SECRET):
        secret.value()


def test_the_xml_is_written_as_libvirt_does(connection: "libvirt.virConnect") -> None:
    assert connection.secretDefineXML(xml(private="yes")).XMLDesc() == (
        "<secret ephemeral='no' private='yes'>\n"
        f"  <uuid>{_ID}</uuid>\n"
        "  <description>Of &lt;a&gt; shop</description>\n"
        "  <usage type='ceph'>\n"
        "    <name>db</name>\n"
        "  </usage>\n"
        "</secret>\n"
    )
    bare = connection.secretDefineXML(f"<secret><uuid>{_OTHER}</uuid></secret>")
    assert bare.XMLDesc() == f"<secret ephemeral='no' private='no'>\n  <uuid>{_OTHER}</uuid>\n</secret>\n"


def test_it_is_found_by_uuid_and_usage(connection: "libvirt.virConnect") -> None:
    connection.secretDefineXML(xml())
    assert connection.secretLookupByUUIDString(_ID).usageID() == "db"
    found = connection.secretLookupByUsage(_CEPH, "db")
    assert (found.UUIDString(), found.usageType()) == (_ID, _CEPH)
    assert _ID in connection.listSecrets()
    assert connection.numOfSecrets() == len(connection.listAllSecrets()) == len(connection.listSecrets())
    with refused(libvirt.VIR_ERR_NO_SECRET):
        connection.secretLookupByUUIDString(_OTHER)
    with refused(libvirt.VIR_ERR_NO_SECRET):
        connection.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_TLS, "db")


def test_filters(connection: "libvirt.virConnect") -> None:
    connection.secretDefineXML(xml())
    connection.secretDefineXML(xml(_OTHER, usage="web", ephemeral="yes", private="yes"))
    for flags, expected in (
        (libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL, {_OTHER}),
        (libvirt.VIR_CONNECT_LIST_SECRETS_NO_EPHEMERAL, {_ID}),
        (libvirt.VIR_CONNECT_LIST_SECRETS_PRIVATE, {_OTHER}),
        (libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL | libvirt.VIR_CONNECT_LIST_SECRETS_NO_EPHEMERAL, {_ID, _OTHER}),
        (libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL | libvirt.VIR_CONNECT_LIST_SECRETS_NO_PRIVATE, set()),
    ):
        assert {one.UUIDString() for one in connection.listAllSecrets(flags)} == expected


def test_a_private_value_is_told_nobody(connection: "libvirt.virConnect") -> None:
    secret = connection.secretDefineXML(xml(private="yes"))
    secret.setValue(_VALUE)
    with refused(libvirt.VIR_ERR_INVALID_SECRET):
        secret.value()
    with refused(libvirt.VIR_ERR_INTERNAL_ERROR):
        connection.secretDefineXML(xml())


def test_what_is_in_each_others_way(connection: "libvirt.virConnect") -> None:
    secret = connection.secretDefineXML(xml())
    secret.setValue(_VALUE)
    with refused(libvirt.VIR_ERR_INTERNAL_ERROR):
        connection.secretDefineXML(xml(usage="web"))
    with refused(libvirt.VIR_ERR_INTERNAL_ERROR):
        connection.secretDefineXML(xml(_OTHER))
    connection.secretDefineXML(xml(ephemeral="yes"))
    assert secret.value() == _VALUE
    assert "ephemeral='yes'" in secret.XMLDesc()


@pytest.mark.parametrize(
    "text",
    ["<secret", "<domain/>", "<secret ephemeral='perhaps'/>", "<secret><usage type='ceph'/></secret>"],
)
def test_bad_xml(connection: "libvirt.virConnect", text: str) -> None:
    with refused(libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL, libvirt.VIR_ERR_INTERNAL_ERROR):
        connection.secretDefineXML(text)


def test_unknown_flags(connection: "libvirt.virConnect") -> None:
    secret = connection.secretDefineXML(xml())
    calls: tuple[Callable[[], object], ...] = (
        lambda: connection.secretDefineXML(xml(), 64),
        lambda: secret.XMLDesc(64),
        lambda: secret.value(64),
        lambda: secret.setValue(_VALUE, 64),
        lambda: connection.listAllSecrets(1 << 20),
    )
    for call in calls:
        with refused(libvirt.VIR_ERR_INVALID_ARG):
            call()
