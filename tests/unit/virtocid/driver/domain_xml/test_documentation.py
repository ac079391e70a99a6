# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The annotated example of the manual is true."""

import re
from pathlib import Path

from covirt.virtocid.driver.domain_xml import format_domain, parse_domain
from covirt.virtocid.driver.domain_xml.model import ContainerSettings, DomainConfig
from tests.unit.virtocid.driver.domain_xml.test_schema import needs_schemas, validate

_PAGE = Path(__file__).resolve().parents[5] / "docs" / "domain-xml.md"


def example() -> DomainConfig:
    match = re.search(r"```xml\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    assert match is not None
    return parse_domain(match[1])


def test_every_word_of_it_is_known() -> None:
    assert example().unknown == ()


def test_it_shows_every_setting() -> None:
    settings, default = example().settings, ContainerSettings()
    unused = [name for name in ContainerSettings.__slots__ if getattr(settings, name) == getattr(default, name)]
    assert unused == ["readonly_root"]  # a read-only root with a layer that is kept would make no sense


def test_it_survives_the_way_through_virtocid() -> None:
    config = example()
    assert parse_domain(format_domain(config, secure=True)) == config


@needs_schemas
def test_it_is_libvirts_xml() -> None:
    validate(format_domain(example(), secure=True), "domain.rng")
