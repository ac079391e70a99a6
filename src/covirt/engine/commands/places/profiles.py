# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""CPU profiles of clusters and disk profiles of storage domains."""

import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_title
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.cluster import CpuProfile
from covirt.engine.model.storage_domain import DiskProfile
from covirt.engine.store.query import ListQuery

_CPU_ADDED: Final = AuditMessage(code=10130, text="CPU Profile {profile} was successfully added (User: {user}).")
_CPU_UPDATED: Final = AuditMessage(code=10134, text="CPU Profile {profile} was successfully updated (User: {user}).")
_CPU_REMOVED: Final = AuditMessage(code=10132, text="CPU Profile {profile} was successfully removed (User: {user}).")
_DISK_ADDED: Final = AuditMessage(code=10120, text="Disk Profile {profile} was successfully added (User: {user}).")
_DISK_UPDATED: Final = AuditMessage(
    code=10124, text="Disk Profile {profile} was successfully updated (User: {user})."
)
_DISK_REMOVED: Final = AuditMessage(
    code=10122, text="Disk Profile {profile} was successfully removed (User: {user})."
)


class LastCpuProfile(Conflict):
    template = "Cannot remove CPU Profile. Cannot remove last CPU profile in Cluster."


class LastDiskProfile(Conflict):
    template = "Cannot remove Disk Profile. Cannot remove last Disk profile in Storage Domain."


class ProfileStays(InvalidRequest):
    template = "A profile stays in the Cluster or the Storage Domain that it was made for."


class ProfileNameInUse(Conflict):
    template = (
        "The profile's name is in use by another one of the same Cluster or Storage Domain; choose another one."
    )


def add_cpu_profile(change: Change, profile: CpuProfile) -> str:
    """The new id."""
    change.require(Right.CREATE_CPU_PROFILE, Subject(type=ObjectType.CLUSTER, id=profile.cluster_id))
    added = replace(profile, id=str(uuid.uuid4()))
    _check_cpu_profile(change, added)
    change.session.cpu_profiles.add(added)
    change.tell(_CPU_ADDED, About(cluster_id=added.cluster_id), profile=added.name)
    return added.id


def update_cpu_profile(change: Change, profile: CpuProfile) -> None:
    change.require(Right.UPDATE_CPU_PROFILE, Subject(type=ObjectType.CPU_PROFILE, id=profile.id))
    if change.session.cpu_profiles.get(profile.id).cluster_id != profile.cluster_id:
        raise ProfileStays
    _check_cpu_profile(change, profile)
    change.session.cpu_profiles.update(profile)
    change.tell(_CPU_UPDATED, About(cluster_id=profile.cluster_id), profile=profile.name)


def remove_cpu_profile(change: Change, profile_id: str) -> None:
    """Machines that had it have none."""
    change.require(Right.DELETE_CPU_PROFILE, Subject(type=ObjectType.CPU_PROFILE, id=profile_id))
    profile = change.session.cpu_profiles.get(profile_id)
    if len(change.session.cpu_profiles.list(ListQuery(where={"cluster_id": profile.cluster_id}))) < 2:
        raise LastCpuProfile
    change.session.cpu_profiles.remove(profile_id)
    forget(change.session, profile_id)
    change.tell(_CPU_REMOVED, About(cluster_id=profile.cluster_id), profile=profile.name)


def add_disk_profile(change: Change, profile: DiskProfile) -> str:
    """The new id."""
    subject = Subject(type=ObjectType.STORAGE_DOMAIN, id=profile.storage_domain_id)
    change.require(Right.CREATE_STORAGE_DISK_PROFILE, subject)
    added = replace(profile, id=str(uuid.uuid4()))
    _check_disk_profile(change, added)
    change.session.disk_profiles.add(added)
    change.tell(_DISK_ADDED, About(storage_domain_id=added.storage_domain_id), profile=added.name)
    return added.id


def update_disk_profile(change: Change, profile: DiskProfile) -> None:
    change.require(Right.CONFIGURE_STORAGE_DISK_PROFILE, Subject(type=ObjectType.DISK_PROFILE, id=profile.id))
    if change.session.disk_profiles.get(profile.id).storage_domain_id != profile.storage_domain_id:
        raise ProfileStays
    _check_disk_profile(change, profile)
    change.session.disk_profiles.update(profile)
    change.tell(_DISK_UPDATED, About(storage_domain_id=profile.storage_domain_id), profile=profile.name)


def remove_disk_profile(change: Change, profile_id: str) -> None:
    """Disks that had it have none."""
    change.require(Right.DELETE_STORAGE_DISK_PROFILE, Subject(type=ObjectType.DISK_PROFILE, id=profile_id))
    profile = change.session.disk_profiles.get(profile_id)
    domain_id = profile.storage_domain_id
    if len(change.session.disk_profiles.list(ListQuery(where={"storage_domain_id": domain_id}))) < 2:
        raise LastDiskProfile
    change.session.disk_profiles.remove(profile_id)
    forget(change.session, profile_id)
    change.tell(_DISK_REMOVED, About(storage_domain_id=domain_id), profile=profile.name)


def _check_cpu_profile(change: Change, profile: CpuProfile) -> None:
    check_title("CPU Profile", profile.name)
    other = change.session.cpu_profiles.find(name=profile.name, cluster_id=profile.cluster_id)
    if other is not None and other.id != profile.id:
        raise ProfileNameInUse


def _check_disk_profile(change: Change, profile: DiskProfile) -> None:
    check_title("Disk Profile", profile.name)
    other = change.session.disk_profiles.find(name=profile.name, storage_domain_id=profile.storage_domain_id)
    if other is not None and other.id != profile.id:
        raise ProfileNameInUse
