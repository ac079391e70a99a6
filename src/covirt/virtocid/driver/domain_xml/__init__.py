# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A domain's XML: read into frozen facts, and written back."""

from covirt.virtocid.driver.domain_xml.errors import InvalidXml, XmlError
from covirt.virtocid.driver.domain_xml.format import format_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig, LiveState
from covirt.virtocid.driver.domain_xml.parse import parse_device, parse_domain

__all__ = ["DomainConfig", "InvalidXml", "LiveState", "XmlError", "format_domain", "parse_device", "parse_domain"]
