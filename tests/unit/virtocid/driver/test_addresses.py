# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who asks by DHCP, when, and what is remembered of it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from covirt.common.dhcp_lease import Lease
from covirt.common.root import Root
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.fake_addressing import FakeAddressing
from covirt.virtocid.driver.leases import (
    Given,
    dhcp_interfaces,
    forget_given,
    given,
    lease_file,
    read_lease_file,
    record_given,
)
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from tests.support.fake_services import SECONDS, fake_services, write_image
from tests.support.virtocid import domain_xml
from tests.support.waiting import wait_until

_PLAIN = "<interface type='bridge'><source bridge='br0'/><mac address='52:54:00:00:00:0{}'/>{}</interface>"
_DEVICES = _PLAIN.format(1, "") + _PLAIN.format(2, "<ip address='192.0.2.2' prefix='24'/>") + _PLAIN.format(3, "")
LEASE = Lease(address="192.0.2.15", prefix=24, routes=(("0.0.0.0/0", "192.0.2.1"), ("198.51.100.0/24", None)))


@pytest.fixture
def host(root_dir: Root) -> Iterator[tuple[Services, Driver, FakeAddressing]]:
    write_image(root_dir)
    addressing = FakeAddressing()
    services = replace(fake_services(root_dir), addressing=addressing)
    driver = Driver(services)
    try:
        driver.start()
        yield services, driver, addressing
    finally:
        for domain in driver.domains.all():
            if domain.active:
                driver.lifecycle.destroy(domain, graceful=False)
        driver.close()


@pytest.fixture
def run(host: tuple[Services, Driver, FakeAddressing]) -> Run:
    _, driver, _ = host
    run = driver.create(domain_xml("one", devices=_DEVICES), paused=False).run
    assert run is not None
    return run


def test_a_run_asks_from_its_start_to_its_end(host: tuple[Services, Driver, FakeAddressing]) -> None:
    _, driver, addressing = host
    settings = (
        "<covirt:interface mac='52:54:00:00:00:02' dhcp='yes'/><covirt:interface mac='52:54:00:00:00:03' dhcp='no'/>"
    )
    domain = driver.create(domain_xml("one", devices=_DEVICES, settings=settings), paused=False)
    run = domain.run
    assert run is not None
    assert addressing.asking == {run.container_id: list(run.interface_names[:2])}
    driver.lifecycle.destroy(domain, graceful=False)
    wait_until(lambda: addressing.released == [run.container_id], timeout_seconds=SECONDS)
    assert addressing.asking == {}


def test_without_a_word_those_ask_that_have_no_address(run: Run) -> None:
    assert [number for number, _ in dhcp_interfaces(run)] == [0, 2]


def test_what_was_given_is_remembered(run: Run) -> None:
    assert given(run, "eth7") == Given()
    what = Given(lease=LEASE, addresses=("192.0.2.14/24", "192.0.2.15/24"))
    record_given(run, "eth7", what)
    assert given(run, "eth7") == what
    forget_given(run, "eth7")
    assert given(run, "eth7") == Given()


@pytest.mark.parametrize("text", ["", "{}", '{"version": 1}', '{"version": 1, "lease": {"x": 1}, "addresses": []}'])
def test_a_record_that_is_none_is_nothing(run: Run, text: str) -> None:
    record_given(run, "eth7", Given())
    (run.directory / "dhcp/eth7.json").write_text(text)
    assert given(run, "eth7") == Given()


def test_a_lease_file_that_has_grown_long_is_emptied(run: Run) -> None:
    path = lease_file(run, "eth7")
    assert read_lease_file(path) == b""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"short")
    assert read_lease_file(path) == read_lease_file(path) == b"short"
    path.write_bytes(b"long" * 20_000)
    assert len(read_lease_file(path)) == 80_000
    assert path.stat().st_size == 0
