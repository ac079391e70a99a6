# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""XML made to hurt the reader is refused before it does."""

import time

import pytest

from covirt.virtocid.driver.domain_xml import XmlError, parse_domain
from covirt.virtocid.driver.domain_xml.values import cpuset_members

DOMAIN = "<domain type='oci'><name>a</name><memory unit='MiB'>64</memory>{}</domain>"


def refusal(xml: str) -> str:
    with pytest.raises(XmlError) as caught:
        parse_domain(xml)
    return str(caught.value)


BOMB = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10 if n else 'lol'}'>" for n in range(10))


@pytest.mark.parametrize(
    "prolog",
    [
        f"<!DOCTYPE lolz [{BOMB}]>",
        "<!DOCTYPE d SYSTEM 'http://192.0.2.1/x.dtd'>",
        "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
        "<?xml version='1.0'?><!-- > --><?pi <!x?>\n <!DOCTYPE d>",
        "\ufeff<!DOCTYPE d>",
        "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE d>",
        "<!doctype d>",
    ],
)
def test_doctype(prolog: str) -> None:
    begin = time.monotonic()
    assert "DOCTYPE" in refusal(prolog + DOMAIN.format("<title>&l9;</title>"))
    assert time.monotonic() - begin < 5


def test_a_doctype_that_is_only_text_is_fine() -> None:
    text = "<!-- <!DOCTYPE a> --><os><initenv name='A'><![CDATA[<!DOCTYPE html>]]></initenv></os>"
    config = parse_domain("<!-- <!DOCTYPE b> -->" + DOMAIN.format(text), image_required=False)
    assert config.process.environment == (("A", "<!DOCTYPE html>"),)


def test_unknown_entities() -> None:
    refusal(DOMAIN.format("<title>&nothing;</title>"))
    refusal(DOMAIN.format("<title a='&nothing;'/>"))


def test_depth() -> None:
    assert "deeper than 64" in refusal(DOMAIN.format("<a>" * 100 + "</a>" * 100))
    refusal(DOMAIN.format("<a>" * 100_000 + "</a>" * 100_000))


def test_size() -> None:
    assert "the limit is" in refusal(DOMAIN.format("<title>" + "x" * 4 * 1024 * 1024 + "</title>"))


def test_number_of_elements() -> None:
    assert "50000 elements" in refusal(DOMAIN.format("<a/>" * 60_000))


def test_many_unknown_elements_are_not_all_reported() -> None:
    config = parse_domain(DOMAIN.format("<a/>" * 20_000), image_required=False)
    assert len(config.unknown) == 100
    assert len(config.kept.elements) == 20_000


@pytest.mark.parametrize(
    "xml", ["", " ", "<", "<domain", "<domain></domain", "text", "<a/><b/>", "\0", "\ud800", "<a\x01/>"]
)
def test_what_is_no_xml(xml: str) -> None:
    refusal(xml)


def test_encoding_declarations_are_not_believed() -> None:
    xml = "<?xml version='1.0' encoding='ISO-8859-1'?>" + DOMAIN.format("<title>grün</title>")
    assert parse_domain(xml, image_required=False).title == "grün"


def test_lists_of_cpus_take_no_time() -> None:
    """As many long ranges as fit into the longest document, each over every CPU there can be."""
    cpus = "0-8191," * 2000 + "^1-8191"
    pins = "".join(f"<vcpupin vcpu='{number}' cpuset='{cpus}'/>" for number in range(250))
    begin = time.monotonic()
    config = parse_domain(DOMAIN.format(f"<vcpu>250</vcpu><cputune>{pins}</cputune>"), image_required=False)
    assert time.monotonic() - begin < 30
    assert all(cpuset_members(pin.cpuset) == {0} for pin in config.cpu_tune.vcpu_pins[:3])
