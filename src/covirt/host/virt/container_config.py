# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of containers on a host."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainersConfig:
    """Containers beside virtual machines; a host without them is a full host."""

    # Whether this host runs containers where virtocid answers and a runtime works. Off, a container is refused, and
    # getCapabilities says why.
    enabled: bool = False
