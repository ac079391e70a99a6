# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""vNIC profiles: with what machines join a network."""

import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_title
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.network import NetworkUsage, VnicPassThrough, VnicProfile
from covirt.engine.store.query import ListQuery
from covirt.engine.store.seed_data import NETWORK_FILTERS

PROFILE_USER_ID: Final = "def0000a-0000-0000-0000-def000000010"  # oVirt's id of the role
DEFAULT_FILTER: Final = NETWORK_FILTERS[0].id  # of who names none
_ADDED: Final = AuditMessage(
    code=1122,
    text="VM network interface profile {profile} was added to network {network} in Data Center: {center}. "
    "(User: {user})",
)
_UPDATED: Final = AuditMessage(
    code=1124,
    text="VM network interface profile {profile} was updated for network {network} in Data Center: {center}. "
    "(User: {user})",
)
_REMOVED: Final = AuditMessage(
    code=1126,
    text="VM network interface profile {profile} was removed from network {network} in Data Center: {center}. "
    "(User: {user})",
)


class ProfileNameInUse(Conflict):
    """Fields: action."""

    template = (
        "Cannot {action} VM network interface profile. The VM network interface profile's name is already used by an "
        "existing profile for the same network. Please choose a different name."
    )


class ProfileOfNonVmNetwork(InvalidRequest):
    """Fields: action."""

    template = (
        "Cannot {action} VM network interface profile. VM network interface profiles cannot be added to a non-VM "
        "network. Please make sure the network is a VM network."
    )


class ProfileInUse(Conflict):
    """Fields: machines."""

    template = (
        "Cannot remove VM network interface profile. This VM network interface profile is used by: {machines}. "
        "Please remove it from them and try again."
    )


class ProfileNetworkStays(InvalidRequest):
    template = "Cannot edit VM network interface profile. VM network interface profile's network cannot be changed."


class NoPassThrough(InvalidRequest):
    template = "covirt's hosts pass no network device through to machines; a vNIC profile's pass_through is disabled."


class NoPortMirroring(InvalidRequest):
    template = "covirt's hosts mirror no ports; a vNIC profile's port_mirroring is false."


class UnknownProfileProperties(InvalidRequest):
    """Fields: keys."""

    template = (
        "Cannot edit VM network interface profile if some of the specified custom properties are not configured by "
        "the system. The keys are: {keys}"
    )


def add_profile(change: Change, profile: VnicProfile) -> str:
    """The new id."""
    change.require(Right.CREATE_NETWORK_VNIC_PROFILE, Subject(type=ObjectType.NETWORK, id=profile.network_id))
    added = replace(profile, id=str(uuid.uuid4()))
    _check(change, added, "add")
    change.session.vnic_profiles.add(added)
    give_creator(change, PROFILE_USER_ID, Subject(type=ObjectType.VNIC_PROFILE, id=added.id))
    _tell(change, _ADDED, added)
    return added.id


def update_profile(change: Change, profile: VnicProfile) -> None:
    """Machines that run already have it from their next start, or from when their interface is plugged again."""
    change.require(Right.CONFIGURE_NETWORK_VNIC_PROFILE, Subject(type=ObjectType.VNIC_PROFILE, id=profile.id))
    if profile.network_id != change.session.vnic_profiles.get(profile.id).network_id:
        raise ProfileNetworkStays
    _check(change, profile, "edit")
    change.session.vnic_profiles.update(profile)
    _tell(change, _UPDATED, profile)


def remove_profile(change: Change, profile_id: str) -> None:
    """Raises ProfileInUse."""
    change.require(Right.DELETE_NETWORK_VNIC_PROFILE, Subject(type=ObjectType.VNIC_PROFILE, id=profile_id))
    profile = change.session.vnic_profiles.get(profile_id)
    machines = users_of(change, (profile_id,))
    if machines:
        raise ProfileInUse(machines=", ".join(machines))
    change.session.vnic_profiles.remove(profile_id)
    forget(change.session, profile_id)
    _tell(change, _REMOVED, profile)


def users_of(change: Change, profile_ids: tuple[str, ...]) -> list[str]:
    """The names of the machines and templates with a NIC of one of the profiles."""
    nics = change.session.nics.list(ListQuery(where={"vnic_profile_id": profile_ids}))
    vms = change.session.vms.by_ids({nic.vm_id for nic in nics if nic.vm_id})
    templates = change.session.templates.by_ids({nic.template_id for nic in nics if nic.template_id})
    return sorted(each.name for each in (*vms.values(), *templates.values()))


def _check(change: Change, profile: VnicProfile, action: str) -> None:
    check_title("VM network interface profile", profile.name)
    network = change.session.networks.get(profile.network_id)
    if NetworkUsage.VM not in network.usages:
        raise ProfileOfNonVmNetwork(action=action)
    if profile.pass_through is not VnicPassThrough.DISABLED:
        raise NoPassThrough
    if profile.port_mirroring:
        raise NoPortMirroring
    if profile.custom_properties:
        raise UnknownProfileProperties(keys=", ".join(name for name, _ in profile.custom_properties))
    other = change.session.vnic_profiles.find(name=profile.name, network_id=profile.network_id)
    if other is not None and other.id != profile.id:
        raise ProfileNameInUse(action=action)


def _tell(change: Change, message: AuditMessage, profile: VnicProfile) -> None:
    network = change.session.networks.get(profile.network_id)
    center = change.session.data_centers.get(network.data_center_id)
    values = {"profile": profile.name, "network": network.name, "center": center.name}
    change.tell(message, About(data_center_id=center.id), **values)
