# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever can be said is said the same after a way through XML."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covirt.virtocid.driver.domain_xml import LiveState, format_domain, parse_domain
from covirt.virtocid.driver.domain_xml.format import with_live_state
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from tests.support.domain_configs import configurations

# Generating a whole domain takes longer than reading one; the machine's load must not fail a test.
_slow = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@_slow
@given(configurations())
def test_what_is_written_is_read_back(config: DomainConfig) -> None:
    assert parse_domain(format_domain(config, secure=True), image_required=False) == config


@_slow
@given(configurations())
def test_the_text_is_stable(config: DomainConfig) -> None:
    text = format_domain(config, secure=True)
    assert format_domain(parse_domain(text, image_required=False), secure=True) == text


@_slow
@given(configurations(), st.integers(1, 2**31 - 1))
def test_live_xml_is_read_back_as_live(config: DomainConfig, domain_id: int) -> None:
    live = LiveState(
        domain_id=domain_id,
        interface_names=tuple(f"cvtest{index}" for index in range(len(config.interfaces))),
        console_path="/dev/pts/7",
        runtime="crun",
        agent_connected=True,
    )
    text = format_domain(config, live=live, secure=True)
    assert parse_domain(text, live=True, image_required=False) == with_live_state(config, live)


@_slow
@given(configurations())
def test_a_live_text_that_is_defined_again_leaves_the_run_behind(config: DomainConfig) -> None:
    live = LiveState(domain_id=1, console_path="/dev/pts/7", agent_connected=True)
    text = format_domain(config, live=live, secure=True)
    assert parse_domain(text, image_required=False) == config


@_slow
@given(configurations())
def test_read_only_clients_see_no_environment_value(config: DomainConfig) -> None:
    blanked = parse_domain(format_domain(config, secure=False), image_required=False)
    names = tuple((name, "") for name, _ in config.process.environment)
    assert blanked == replace(config, process=replace(config.process, environment=names))
