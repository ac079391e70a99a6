# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Data centers. What they are made of is added below them."""

import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_name
from covirt.engine.commands.networking.networks import add_network, erase_network
from covirt.engine.commands.places.levels import check_level
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.data_center import DataCenter, QuotaMode
from covirt.engine.model.network import Network
from covirt.engine.store.query import ListQuery

MANAGEMENT: Final = "ovirtmgmt"
_LONGEST: Final = 40
_ADDED: Final = AuditMessage(
    code=950,
    text="Data Center {center}, Compatibility Version {level} and Quota Type {quota} was added by {user}",
)
_UPDATED: Final = AuditMessage(code=952, text="Data Center {center} was updated by {user}")
_REMOVED: Final = AuditMessage(code=954, text="Data Center {data_center} was removed by {user}")


class DataCenterNameInUse(Conflict):
    """Fields: action."""

    template = "Cannot {action} Data Center. The Data Center name is already in use."


class NoQuotas(InvalidRequest):
    template = "covirt has no quotas; quota_mode is disabled."


class StorageTypeStays(Conflict):
    template = "Cannot edit Data Center. Whether its storage is local cannot change while it has storage domains."


class LevelGoesDown(InvalidRequest):
    template = (
        "Cannot edit Data Center. Its Compatibility Version cannot be lowered, nor be above that of its Clusters."
    )


class HasStorageDomains(Conflict):
    """Fields: domains."""

    template = (
        "Cannot remove Data Center which contains Storage Domains: {domains}. "
        "Please detach or remove all of them before removing the Data Center."
    )


class HasClusters(Conflict):
    """Fields: clusters."""

    template = "Cannot remove Data Center which contains Clusters: {clusters}. Please remove them first."


def add_data_center(change: Change, center: DataCenter) -> str:
    """The new id. It has a management network from its beginning."""
    change.require(Right.CREATE_STORAGE_POOL)
    added = replace(center, id=str(uuid.uuid4()))
    _check(change, added, "add")
    change.session.data_centers.add(added)
    change.tell(
        _ADDED, About(data_center_id=added.id), center=added.name, level=added.version, quota=added.quota_mode.upper()
    )
    add_network(
        change,
        Network(id="", name=MANAGEMENT, description="Management Network", data_center_id=added.id, vdsm_name=""),
    )
    return added.id


def update_data_center(change: Change, center: DataCenter) -> None:
    change.require(Right.EDIT_STORAGE_POOL_CONFIGURATION, Subject(type=ObjectType.DATA_CENTER, id=center.id))
    before = change.session.data_centers.get(center.id)
    _check(change, center, "edit")
    below = ListQuery(where={"data_center_id": center.id})
    if center.local != before.local and change.session.storage_domains.list(below):
        raise StorageTypeStays
    wanted = (center.version.major, center.version.minor)
    clusters = change.session.clusters.list(below)
    too_high = any((each.version.major, each.version.minor) < wanted for each in clusters)
    if wanted < (before.version.major, before.version.minor) or too_high:
        raise LevelGoesDown
    change.session.data_centers.update(center)
    change.tell(_UPDATED, About(data_center_id=center.id), center=center.name)


def remove_data_center(change: Change, center_id: str) -> None:
    """With its networks. Raises HasStorageDomains, HasClusters."""
    change.require(Right.DELETE_STORAGE_POOL, Subject(type=ObjectType.DATA_CENTER, id=center_id))
    change.require_unlocked(center_id)
    center = change.session.data_centers.get(center_id)
    below = ListQuery(where={"data_center_id": center_id})
    domains = change.session.storage_domains.list(below)
    if domains:
        raise HasStorageDomains(domains=", ".join(each.name for each in domains))
    clusters = change.session.clusters.list(below)
    if clusters:
        raise HasClusters(clusters=", ".join(each.name for each in clusters))
    for network in change.session.networks.list(below):
        erase_network(change, network)
    change.session.data_centers.remove(center_id)
    forget(change.session, center_id)
    change.tell(_REMOVED, About(data_center_id=center_id), data_center=center.name)


def _check(change: Change, center: DataCenter, action: str) -> None:
    check_name("Data Center", center.name, longest=_LONGEST)
    check_level(action, "Data Center", center.version)
    if center.quota_mode is not QuotaMode.DISABLED:
        raise NoQuotas
    other = change.session.data_centers.find(name=center.name)
    if other is not None and other.id != center.id:
        raise DataCenterNameInUse(action=action)
