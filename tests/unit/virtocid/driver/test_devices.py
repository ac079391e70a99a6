# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A change of a device that its daemon did not live to finish: the next one finishes it or takes it back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from covirt.common.root import Root
from covirt.virtocid.driver.fake_network import FakeNetwork
from tests.support.fake_services import FakeHost, fake_host, write_image

LIVE: Final = 1
BOTH: Final = 3
MAC: Final = "52:54:00:aa:00:01"
NET: Final = f"<interface type='bridge'><mac address='{MAC}'/><source bridge='br0'/>{{}}</interface>"
DEVICE: Final = NET.format("")


@pytest.fixture
def root(root_dir: Root) -> Root:
    write_image(root_dir)
    return root_dir


@dataclass
class Steps:
    """What was on disk after each write."""

    paths: tuple[Path, ...]
    seen: list[tuple[bytes, ...]] = field(default_factory=list)

    def note(self) -> None:
        self.seen.append(tuple(path.read_bytes() for path in self.paths))

    def restore(self, step: int) -> None:
        for path, content in zip(self.paths, self.seen[step], strict=True):
            path.write_bytes(content)


def steps_of(root: Root, monkeypatch: pytest.MonkeyPatch, present: str, change: Callable[[FakeHost], None]) -> Steps:
    """Run a domain with these devices, change it, and leave it running."""
    with fake_host(root) as host:
        domain = host.run("one", devices=present)
        runs, store = host.services.runs, host.services.store
        steps = Steps((runs.directory(domain.uuid) / "run.json", store.directory(domain.uuid) / "domain.json"))
        steps.note()
        for kind in (type(runs), type(store)):
            save = kind.save

            def noting(self: object, record: object, save: Callable[..., None] = save) -> None:
                save(self, record)
                steps.note()

            monkeypatch.setattr(kind, "save", noting)
        change(host)
        monkeypatch.undo()
    return steps


def macs(host: FakeHost) -> tuple[bool, bool]:
    """Whether the running and the defined domain have the interface; what is plugged agrees."""
    domain = host.domain("one")
    run, network = domain.run, host.services.network
    assert run is not None
    assert isinstance(network, FakeNetwork)
    assert run.device_change is None
    assert set(network.plugged) == set(run.interface_names)
    assert len(run.bridges) == len(run.interface_names)
    return tuple(
        MAC in [interface.mac for interface in config.interfaces] for config in (run.config, domain.next_config)
    )  # type: ignore[return-value]  # two of them


def after_each_step(root: Root, steps: Steps) -> list[tuple[bool, bool]]:
    found = []
    for step in range(len(steps.seen)):
        steps.restore(step)
        with fake_host(root) as host:
            found.append(macs(host))
    with fake_host(root) as host:
        host.end_containers()
    return found


def test_attach_of_a_running_one(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = steps_of(root, monkeypatch, "", lambda host: host.driver.devices.attach(host.domain("one"), DEVICE, LIVE))
    assert after_each_step(root, steps) == [(False, False), (False, False), (True, False)]


def test_attach_in_both(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never in one of them only."""
    steps = steps_of(root, monkeypatch, "", lambda host: host.driver.devices.attach(host.domain("one"), DEVICE, BOTH))
    assert after_each_step(root, steps) == [(False, False), (False, False), (True, True), (True, True)]


def test_detach_of_a_running_one(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be half gone, so it goes."""
    steps = steps_of(
        root, monkeypatch, DEVICE, lambda host: host.driver.devices.detach(host.domain("one"), DEVICE, LIVE)
    )
    assert after_each_step(root, steps) == [(True, True), (False, True), (False, True)]


def test_detach_in_both(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = steps_of(
        root, monkeypatch, DEVICE, lambda host: host.driver.devices.detach(host.domain("one"), DEVICE, BOTH)
    )
    assert after_each_step(root, steps) == [(True, True), (False, False), (False, False), (False, False)]


@pytest.mark.parametrize("flags", [LIVE, BOTH])
def test_update(root: Root, monkeypatch: pytest.MonkeyPatch, flags: int) -> None:
    """It is on record how it shall be, so it is made so, wherever that was asked for."""
    down = NET.format("<link state='down'/>")
    steps = steps_of(
        root, monkeypatch, DEVICE, lambda host: host.driver.devices.update(host.domain("one"), down, flags)
    )
    steps.restore(1)
    with fake_host(root) as host:
        assert macs(host) == (True, True)
        assert isinstance(host.services.network, FakeNetwork)
        assert list(host.services.network.links.values()) == [False]
        assert not host.domain("one").config.interfaces[0].link_up
        assert host.domain("one").next_config.interfaces[0].link_up == (flags == LIVE)
        host.end_containers()


def test_container_that_ended_meanwhile(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was being attached is cleaned up with all else."""
    steps = steps_of(root, monkeypatch, "", lambda host: host.driver.devices.attach(host.domain("one"), DEVICE, LIVE))
    steps.restore(1)
    with fake_host(root) as host:
        host.end_containers()
        assert isinstance(host.services.network, FakeNetwork)
        assert host.services.network.plugged == {}


class TestTransient:
    def test_definition_without_the_runs_names(self, root: Root) -> None:
        with fake_host(root) as host:
            host.create("one", devices=DEVICE)
        with fake_host(root) as host:
            domain = host.domain("one")
            assert "<alias" not in host.driver.describe(domain, inactive=True, secure=True)
            assert "<alias" in host.driver.describe(domain, inactive=False, secure=True)
            host.end_containers()
