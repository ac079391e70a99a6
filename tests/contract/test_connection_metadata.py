# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection: title, description and elements of a user's own, for the present run and for the next."""

import re
from collections.abc import Callable

import libvirt
import pytest
from lxml import etree

from tests.support.connections import Client, Heard, Listener, refused

DESCRIPTION = libvirt.VIR_DOMAIN_METADATA_DESCRIPTION
TITLE = libvirt.VIR_DOMAIN_METADATA_TITLE
ELEMENT = libvirt.VIR_DOMAIN_METADATA_ELEMENT
LIVE, CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG
URI = "http://example.org/xmlns/1.0"


def canonical(text: str) -> bytes:
    """The same for all spellings of one XML element."""
    element = etree.fromstring(text, etree.XMLParser(remove_blank_text=True))
    return etree.tostring(element, method="c14n2")


def set_title(domain: "libvirt.virDomain", text: str | None, flags: int = 0) -> None:
    domain.setMetadata(TITLE, text, None, None, flags)


@pytest.mark.parametrize(("kind", "tag"), [(TITLE, "title"), (DESCRIPTION, "description")])
def test_a_text_comes_and_goes(client: Client, kind: int, tag: str) -> None:
    domain = client.define("one")
    with refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        domain.metadata(kind, None)
    domain.setMetadata(kind, "größer & <besser>", None, None)
    assert domain.metadata(kind, None) == "größer & <besser>"
    assert etree.fromstring(domain.XMLDesc()).findtext(tag) == "größer & <besser>"
    domain.setMetadata(kind, None, None, None)
    with refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        domain.metadata(kind, None)
    assert etree.fromstring(domain.XMLDesc()).find(tag) is None


def test_a_description_has_lines_and_a_title_has_one(client: Client) -> None:
    domain = client.define("one")
    domain.setMetadata(DESCRIPTION, "two\nlines", None, None)
    assert domain.metadata(DESCRIPTION, None) == "two\nlines"
    with refused(libvirt.VIR_ERR_INVALID_ARG):
        set_title(domain, "two\nlines")


def test_an_element_is_kept_under_its_namespace(client: Client) -> None:
    domain = client.define("one")
    text = "<app size='3'><part>one</part><part/></app>"
    domain.setMetadata(ELEMENT, text, "my", URI)
    assert canonical(domain.metadata(ELEMENT, URI)) == canonical(text)
    stored = etree.fromstring(domain.XMLDesc()).find("metadata/{*}app")
    assert stored is not None
    assert (stored.tag, stored.prefix, stored.get("size")) == (f"{{{URI}}}app", "my", "3")
    assert [part.tag for part in stored] == [f"{{{URI}}}part"] * 2
    domain.setMetadata(ELEMENT, "<app size='4'/>", "my", URI)
    assert canonical(domain.metadata(ELEMENT, URI)) == canonical("<app size='4'/>")
    with refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        domain.metadata(ELEMENT, f"{URI}/other")


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        ("<vm/>", "<vm/>"),
        ("<vm><a>1</a><b type='int'>2</b></vm>", '<vm>\n  <a>1</a>\n  <b type="int">2</b>\n</vm>'),
        (
            '<vm y="a\'b"><e>&lt;&amp;&gt; ü "q" \'r\'</e></vm>',
            '<vm y="a\'b">\n  <e>&lt;&amp;&gt; ü "q" \'r\'</e>\n</vm>',
        ),
        ("<vm><a><b/></a><!-- why --></vm>", "<vm>\n  <a>\n    <b/>\n  </a>\n  <!-- why -->\n</vm>"),
        (
            "<vm xmlns:other='urn:o'><other:a other:b='1'/><c/></vm>",
            '<vm xmlns:other="urn:o">\n  <other:a other:b="1"/>\n  <c/>\n</vm>',
        ),
        ("<vm>text<a/>mixed</vm>", "<vm>text<a/>mixed</vm>"),
        ("<?xml version='1.0'?>\n<vm><a/></vm>", "<vm>\n  <a/>\n</vm>"),
        ("<vm a='1&#10;2'>x&#13;y</vm>", '<vm a="1&#10;2">x&#13;y</vm>'),
    ],
)
def test_an_element_is_answered_to_the_byte(client: Client, written: str, answered: str) -> None:
    domain = client.define("one")
    domain.setMetadata(ELEMENT, written, "ovirt-vm", "http://ovirt.org/vm/1.0")
    assert domain.metadata(ELEMENT, "http://ovirt.org/vm/1.0") == answered


