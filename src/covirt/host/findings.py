# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What ``covirt-host check`` tells of one piece of a machine."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    GOOD = "good"
    NOTE = "note"  # a host does without it
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``remedy``: a command, or a setting; empty when nothing is to be mended."""

    what: str
    fact: str
    verdict: Verdict = Verdict.GOOD
    remedy: str = ""

    def __post_init__(self) -> None:
        """A fact may be what a program has said on several lines: it is one cell of a table."""
        object.__setattr__(self, "fact", "; ".join(line.strip() for line in self.fact.splitlines() if line.strip()))


def missing(what: str, fact: str, remedy: str) -> Finding:
    return Finding(what=what, fact=fact, verdict=Verdict.MISSING, remedy=remedy)


def note(what: str, fact: str, remedy: str) -> Finding:
    return Finding(what=what, fact=fact, verdict=Verdict.NOTE, remedy=remedy)
