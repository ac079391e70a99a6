# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Our XML is libvirt's: its own schemas accept it, once the domain type they do not know is exchanged."""

from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.oci.runtime import RuntimeInfo
from covirt.virtocid.driver.capabilities import HostFacts, capabilities_xml, domain_capabilities_xml
from covirt.virtocid.driver.domain_xml import format_domain, parse_domain
from tests.unit.virtocid.driver.domain_xml.test_clients import LIVE, NAMES, read

_SCHEMAS: Final = Path("/usr/share/libvirt/schemas")
needs_schemas = pytest.mark.skipif(
    not _SCHEMAS.is_dir(), reason="libvirt's schemas are not installed (Debian: libvirt0, libvirt-common)"
)
_RUNTIMES: Final = (
    RuntimeInfo(name="crun", path="crun", version=None, features=frozenset(), usable=False, reason="no <binary>"),
    RuntimeInfo(name="runc", path="/usr/sbin/runc", version="1.1.5", features=frozenset(), usable=True),
)
_HOST: Final = HostFacts(
    uuid=UUID("2b1cf4ac-5cb1-4c1e-9f0e-3a4f6d0a5b11"),
    architecture="x86_64",
    memory_kib=8_000_000,
    sockets=1,
    cores=2,
    threads=1,
    cpus=(0, 1),
)


def validate(xml: str, schema: str) -> None:
    """Check against one of libvirt's schemas; what is ours is exchanged or taken out first."""
    root = etree.fromstring(xml)
    for element in root.iter("domain"):
        if element.get("type") == "oci":
            element.set("type", "lxc")
        for kind in element.iterfind("os/type[@machine]"):  # written for a machine, and kept
            element.set("type", "kvm")
            kind.text = "hvm"
    for element in root.findall(f"{{{COVIRT_NAMESPACE}}}*"):
        root.remove(element)
    relaxng = etree.RelaxNG(etree.parse(str(_SCHEMAS / schema)))
    relaxng.validate(root)
    assert not list(relaxng.error_log), xml


@needs_schemas
@pytest.mark.parametrize("name", NAMES)
def test_domain(name: str) -> None:
    config = parse_domain(read(name))
    validate(format_domain(config, secure=True), "domain.rng")
    validate(format_domain(config, live=LIVE, secure=False), "domain.rng")


@needs_schemas
def test_capabilities() -> None:
    validate(capabilities_xml(_HOST, _RUNTIMES, default_runtime="runc"), "capability.rng")


@needs_schemas
def test_domain_capabilities() -> None:
    validate(
        domain_capabilities_xml(architecture="x86_64", max_vcpus=8, runtimes=_RUNTIMES, default_runtime="runc"),
        "domaincaps.rng",
    )


def test_capabilities_offer_containers_where_clients_look() -> None:
    root = etree.fromstring(capabilities_xml(_HOST, _RUNTIMES, default_runtime="runc"))
    assert root.xpath("string(/capabilities/guest/os_type)") == "exe"
    assert root.xpath("string(/capabilities/guest/arch[@name='x86_64']/domain/@type)") == "oci"


def test_capabilities_say_why_a_runtime_is_not_usable() -> None:
    root = etree.fromstring(capabilities_xml(_HOST, _RUNTIMES, default_runtime="runc"))
    runtimes = {item.get("name"): dict(item.attrib) for item in root.iter(f"{{{COVIRT_NAMESPACE}}}runtime")}
    assert runtimes["crun"]["usable"] == "no"
    assert runtimes["crun"]["reason"] == "no <binary>"
    assert runtimes["runc"]["default"] == "yes"
