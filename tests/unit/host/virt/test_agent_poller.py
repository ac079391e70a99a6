# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Guests of one kind are asked while every question to the other kind hangs."""

import threading
from dataclasses import dataclass

import pytest

from covirt.common.errors import Error
from covirt.host.virt import agent_poller
from covirt.host.virt.agent_poller import AgentPoller, Periods
from covirt.host.virt.errors import VmIsDown
from covirt.hostapi.json import JsonValue
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Asked:
    """As much of a guest as the poller looks at."""

    vm_id: str
    is_container: bool


@pytest.mark.parametrize("silent_containers", [True, False])
def test_a_kind_whose_libvirt_hangs_delays_no_other(
    monkeypatch: pytest.MonkeyPatch, *, silent_containers: bool
) -> None:
    goes_on = threading.Event()
    inside: set[str] = set()

    def ask(guest: Asked) -> dict[str, JsonValue]:
        if guest.is_container is silent_containers:
            inside.add(guest.vm_id)
            goes_on.wait(30)
            raise _gone()
        return {"guestFQDN": guest.vm_id}

    monkeypatch.setattr(agent_poller, "ask", ask)
    workers = agent_poller._WORKERS
    silent = [Asked(f"silent-{number}", silent_containers) for number in range(2 * workers)]
    guests: list[Asked] = list(silent)
    poller = AgentPoller(lambda: guests, periods=Periods(look=0.01))  # type: ignore[arg-type, return-value]
    poller.start()
    try:
        wait_until(lambda: len(inside) == workers)
        guests.append(Asked("speaks", not silent_containers))
        wait_until(lambda: poller.facts("speaks") == {"guestFQDN": "speaks"})
        assert len(inside) == workers
    finally:
        goes_on.set()
        poller.stop()


def _gone() -> Error:
    return VmIsDown(name="silent")
