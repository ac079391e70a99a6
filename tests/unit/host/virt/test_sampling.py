# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A libvirt that hangs in the call for statistics is told to be silent until it answers."""

import threading
from typing import Any

import pytest

from covirt.host.virt import silence
from covirt.host.virt.sampling import Sampler
from tests.support.waiting import wait_until


class Libvirt:
    """A connection that is always open; the answer may be a while."""

    name = "slow"

    def __init__(self) -> None:
        self.goes_on = threading.Event()

    def get(self) -> "Libvirt":
        return self

    def getAllDomainStats(self, *_flags: int) -> list[Any]:  # noqa: N802 - libvirt's name
        assert self.goes_on.wait(30)
        return []


def test_while_it_hangs_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "_SILENCE_SECONDS", 0.01)
    libvirt = Libvirt()
    sampler = Sampler(libvirt, period_seconds=60)  # type: ignore[arg-type]
    assert not sampler.silent
    sampler.start()
    try:
        wait_until(lambda: sampler.silent)
        libvirt.goes_on.set()
        wait_until(lambda: not sampler.silent)
        assert sampler.samples.last.taken > 0
    finally:
        libvirt.goes_on.set()
        sampler.stop()
