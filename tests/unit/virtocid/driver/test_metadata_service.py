# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata of domains that may run, and the one element that virtocid writes itself."""

import pytest
from lxml import etree

from covirt.common.dialect import STOP_CAUSE_NAMESPACE
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.errors import XmlTooLarge
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.errors import BadArgument, NoMetadata
from covirt.virtocid.driver.records import domain_record
from covirt.wire.constants import AffectFlag, MetadataType
from tests.support.fake_services import FakeHost
from tests.support.virtocid import domain_xml

TITLE, ELEMENT = MetadataType.TITLE, MetadataType.ELEMENT


def ended(host: FakeHost, script: str) -> Domain:
    """A domain that ran to its end."""
    domain = host.define("one", ("/bin/sh", "-c", script))
    host.driver.lifecycle.start(domain, paused=False)
    host.wait_until_off(domain)
    return domain


def cause(host: FakeHost, domain: Domain, *, secure: bool = True) -> etree._Element:
    text = host.driver.metadata.get(domain, ELEMENT, STOP_CAUSE_NAMESPACE, 0, secure=secure)
    return etree.fromstring(text)


def test_why_it_stopped_is_metadata(host: FakeHost) -> None:
    domain = ended(host, "echo last words; exit 3")
    element = cause(host, domain)
    assert element.tag == f"{{{STOP_CAUSE_NAMESPACE}}}cause"
    assert (element.get("kind"), element.get("exitCode")) == ("exited", "3")
    assert "exit code 3" in str(element.get("message"))
    assert [line.text for line in element] == ["last words"]
    described = etree.fromstring(host.driver.describe(domain, inactive=False, secure=True))
    assert described.find(f"metadata/{{{STOP_CAUSE_NAMESPACE}}}cause") is not None


def test_a_domain_that_never_ran_has_no_cause(host: FakeHost) -> None:
    with pytest.raises(NoMetadata):
        cause(host, host.define("one"))


def test_what_the_container_said_is_not_for_readers(host: FakeHost) -> None:
    domain = ended(host, "echo my pass''word; exit 3")
    assert "password" not in etree.tostring(cause(host, domain, secure=False), encoding="unicode")
    assert "password" not in host.driver.describe(domain, inactive=False, secure=False)


def test_any_byte_a_container_prints_fits_into_xml(host: FakeHost) -> None:
    domain = ended(host, r"printf 'a\001b\377<&>\n'; exit 1")
    (line,) = cause(host, domain)
    assert line.text is not None
    assert line.text.startswith("a")
    assert line.text.endswith("<&>")


def test_the_cause_is_written_by_nobody_else(host: FakeHost) -> None:
    domain = host.define("one")
    with pytest.raises(BadArgument):
        host.driver.metadata.set(domain, ELEMENT, "<a/>", key="a", uri=STOP_CAUSE_NAMESPACE, flags=0)
    forged = f"<a:cause xmlns:a='{STOP_CAUSE_NAMESPACE}' kind='oom'/><covirt:container"
    text = domain_xml("two").replace("<covirt:container", forged, 1)
    with pytest.raises(NoMetadata):
        cause(host, host.driver.definitions.define(text))


def test_a_change_of_a_running_domain_is_on_disk(host: FakeHost) -> None:
    domain = host.run("one")
    host.driver.metadata.set(domain, TITLE, "now", key=None, uri=None, flags=1)
    host.driver.metadata.set(domain, TITLE, "next", key=None, uri=None, flags=2)
    (run,), _ = host.services.runs.load_all()
    (definition,), _ = host.services.store.load_all()
    assert "<title>now</title>" in run.xml
    assert "<title>next</title>" in definition.xml


def set_elements(host: FakeHost, domain: Domain, xml: str) -> None:
    flags = AffectFlag.LIVE | AffectFlag.CONFIG
    for number in range(4):
        host.driver.metadata.set(domain, ELEMENT, xml, key="big", uri=f"http://example.org/{number}", flags=flags)


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param(f"<big>{'x' * 1_500_000}</big>", id="bytes"),
        pytest.param(f"<big>{'<b/>' * 20_000}</big>", id="elements"),
        pytest.param(f"{'<b>' * 63}{'</b>' * 63}", id="depth"),
    ],
)
def test_metadata_never_make_a_domain_that_the_next_daemon_cannot_read(host: FakeHost, xml: str) -> None:
    domain = host.run("one")
    with pytest.raises(XmlTooLarge, match="whole XML would be too large"):
        set_elements(host, domain, xml)
    assert domain.run is not None
    described = host.driver.describe(domain, inactive=False, secure=True)
    for text in (described, domain.run.xml, domain_record(domain).xml):
        assert parse_domain(text, live=True).name == "one"
    (run,), _ = host.services.runs.load_all()
    assert run.xml == domain.run.xml


def test_a_change_that_cannot_be_written_is_none(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = host.define("one")

    def full(_record: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(host.services.store, "save", full)
    with pytest.raises(OSError, match="No space"):
        host.driver.metadata.set(domain, TITLE, "lost", key=None, uri=None, flags=0)
    assert domain.next_config.title is None
