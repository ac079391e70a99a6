# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What every noun of the engine has: an identity, and what people call it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """``id`` is a UUID as lower-case text, the same on every wire; it never changes and is never used again."""

    id: str
    name: str = ""
    description: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Of a cluster's compatibility level, or of a program: 4.8 is major 4 and minor 8."""

    major: int
    minor: int
    build: int | None = None
    revision: int | None = None
    full_version: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"
