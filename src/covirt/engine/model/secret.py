# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A named value that containers are given, and registries are asked with, and that nobody is told."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """``username`` goes with a value that is a password. ``sealed`` is the value, by the vault's key ``key_id``."""

    id: str
    name: str
    description: str = ""
    username: str = ""
    created: datetime
    changed: datetime
    key_id: str
    sealed: bytes = field(repr=False)
