# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Templates, of which machines are made, and instance types, of which their sizes are."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from covirt.engine.model.entity import Entity
from covirt.engine.model.hardware import Hardware, VmKind


class TemplateStatus(StrEnum):
    OK = "ok"
    LOCKED = "locked"
    ILLEGAL = "illegal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template(Entity):
    """``cluster_id`` is None for Blank only. ``base_template_id`` is its own id for a first version."""

    cluster_id: str | None = None
    status: TemplateStatus = TemplateStatus.OK
    kind: VmKind = VmKind.VIRTUAL_MACHINE
    hardware: Hardware = field(default_factory=Hardware)
    origin: str = "ovirt"
    cpu_profile_id: str | None = None
    created_at: datetime
    base_template_id: str
    version_number: int = 1
    version_name: str = "base version"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType(Entity):
    hardware: Hardware = field(default_factory=Hardware)
    created_at: datetime
