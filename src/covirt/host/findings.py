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


def missing(what: str, fact: str, remedy: str) -> Finding:
    return Finding(what=what, fact=fact, verdict=Verdict.MISSING, remedy=remedy)


def note(what: str, fact: str, remedy: str) -> Finding:
    return Finding(what=what, fact=fact, verdict=Verdict.NOTE, remedy=remedy)
