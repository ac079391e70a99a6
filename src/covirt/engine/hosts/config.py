# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How closely the engine watches its hosts."""

from dataclasses import dataclass

from covirt.common.config import Between, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsConfig:
    """How closely hosts are watched."""

    # A host is asked for its own and its guests' figures so often, beside what it tells by itself.
    poll_seconds: int = setting(15, check=Between(1, 3600))
    # And for what it is: processors, networks, runtimes. One that is connected anew is asked at once.
    capabilities_seconds: int = setting(60, check=Between(1, 86_400))
    # Who does not answer for so long is non responsive, and the status of its guests unknown.
    grace_seconds: int = setting(60, check=Between(1, 3600))
