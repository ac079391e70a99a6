# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A secret as its XML says it; the value is not a part of it."""

from dataclasses import dataclass
from uuid import UUID

from covirt.wire.constants import SecretUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretConfig:
    """``ephemeral``: it ends with the boot. ``private``: nobody is told its value. ``usage_id``: unique per usage."""

    uuid: UUID
    ephemeral: bool = False
    private: bool = False
    description: str | None = None
    usage: SecretUsage = SecretUsage.NONE
    usage_id: str = ""

    @property
    def label(self) -> str:
        """What people know it by, for messages."""
        known = self.usage_id or self.description
        return f"{self.uuid} ({known})" if known else str(self.uuid)
