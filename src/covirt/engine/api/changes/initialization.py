# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A guest's first settings in a body: of a machine, or of one start."""

from dataclasses import replace
from typing import Any, Final

from covirt.engine.api.changes.bodies import NotOffered, told, told_word
from covirt.engine.api.errors import BadValue
from covirt.engine.api.node import Body, BodyValue
from covirt.engine.api.reading import at, items
from covirt.engine.model.hardware import GuestAddress, GuestNic, GuestProtocol, Initialization
from covirt.engine.vault.sealing import SEALED, seal_initialization
from covirt.engine.vault.vault import Vault

_TEXTS: Final = {
    "host_name": "host_name",
    "user_name": "user_name",
    "root_password": "root_password",
    "authorized_ssh_keys": "authorized_ssh_keys",
    "custom_script": "custom_script",
    "timezone": "time_zone",
    "dns_servers": "dns_servers",
    "dns_search": "dns_search",
}
_SECRET: Final = ("root_password", "custom_script")
_REST: Final = ("nic_configurations", "regenerate_ssh_keys", "regenerate_ids", "cloud_init_network_protocol")


def changed_initialization(vault: Vault, before: Initialization | None, given: BodyValue) -> Initialization | None:
    """What the body does not say stays; an empty element takes all of it away. Its secrets come back sealed. Raises
    NotOffered, BadValue."""
    if not isinstance(given, dict) or not given:
        return None
    strange = sorted(set(given) - set(_TEXTS) - set(_REST))
    if strange:
        raise NotOffered(field=f"initialization.{strange[0]}", what="such first settings of guests")
    if told(given, "cloud_init_network_protocol", "openstack_metadata") != "openstack_metadata":
        raise NotOffered(field="initialization.cloud_init_network_protocol", what="files of network interfaces (ENI)")
    for name in _SECRET:
        if str(given.get(name, "")).startswith(SEALED):
            raise BadValue(text=SEALED, kind="beginning", name=f"initialization.{name}", hint="")
    base = before or Initialization()
    values: dict[str, Any] = {name: str(given[field]) for field, name in _TEXTS.items() if field in given}
    if (nics := items(given, "nic_configurations")) is not None:
        values["nics"] = tuple(_nic(each) for each in nics)
    keys = told(given, "regenerate_ssh_keys", base.regenerate_ssh_keys or False)
    if "regenerate_ssh_keys" in given:
        values["regenerate_ssh_keys"] = keys
    changed = replace(base, **values)
    return seal_initialization(vault, replace(changed, used=base.used and changed == base))


def _nic(given: Body) -> GuestNic:
    name = told(given, "name", "")
    if not name or not name.isprintable() or " " in name:
        raise BadValue(text=name, kind="name of an interface", name="nic_configuration.name", hint=", as in eth0")
    if told(given, "on_boot", True) is False:
        raise NotOffered(field="nic_configuration.on_boot", what="interfaces that a guest does not begin with")
    return GuestNic(
        name=name, v4=_address(given, "boot_protocol", "ip"), v6=_address(given, "ipv6_boot_protocol", "ipv6")
    )


def _address(given: Body, protocol_field: str, field: str) -> GuestAddress:
    address = str(at(given, f"{field}.address") or "")
    default = GuestProtocol.STATIC if address else GuestProtocol.NONE
    protocol = told_word(given, protocol_field, default)
    if protocol is not GuestProtocol.STATIC:
        return GuestAddress(protocol=protocol)
    if not address:
        raise BadValue(text="", kind="address", name=f"nic_configuration.{field}.address", hint="; static needs one")
    return GuestAddress(
        protocol=protocol,
        address=address,
        netmask=str(at(given, f"{field}.netmask") or ""),
        gateway=str(at(given, f"{field}.gateway") or ""),
    )
