# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets that an engine gives to a container: virtocid keeps them as long as the Vm is there, and gives them inside.

Values pass through a start and are kept nowhere here. A Vm's record has what is needed to take them back: UUIDs made
for this Vm alone, written down before anything is defined.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import libvirt
from lxml import etree

from covirt.host.virt.container_errors import BadContainerProperty
from covirt.host.virt.container_properties import Property
from covirt.host.virt.container_xml import covirt_name
from covirt.host.virt.document import made_child
from covirt.host.virt.errors import BadVm
from covirt.host.virt.kinds import Kind
from covirt.host.virt.ovirt_metadata import VmFacts

_DIRECTORY: Final = "/run/secrets"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """A secret of virtocid's, and where its container has it: in a file at ``path``, or a variable.

    Without ``uid`` and ``gid`` the file belongs to the user that the container starts as.
    """

    uuid: str
    name: str
    path: str = ""
    mode: str = "0400"
    uid: int | None = None
    gid: int | None = None
    environment: str = ""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(**{**value, "uuid": str(uuid.UUID(value["uuid"]))})


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSecret:
    """As an engine gives it."""

    name: str
    value: bytes = field(repr=False)
    path: str | None = None
    mode: str = "0400"
    uid: int | None = None
    gid: int | None = None
    environment: str | None = None

    def ref(self) -> SecretRef:
        """A new one."""
        made = str(uuid.uuid4())
        if self.environment is not None:
            return SecretRef(uuid=made, name=self.name, environment=self.environment)
        path = self.path or f"{_DIRECTORY}/{self.name}"
        return SecretRef(uuid=made, name=self.name, path=path, mode=self.mode, uid=self.uid, gid=self.gid)


def check_secrets(given: Sequence[GivenSecret], kind: Kind, facts: VmFacts) -> None:
    """Raises BadVm, BadContainerProperty."""
    if given and kind is not Kind.CONTAINER:
        raise BadVm(reason="secrets are given to containers, and this is a virtual machine")
    named = facts.custom.get(Property.SECRETS, "").strip(", \t\n")
    if not given and named and kind is Kind.CONTAINER:
        raise BadContainerProperty(
            name=Property.SECRETS,
            reason="it names secrets, and the engine gave none; start it with an engine that does",
        )


def name_secrets(root: etree._Element, refs: Sequence[SecretRef]) -> None:
    """Let a container's definition name what was defined for it."""
    settings = made_child(made_child(root, "metadata"), covirt_name("container"))
    for ref in refs:
        if ref.environment:
            said = {"uuid": ref.uuid, "environment": ref.environment}
        else:
            said = {"uuid": ref.uuid, "path": ref.path, "mode": ref.mode}
            said |= {name: str(owner) for name, owner in (("uid", ref.uid), ("gid", ref.gid)) if owner is not None}
        etree.SubElement(settings, covirt_name("secret"), said)


def define_secret(connection: Any, ref: SecretRef, value: bytes, *, vm_name: str) -> None:
    """Ephemeral, so that it is in memory alone, and private, so that no client is told it. Raises libvirtError."""
    root = etree.Element("secret", ephemeral="yes", private="yes")
    etree.SubElement(root, "uuid").text = ref.uuid
    etree.SubElement(root, "description").text = f"{ref.name} of {vm_name}"
    connection.secretDefineXML(etree.tostring(root, encoding="unicode")).setValue(value)


def undefine_secrets(connection: Any, refs: Sequence[SecretRef]) -> None:
    """What is gone is fine. Raises libvirtError."""
    for ref in refs:
        try:
            connection.secretLookupByUUIDString(ref.uuid).undefine()
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SECRET:
                raise
