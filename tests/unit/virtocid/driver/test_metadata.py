# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata calls, as virsh and Vdsm make them."""

import pytest

from covirt.common.dialect import COVIRT_NAMESPACE, OVIRT_CONTAINER_NAMESPACE, OVIRT_VM_NAMESPACE
from covirt.virtocid.driver import metadata
from covirt.virtocid.driver.domain_xml import DomainConfig, InvalidXml, XmlError, format_domain, parse_domain
from covirt.virtocid.driver.errors import BadArgument, NoMetadata


def domain(elements: str = "") -> DomainConfig:
    return parse_domain(
        f"<domain type='oci'><name>a</name><memory unit='MiB'>64</memory><metadata>{elements}</metadata></domain>",
        image_required=False,
    )


def put(config: DomainConfig, xml: str | None, *, uri: str = OVIRT_VM_NAMESPACE, key: str = "vm") -> DomainConfig:
    return metadata.with_element(config, uri=uri, key=key, xml=xml)


def test_what_is_absent_is_an_error_of_its_own() -> None:
    for read in (metadata.get_title, metadata.get_description):
        with pytest.raises(NoMetadata):
            read(domain())
    for uri in (OVIRT_VM_NAMESPACE, COVIRT_NAMESPACE):
        with pytest.raises(NoMetadata):
            metadata.get_element(domain(), uri)


def test_title_and_description() -> None:
    config = metadata.with_description(metadata.with_title(domain(), "T"), "one\ntwo <&>")
    assert metadata.get_title(config) == "T"
    assert metadata.get_description(config) == "one\ntwo <&>"
    assert metadata.with_title(config, None).title is None
    assert metadata.with_description(config, "").description is None
    assert parse_domain(format_domain(config, secure=True), image_required=False) == config


@pytest.mark.parametrize("title", ["a\nb", "a\x01", "\ud800"])
def test_titles_that_xml_cannot_hold(title: str) -> None:
    with pytest.raises(BadArgument, match="title"):
        metadata.with_title(domain(), title)


def test_an_element_without_namespace_goes_into_the_one_named() -> None:
    config = put(domain(), "<vm><a type='int'>1</a><b/></vm>")
    assert config.metadata[0].xml.startswith(f'<vm:vm xmlns:vm="{OVIRT_VM_NAMESPACE}"><vm:a type="int">1</vm:a>')
    # libvirt's answer has no namespace: Vdsm reads it so.
    assert metadata.get_element(config, OVIRT_VM_NAMESPACE) == '<vm>\n  <a type="int">1</a>\n  <b/>\n</vm>'


def test_an_element_in_its_namespace_stays_as_it_is() -> None:
    xml = f'<o:vm xmlns:o="{OVIRT_VM_NAMESPACE}"><o:a/></o:vm>'
    assert put(domain(), xml).metadata[0].xml == xml


def test_replacing_keeps_the_place() -> None:
    config = domain("<n:a xmlns:n='urn:n'/><m:b xmlns:m='urn:m'/>")
    changed = put(config, "<new/>", uri="urn:n", key="n")
    assert [item.uri for item in changed.metadata] == ["urn:n", "urn:m"]
    assert metadata.get_element(changed, "urn:n") == "<new/>"
    assert [item.uri for item in put(changed, None, uri="urn:n").metadata] == ["urn:m"]


def test_our_own_element_is_the_settings() -> None:
    config = put(domain(), "<container><image>web</image></container>", uri=COVIRT_NAMESPACE, key="c")
    assert config.image == "web"
    assert config.metadata == ()
    assert metadata.get_element(config, COVIRT_NAMESPACE) == "<container>\n  <image>web</image>\n</container>"
    assert put(config, None, uri=COVIRT_NAMESPACE).image is None


def test_ovirts_element_counts_at_once() -> None:
    xml = "<container><runtime>crun</runtime><image>web</image></container>"
    config = put(domain(), xml, uri=OVIRT_CONTAINER_NAMESPACE, key="ovirtcnt")
    assert (config.image, config.runtime) == ("web", "crun")
    assert put(config, None, uri=OVIRT_CONTAINER_NAMESPACE).image is None


def test_what_is_wrong_in_them_is_refused() -> None:
    with pytest.raises(InvalidXml, match="neither an absolute path"):
        put(domain(), "<container><image>a b</image></container>", uri=COVIRT_NAMESPACE)
    with pytest.raises(InvalidXml, match="only element"):
        put(domain(), "<box/>", uri=COVIRT_NAMESPACE)
    with pytest.raises(XmlError, match="is in the namespace urn:x"):
        put(domain(), "<a xmlns='urn:x'/>")
    with pytest.raises(XmlError, match="DOCTYPE"):
        put(domain(), "<!DOCTYPE a><a/>")
    with pytest.raises(BadArgument, match="prefix"):
        put(domain(), "<a/>", key="a b")
    with pytest.raises(BadArgument, match="URI"):
        put(domain(), "<a/>", uri="")
