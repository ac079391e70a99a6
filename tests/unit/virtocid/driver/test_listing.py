# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The filter of lists and statistics: groups of bits."""

from dataclasses import replace
from uuid import UUID

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.virtocid.driver.domain import Domain, DomainFacts
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.listing import matches
from covirt.virtocid.driver.store import RunPhase
from tests.support.runs import made_up_run
from tests.support.virtocid import domain_xml

CONFIG = parse_domain(domain_xml("one"))


def domain(*, transient: bool = False, autostart: bool = False, on: bool = False, **run: object) -> Domain:
    present = replace(made_up_run(CONFIG), **run) if on else None  # type: ignore[arg-type]  # the fields' own types
    facts = DomainFacts(config=CONFIG, first_id=1, transient=transient, autostart=autostart, run=present)
    return Domain(UUID(int=1), facts)


OFF, ON = domain(), domain(on=True)
PAUSED = domain(on=True, paused=True)
STOPPING = domain(on=True, phase=RunPhase.STOPPING)
TRANSIENT = domain(on=True, transient=True)
AUTOMATIC = domain(autostart=True)
ALL = {"off": OFF, "on": ON, "paused": PAUSED, "stopping": STOPPING, "transient": TRANSIENT, "automatic": AUTOMATIC}
# Each pair is a whole group but for the states, which have four bits.
PAIRS = [(1, 2), (4, 8), (256, 512), (1024, 2048), (4096, 8192), (16384, 32768)]
STATES = 16 | 32 | 64 | 128


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE, {"on", "paused", "stopping", "transient"}),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING, {"on", "transient"}),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED, {"paused"}),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_SHUTOFF, {"off", "automatic"}),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_OTHER, {"stopping"}),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT, {"transient"}),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART, {"automatic"}),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART | libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE, set()),
        (libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED | libvirt.VIR_CONNECT_LIST_DOMAINS_OTHER, {"paused", "stopping"}),
    ],
)
def test_bits_choose(flags: int, expected: set[str]) -> None:
    assert {name for name, each in ALL.items() if matches(each, flags)} == expected


@given(st.sets(st.sampled_from([*(first | second for first, second in PAIRS), STATES])), st.sampled_from(sorted(ALL)))
def test_whole_groups_choose_all(groups: set[int], name: str) -> None:
    assert matches(ALL[name], sum(groups))


@given(st.sampled_from(PAIRS), st.sampled_from(sorted(ALL)))
def test_of_each_pair_one_bit_fits(pair: tuple[int, int], name: str) -> None:
    assert matches(ALL[name], pair[0]) != matches(ALL[name], pair[1])


@given(st.integers(0, 65535), st.integers(0, 65535), st.sampled_from(sorted(ALL)))
def test_more_groups_never_let_more_pass(flags: int, more: int, name: str) -> None:
    for group in (*(first | second for first, second in PAIRS), STATES):
        if not flags & group and matches(ALL[name], flags | more & group):
            assert matches(ALL[name], flags)
