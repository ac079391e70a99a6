# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's <secret>, read and written. As there, words that nobody knows are left out unless they are checked."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from uuid import uuid4

from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.build import group, make, optional
from covirt.virtocid.driver.domain_xml.document import read_document, write_document
from covirt.virtocid.driver.domain_xml.node import Node, Report
from covirt.virtocid.driver.secrets.model import SecretConfig
from covirt.wire.constants import SecretUsage

# By <usage type=>: its number, and the element that holds the id.
_USAGES: Final[Mapping[str, tuple[SecretUsage, str]]] = MappingProxyType(
    {
        "none": (SecretUsage.NONE, ""),
        "volume": (SecretUsage.VOLUME, "volume"),
        "ceph": (SecretUsage.CEPH, "name"),
        "iscsi": (SecretUsage.ISCSI, "target"),
        "tls": (SecretUsage.TLS, "name"),
        "vtpm": (SecretUsage.VTPM, "name"),
    }
)
_WORDS: Final = {usage: (word, element) for word, (usage, element) in _USAGES.items()}


def parse_secret(xml: str, *, checked: bool = False) -> SecretConfig:
    """``checked``: refuse what nobody knows. Without <uuid> it gets a new one. Raises XmlError, InvalidXml."""
    node = Node(read_document(xml), Report())
    if node.tag != "secret":
        raise node.invalid("the root element must be <secret>")
    usage, usage_id = _read_usage(node.child("usage"), checked=checked)
    config = SecretConfig(
        uuid=node.child_text("uuid", values.uuid) or uuid4(),
        ephemeral=node.attribute("ephemeral", values.yes_no) or False,
        private=node.attribute("private", values.yes_no) or False,
        description=node.child_text("description", values.xml_text) or None,
        usage=usage,
        usage_id=usage_id,
    )
    if checked:
        node.close()
    return config


def _read_usage(node: Node | None, *, checked: bool) -> tuple[SecretUsage, str]:
    if node is None:
        return SecretUsage.NONE, ""
    usage, element = _USAGES[node.required("type", values.choice(*_USAGES))]
    usage_id = (node.child_text(element, values.one_line) or "").strip() if element else ""
    if element and not usage_id:
        raise node.invalid(f"<{element}> is missing, which says what it is for")
    if checked:
        node.close()
    return usage, usage_id


def format_secret(config: SecretConfig) -> str:
    """As libvirt writes it."""
    word, element = _WORDS[config.usage]
    usage = group("usage", (make(element, config.usage_id),), type_=word) if element else None
    return write_document(
        group(
            "secret",
            (make("uuid", config.uuid), optional("description", config.description), usage),
            ephemeral=_yes_no(config.ephemeral),
            private=_yes_no(config.private),
        )
    )


def _yes_no(value: bool) -> str:  # noqa: FBT001 - it is the value
    return "yes" if value else "no"


def usage_word(config: SecretConfig) -> str:
    """``ceph``, ``none``, …"""
    return _WORDS[config.usage][0]
