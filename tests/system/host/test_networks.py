# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine changes the networks of a host that it reaches by them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from covirt.common.root import Root
from tests.support.covirt_host import CallFailed, CovirtHost, serve_covirt_host
from tests.support.far_side import FarSide, addresses, new_far_side
from tests.support.waiting import wait_until


@pytest.fixture
def host(root_dir: Root) -> Iterator[CovirtHost]:
    with serve_covirt_host(root_dir) as running:
        yield running


@pytest.fixture
def far() -> Iterator[FarSide]:
    with new_far_side() as side:
        yield side


def wanted(far: FarSide, **options: Any) -> dict[str, Any]:
    network = {
        "nic": far.nic,
        "bridged": "true",
        "bootproto": "none",
        "ipaddr": far.host_address(),
        "netmask": "255.255.255.0",
        "mtu": 1400,
        "switch": "legacy",
    }
    return {"networks": {"shopnet": network}, "bondings": {}, "options": options}


def test_a_network_is_made_confirmed_kept_and_removed(host: CovirtHost, far: FarSide) -> None:
    answers: list[Any] = []

    def set_up() -> None:
        with host.client() as other:
            answers.append(other.call("Host.setupNetworks", wanted(far, connectivityCheck=1, connectivityTimeout=60)))

    caller = threading.Thread(target=set_up, name="engine")
    caller.start()
    with host.client() as client:
        wait_until(lambda: far.reaches(far.host_address()), what="an answer on the new network")
        with pytest.raises(CallFailed) as caught:
            client.call("Host.setSafeNetworkConfig")
        assert caught.value.code == 40
        wait_until(
            lambda: client.call("Host.confirmConnectivity") and not caller.is_alive(), what="the end of the change"
        )
        caller.join()
        assert answers == [True]

        facts = client.call("Host.getCapabilities")
        assert facts["netConfigDirty"] == "True"
        assert (facts["networks"]["shopnet"]["addr"], facts["networks"]["shopnet"]["mtu"]) == (
            far.host_address(),
            1400,
        )
        assert facts["bridges"]["shopnet"]["ports"] == [far.nic]
        assert client.call("Host.setSafeNetworkConfig") is True
        assert client.call("Host.getCapabilities")["netConfigDirty"] == "False"
        assert "shopnet" in client.call("Host.getStats")["network"]

    host.kill()
    host.start()
    with host.client() as later:
        assert "shopnet" in later.call("Host.getCapabilities")["networks"]
        assert later.call("Host.setupNetworks", {
            "networks": {"shopnet": {"remove": True}}, "bondings": {}, "options": {"connectivityCheck": False}
        }) is True  # fmt: skip
        assert later.call("Host.getCapabilities")["networks"] == {}


def test_refusals_have_vdsms_codes_and_nobody_who_confirms_is_one(host: CovirtHost, far: FarSide) -> None:
    with host.client() as client:
        with pytest.raises(CallFailed) as caught:
            client.call("Host.setupNetworks", wanted(far, connectivityCheck=True, connectivityTimeout=0))
        assert caught.value.code == 10
        assert addresses(far.nic) == set()
        sent = wanted(far)
        sent["networks"]["shopnet"]["nic"] = "eth99"
        with pytest.raises(CallFailed, match="eth99") as caught:
            client.call("Host.setupNetworks", sent)
        assert caught.value.code == 23
