# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The filter bits that virConnectListAllDomains and the bulk statistics share."""

from typing import Final

from covirt.virtocid.driver.domain import Domain
from covirt.wire.constants import DomainState

# VIR_CONNECT_LIST_DOMAINS_*: groups of bits. In a group, no bit set means no filter; several mean "any of them".
_ACTIVE, _INACTIVE = 1, 2
_PERSISTENT, _TRANSIENT = 4, 8
_RUNNING, _PAUSED, _SHUTOFF, _OTHER = 16, 32, 64, 128
_MANAGED_SAVE, _NO_MANAGED_SAVE = 256, 512
_AUTOSTART, _NO_AUTOSTART = 1024, 2048
_SNAPSHOT, _NO_SNAPSHOT = 4096, 8192
_CHECKPOINT, _NO_CHECKPOINT = 16384, 32768

FILTER_BITS: Final = 65535


def matches(domain: Domain, flags: int) -> bool:
    """Tell whether the domain passes every group of bits."""
    if not flags & FILTER_BITS:
        return True
    return all(not flags & mask or flags & mask & own for mask, own in _own_bits(domain))


def _own_bits(domain: Domain) -> tuple[tuple[int, int], ...]:
    """Each group with the one bit of it that is true for this domain."""
    by_state = {DomainState.RUNNING: _RUNNING, DomainState.PAUSED: _PAUSED, DomainState.SHUTOFF: _SHUTOFF}
    facts = domain.facts
    return (
        (_ACTIVE | _INACTIVE, _ACTIVE if facts.run else _INACTIVE),
        (_PERSISTENT | _TRANSIENT, _TRANSIENT if facts.transient else _PERSISTENT),
        (_RUNNING | _PAUSED | _SHUTOFF | _OTHER, by_state.get(DomainState(domain.state[0]), _OTHER)),
        (_MANAGED_SAVE | _NO_MANAGED_SAVE, _NO_MANAGED_SAVE),
        (_AUTOSTART | _NO_AUTOSTART, _AUTOSTART if facts.autostart else _NO_AUTOSTART),
        (_SNAPSHOT | _NO_SNAPSHOT, _NO_SNAPSHOT),
        (_CHECKPOINT | _NO_CHECKPOINT, _NO_CHECKPOINT),
    )
