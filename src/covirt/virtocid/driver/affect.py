# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a change affects, by libvirt's flags: the running domain, its definition, or both."""

from dataclasses import dataclass
from typing import Final

from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import BadArgument, DomainIsTransient
from covirt.wire.constants import AffectFlag

AFFECT: Final = AffectFlag.LIVE | AffectFlag.CONFIG  # what a call about a running or a configured domain may ask for


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """At least one is true."""

    live: bool
    stored: bool


def affected_by(flags: int, domain: Domain) -> Affected:
    """Without flags, the present state: the run if there is one, else the definition. The caller holds the job.

    Raises DomainIsNotRunning, DomainIsTransient.
    """
    live, stored = bool(flags & AffectFlag.LIVE), bool(flags & AffectFlag.CONFIG)
    if not live and not stored:
        live = domain.active
        stored = not live
    if live:
        domain.require_run()
    if stored and not domain.persistent:
        raise DomainIsTransient(name=domain.name)
    return Affected(live=live, stored=stored)


def asks_live(flags: int, domain: Domain, *, what: str = "values") -> bool:
    """Whether a question is about what runs. Raises BadArgument, DomainIsNotRunning, DomainIsTransient."""
    live, stored = bool(flags & AffectFlag.LIVE), bool(flags & AffectFlag.CONFIG)
    if live and stored:
        raise BadArgument(what=f"ask for the running or for the configured {what}, not both")
    if live:
        domain.require_run()
    if stored and not domain.persistent:
        raise DomainIsTransient(name=domain.name)
    return domain.active and not stored
