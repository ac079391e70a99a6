# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a clean-up could not remove is tried again: before the domain's next start, and when the daemon starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from covirt.common.errors import Unavailable
from covirt.common.root import Root
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import StartFailed
from covirt.virtocid.driver.fake_network import FakeNetwork
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from tests.support.fake_services import SECONDS, fake_services, write_image
from tests.support.virtocid import domain_xml
from tests.support.waiting import wait_until

_BRIDGED = "<interface type='bridge'><source bridge='br0'/></interface>"


class StuckNetwork(FakeNetwork):
    """Interfaces stay while it is stuck."""

    stuck = True

    def unplug(self, run: Run, number: int) -> None:
        if self.stuck:
            raise Unavailable(message="the interface is stuck")
        super().unplug(run, number)


@contextmanager
def stuck_host(root: Root, network: StuckNetwork) -> Iterator[tuple[Services, Driver]]:
    services = replace(fake_services(root), network=network)
    driver = Driver(services)
    try:
        driver.start()
        yield services, driver
    finally:
        driver.close()


@pytest.fixture
def root(root_dir: Root) -> Root:
    write_image(root_dir)
    return root_dir


def _run_and_destroy(driver: Driver) -> None:
    domain = driver.definitions.define(domain_xml("web", devices=_BRIDGED))
    driver.lifecycle.start(domain, paused=False)
    driver.lifecycle.destroy(domain, graceful=False)
    wait_until(lambda: not domain.active, timeout_seconds=SECONDS, what="the end")


def test_the_next_start_tries_again(root: Root) -> None:
    network = StuckNetwork()
    with stuck_host(root, network) as (_, driver):
        _run_and_destroy(driver)
        domain = driver.domains.by_name("web")
        with pytest.raises(StartFailed, match="the interface is stuck"):
            driver.lifecycle.start(domain, paused=False)
        assert len(network.plugged) == 1
        network.stuck = False
        driver.lifecycle.start(domain, paused=False)
        assert len(network.plugged) == 1
        driver.lifecycle.destroy(domain, graceful=False)
        wait_until(lambda: not network.plugged, timeout_seconds=SECONDS, what="the end")


def test_the_next_daemon_tries_again(root: Root) -> None:
    network = StuckNetwork()
    with stuck_host(root, network) as (_, driver):
        _run_and_destroy(driver)
    with stuck_host(root, network) as (services, driver):
        assert len(network.plugged) == 1
        assert services.left.load_all()[0]
    network.stuck = False
    with stuck_host(root, network) as (services, driver):
        assert not network.plugged
        assert not services.left.load_all()[0]
        assert not driver.domains.by_name("web").active