def test_a_definitions_elements_are_answered_to_the_byte(client: Client) -> None:
    """With prefixes declared further out, as oVirt's engine does."""
    xml = client.implementation.xml("one").replace("<domain ", "<domain xmlns:o='urn:o' xmlns:p='urn:p' ")
    element = "<o:vm><o:a p:b='1'>x</o:a>\n\n<!-- why --><p:c/></o:vm>"
    if "<metadata>" in xml:
        xml = xml.replace("</metadata>", f"{element}</metadata>")
    else:
        xml = xml.replace("<memory", f"<metadata>{element}</metadata><memory", 1)
    domain = client.connection.defineXML(xml)
    answer = domain.metadata(ELEMENT, "urn:o")
    assert re.sub(r' xmlns:p="urn:p"', "", answer) == ('<vm>\n  <a p:b="1">x</a>\n  <!-- why -->\n  <p:c/>\n</vm>')
    assert 'xmlns:p="urn:p"' in answer


def test_elements_of_others_stay(client: Client) -> None:
    domain = client.define("one")
    domain.setMetadata(ELEMENT, "<a/>", "a", f"{URI}/a")
    domain.setMetadata(ELEMENT, "<b/>", "b", f"{URI}/b")
    domain.setMetadata(ELEMENT, None, "a", f"{URI}/a")
    with refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        domain.metadata(ELEMENT, f"{URI}/a")
    assert canonical(domain.metadata(ELEMENT, f"{URI}/b")) == b"<b></b>"


def test_removing_what_is_not_there_is_fine(client: Client) -> None:
    domain = client.define("one")
    domain.setMetadata(ELEMENT, None, "a", f"{URI}/a")
    set_title(domain, None)


def test_what_is_wrong_is_refused(client: Client) -> None:
    domain = client.define("one")
    with refused(libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL):
        domain.setMetadata(ELEMENT, "<broken", "my", URI)
    attempts: list[Callable[[], object]] = [
        lambda: domain.setMetadata(9, "<a/>", "my", URI),
        lambda: domain.metadata(9, URI),
        lambda: domain.setMetadata(ELEMENT, "<a/>", None, URI),
    ]
    for attempt in attempts:
        with refused(libvirt.VIR_ERR_INVALID_ARG):
            attempt()
    with refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        domain.metadata(ELEMENT, URI)


def test_metadata_outlives_a_run(client: Client) -> None:
    domain = client.define("one")
    set_title(domain, "kept")
    domain.create()
    assert domain.metadata(TITLE, None) == "kept"
    domain.destroy()
    assert domain.metadata(TITLE, None) == "kept"


def test_a_run_and_its_definition_have_their_own(client: Client) -> None:
    domain = client.run("one")
    set_title(domain, "now", LIVE)
    assert domain.metadata(TITLE, None) == domain.metadata(TITLE, None, LIVE) == "now"
    with refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        domain.metadata(TITLE, None, CONFIG)
    set_title(domain, "next", CONFIG)
    assert domain.metadata(TITLE, None, CONFIG) == "next"
    assert domain.metadata(TITLE, None) == "now"
    set_title(domain, "both", LIVE | CONFIG)
    set_title(domain, "current")
    assert domain.metadata(TITLE, None, LIVE) == "current"
    assert domain.metadata(TITLE, None, CONFIG) == "both"
    domain.destroy()
    assert domain.metadata(TITLE, None) == "both"


def test_what_is_not_there_cannot_be_meant(client: Client) -> None:
    off, transient = client.define("one"), client.create("two")
    asks: list[Callable[[], object]] = [
        lambda: off.metadata(TITLE, None, LIVE),
        lambda: set_title(off, "never", LIVE),
        lambda: transient.metadata(TITLE, None, CONFIG),
        lambda: set_title(transient, "never", CONFIG),
    ]
    for ask in asks:
        with refused(libvirt.VIR_ERR_OPERATION_INVALID):
            ask()
    with refused(libvirt.VIR_ERR_INVALID_ARG):
        off.metadata(TITLE, None, LIVE | CONFIG)
    set_title(transient, "now")
    assert transient.metadata(TITLE, None) == "now"


def test_every_change_is_told(client: Client, listen: Callable[..., Listener]) -> None:
    domain = client.define("one")
    listener = listen(domain)
    set_title(domain, "a title")
    domain.setMetadata(DESCRIPTION, "a description", None, None)
    domain.setMetadata(ELEMENT, "<a/>", "a", URI)
    domain.setMetadata(ELEMENT, None, "a", URI)
    listener.expect(
        Heard("metadata", "one", (TITLE, None)),
        Heard("metadata", "one", (DESCRIPTION, None)),
        Heard("metadata", "one", (ELEMENT, URI)),
        Heard("metadata", "one", (ELEMENT, URI)),
    )
