# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Compatibility levels, as far as covirt has them."""

from typing import Final

from covirt.common.errors import InvalidRequest
from covirt.engine.model.entity import Version
from covirt.engine.store.seed_data import LEVELS

NEWEST: Final = Version(major=4, minor=8)


class UnknownLevel(InvalidRequest):
    """Fields: action, kind, level."""

    template = "Cannot {action} {kind}. Selected Compatibility Version is not supported: {level}; there are {levels}."


def check_level(action: str, kind: str, level: Version) -> None:
    """Raises UnknownLevel."""
    if str(level) not in LEVELS:
        raise UnknownLevel(action=action, kind=kind, level=level, levels=" and ".join(LEVELS))
