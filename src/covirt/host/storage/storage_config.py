# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The section [storage] of covirt-host's configuration: storage domains and how their health is watched."""

from dataclasses import dataclass

from covirt.common.config import Between, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Storage domains."""

    # How often each storage domain is looked at.
    monitor_period_seconds: int = setting(10, check=Between(1, 600))
    # A look that takes longer counts as failed, and the guests on the domain are paused. NFS itself gives up after
    # sixty seconds.
    monitor_timeout_seconds: int = setting(30, check=Between(1, 600))
    # How long a verb waits for storage before it is refused. Its thread is left behind until
    # storage answers.
    call_timeout_seconds: int = setting(60, check=Between(1, 600))
    # How long a mount may take.
    mount_timeout_seconds: int = setting(60, check=Between(1, 600))
