# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's <secret>, read and written."""

from uuid import UUID

import pytest

from covirt.virtocid.driver.domain_xml.errors import InvalidXml, XmlError
from covirt.virtocid.driver.secrets.model import SecretConfig
from covirt.virtocid.driver.secrets.secret_xml import format_secret, parse_secret
from covirt.wire.constants import SecretUsage

_ID = UUID("0a1b2c3d-1111-2222-3333-444455556666")


def usage(kind: str, inner: str) -> str:
    return f"<secret><uuid>{_ID}</uuid><usage type='{kind}'>{inner}</usage></secret>"


def test_defaults() -> None:
    config = parse_secret("<secret/>")
    assert (config.ephemeral, config.private, config.usage, config.usage_id) == (False, False, SecretUsage.NONE, "")
    assert config.uuid != parse_secret("<secret/>").uuid


def test_as_libvirt_writes_it() -> None:
    config = SecretConfig(
        uuid=_ID, ephemeral=True, private=True, description="Of <db>", usage=SecretUsage.CEPH, usage_id="db"
    )
    assert format_secret(config) == (
        "<secret ephemeral='yes' private='yes'>\n"
        f"  <uuid>{_ID}</uuid>\n"
        "  <description>Of &lt;db&gt;</description>\n"
        "  <usage type='ceph'>\n"
        "    <name>db</name>\n"
        "  </usage>\n"
        "</secret>\n"
    )


@pytest.mark.parametrize(
    ("kind", "inner", "number"),
    [
        ("volume", "<volume>/a/b</volume>", 1),
        ("ceph", "<name>db</name>", 2),
        ("iscsi", "<target>db</target>", 3),
        ("tls", "<name>db</name>", 4),
        ("vtpm", "<name>db</name>", 5),
    ],
)
def test_every_usage_and_back(kind: str, inner: str, number: int) -> None:
    config = parse_secret(usage(kind, inner))
    assert config.usage == number
    assert parse_secret(format_secret(config)) == config


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<domain/>", "must be <secret>"),
        ("<secret private='maybe'/>", "not one of yes, no"),
        ("<secret><uuid>x</uuid></secret>", "not a UUID"),
        (usage("ftp", ""), "not one of none, volume"),
        (usage("ceph", ""), "<name> is missing"),
        (usage("volume", "<volume> </volume>"), "<volume> is missing"),
        ("<secret><description/><description/></secret>", "more than one <description>"),
    ],
)
def test_what_is_wrong_is_said(xml: str, words: str) -> None:
    with pytest.raises(InvalidXml, match=words):
        parse_secret(xml)


def test_a_doctype_is_refused() -> None:
    with pytest.raises(XmlError, match="DOCTYPE"):
        parse_secret("<!DOCTYPE secret [<!ENTITY a 'b'>]><secret/>")


def test_strangers_are_refused_only_when_it_is_checked() -> None:
    xml = "<secret><colour/></secret>"
    assert "colour" not in format_secret(parse_secret(xml))
    with pytest.raises(InvalidXml, match="colour"):
        parse_secret(xml, checked=True)
    with pytest.raises(InvalidXml, match="means nothing here"):
        parse_secret(usage("none", "<name>db</name>"), checked=True)
