# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""<covirt:secret>: which secret, and where it goes."""

from uuid import UUID

import pytest

from covirt.virtocid.driver.domain_xml import InvalidXml, format_domain, parse_domain
from covirt.virtocid.driver.domain_xml.model_secrets import GivenSecret
from tests.support.virtocid import domain_xml

_ID = "0a1b2c3d-1111-2222-3333-444455556666"


def read(settings: str) -> tuple[GivenSecret, ...]:
    config = parse_domain(domain_xml("web", settings=settings))
    assert parse_domain(format_domain(config, secure=True)) == config
    return config.settings.secrets


def test_defaults() -> None:
    assert read("<covirt:secret usage='db'/>") == (GivenSecret(usage="db", path="/run/secrets/db", mode=0o400),)
    assert read(f"<covirt:secret uuid='{_ID}' environment='DB'/>") == (GivenSecret(uuid=UUID(_ID), environment="DB"),)


def test_everything_said() -> None:
    text = "<covirt:secret usage='a b/c' path='/etc/key' mode='0440' uid='5' gid='6'/>"
    assert read(text) == (GivenSecret(usage="a b/c", path="/etc/key", mode=0o440, uid=5, gid=6),)


def test_one_secret_in_two_places() -> None:
    assert len(read("<covirt:secret usage='db'/><covirt:secret usage='db' environment='DB'/>")) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<covirt:secret/>", "one of both"),
        (f"<covirt:secret uuid='{_ID}' usage='db'/>", "one of both"),
        (f"<covirt:secret uuid='{_ID}'/>", "say where it goes"),
        ("<covirt:secret usage='..'/>", "say where it goes"),
        ("<covirt:secret usage='/var/disk.img'/>", "say where it goes"),
        ("<covirt:secret usage='db' path='db'/>", "not an absolute path"),
        ("<covirt:secret usage='db' path='/a/../b'/>", "segment"),
        ("<covirt:secret usage='db' path='/a/'/>", "not the path of a file"),
        ("<covirt:secret usage='db' path='/'/>", "not the path of a file"),
        ("<covirt:secret usage='db' path='/a' environment='A'/>", "write it twice"),
        ("<covirt:secret usage='db' environment='A=B'/>", "environment variable"),
        ("<covirt:secret usage='db' mode='4755'/>", "not a mode"),
        ("<covirt:secret usage='db' mode='0x1'/>", "not a mode"),
        ("<covirt:secret usage='db' uid='-1'/>", "out of range"),
        ("<covirt:secret usage='db' uid='4294967295'/>", "out of range"),
        ("<covirt:secret usage='db' environment='A' mode='0400'/>", "means nothing here"),
        ("<covirt:secret usage='db'>value</covirt:secret>", "no text"),
        ("<covirt:secret usage='db' value='x'/>", "means nothing here"),
        ("<covirt:secret usage='db'/><covirt:secret usage='db'/>", "given as /run/secrets/db"),
        ("".join(f"<covirt:secret usage='s{number}'/>" for number in range(129)), "at most 128"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidXml, match=words):
        read(text)


def test_a_variable_is_said_once() -> None:
    text = domain_xml("web", settings="<covirt:secret usage='db' environment='DB'/>", environment={"DB": "x"})
    with pytest.raises(InvalidXml, match="DB is set by <initenv>"):
        parse_domain(text)
