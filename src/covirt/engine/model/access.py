# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Users and groups, and what they may do to which object."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from covirt.engine.model.entity import Entity

SYSTEM_ID = "aaa00000-0000-0000-0000-123456789aaa"  # oVirt's id of the whole system as an object of permissions
EVERYONE_ID = "eee00000-0000-0000-0000-123456789eee"  # oVirt's id of the group that everybody is in


class ObjectType(StrEnum):
    """What a permission may be given on. What lies in an object is covered by its permissions."""

    SYSTEM = "system"
    DATA_CENTER = "data_center"
    CLUSTER = "cluster"
    HOST = "host"
    STORAGE_DOMAIN = "storage_domain"
    NETWORK = "network"
    VNIC_PROFILE = "vnic_profile"
    MAC_POOL = "mac_pool"
    VM = "vm"
    TEMPLATE = "template"
    DISK = "disk"
    CPU_PROFILE = "cpu_profile"
    DISK_PROFILE = "disk_profile"
    SECRET = "secret"  # noqa: S105 - a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The object of a permission."""

    type: ObjectType
    id: str


SYSTEM = Subject(type=ObjectType.SYSTEM, id=SYSTEM_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Entity):
    """``principal`` is the name to log in with, before the @; ``domain`` the one after it."""

    principal: str
    domain: str = "internal-authz"
    namespace: str = "*"
    last_name: str = ""
    email: str = ""
    department: str = ""
    domain_entry_id: str = ""
    group_ids: frozenset[str] = frozenset()
    disabled: bool = False
    last_login: datetime | None = None

    @property
    def user_name(self) -> str:
        """As the API tells it: admin@internal-authz."""
        return f"{self.principal}@{self.domain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Entity):
    domain: str = ""
    namespace: str = "*"
    domain_entry_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """One thing that may be done; its id on the wire is oVirt's number as text."""

    id: str
    name: str
    administrative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Role(Entity):
    """``mutable`` is false for those that the engine brings along. Who has one with ``shows_contents`` on an object
    sees what lies in it, too."""

    administrative: bool = False
    mutable: bool = True
    shows_contents: bool = True
    permit_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Somebody (a user's or a group's id) has a role on an object."""

    id: str
    role_id: str
    user_id: str | None = None
    group_id: str | None = None
    subject: Subject
