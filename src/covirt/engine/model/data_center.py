# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A data center: clusters, networks and storage domains that belong together."""

from dataclasses import dataclass
from enum import StrEnum

from covirt.engine.model.entity import Entity, Version


class DataCenterStatus(StrEnum):
    UNINITIALIZED = "uninitialized"
    UP = "up"
    MAINTENANCE = "maintenance"
    NOT_OPERATIONAL = "not_operational"
    PROBLEMATIC = "problematic"
    CONTEND = "contend"


class QuotaMode(StrEnum):
    DISABLED = "disabled"
    AUDIT = "audit"
    ENABLED = "enabled"


class StorageFormat(StrEnum):
    V1 = "v1"
    V2 = "v2"
    V3 = "v3"
    V4 = "v4"
    V5 = "v5"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCenter(Entity):
    """``local``: its storage domains lie on one host's own disks."""

    status: DataCenterStatus = DataCenterStatus.UNINITIALIZED
    local: bool = False
    version: Version
    mac_pool_id: str
    quota_mode: QuotaMode = QuotaMode.DISABLED
    storage_format: StorageFormat = StorageFormat.V5
    spm_host_id: str | None = None
