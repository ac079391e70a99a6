# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Small tables that clients read and nobody changes: what machines may run, pictures, policies, options."""

from dataclasses import dataclass

from covirt.engine.model.cluster import Architecture
from covirt.engine.model.entity import Entity


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingSystem(Entity):
    """``name`` is what a machine's os.type says; ``description`` what people read."""

    architecture: Architecture = Architecture.X86_64
    small_icon_id: str | None = None
    large_icon_id: str | None = None
    tpm_support: str = "supported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Icon:
    """``data`` is the picture in base64."""

    id: str
    media_type: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingPolicy(Entity):
    """``locked``: the engine's own. ``properties`` as in HighUtilization."""

    locked: bool = True
    default_policy: bool = False
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOption:
    """What engine-config would say; a value for each compatibility level, or one for "general"."""

    name: str
    values: tuple[tuple[str, str], ...]  # (value, version)
