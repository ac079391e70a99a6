# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine is killed in the middle of a start: the machine is started once or never, and is not left locked."""

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.engine.model.cluster import Cluster
from covirt.engine.model.hardware import Hardware
from covirt.engine.model.host import HostFacts, HostStatus
from covirt.engine.model.vm import Vm, VmStatus
from covirt.engine.store.store import Store
from tests.support.engine_objects import add_blank, add_cluster, new_host, new_vm

_SECONDS = 120
_GIB = 1 << 30


class Site:
    """A cluster with a host and a machine that is down."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url, self.directory = url, directory
        store = Store.open(url)
        with store.write() as session:
            add_blank(session)
            cluster: Cluster = add_cluster(session)
            facts = HostFacts(status=HostStatus.UP, cpu_threads=8, memory_bytes=8 * _GIB, memory_free_bytes=8 * _GIB)
            self.host = replace(new_host(cluster), facts=facts)
            session.hosts.add(self.host)
            vm: Vm = replace(new_vm(cluster), hardware=Hardware(kernel="/boot/vmlinuz"))
            self.vm = vm
            session.vms.add(vm)
        store.close()

    def engine(self, *order: str, kill: str = "", fails: str = "") -> None:
        argv = [
            sys.executable,
            "-m",
            "tests.support.killed_start",
            self.url,
            str(self.directory),
            self.host.id,
            *order,
        ]
        environment = {"COVIRT_KILL": kill, "COVIRT_FAILS": fails, "PYTHONPATH": "."}
        done = run(argv, timeout_seconds=_SECONDS, check=False, environment=environment)
        assert done.status == (-signal.SIGKILL if kill else 0), done.stderr

    def asked(self, verb: str) -> int:
        return (self.directory / "asked").read_text().splitlines().count(verb)

    @property
    def guests(self) -> set[str]:
        return set(json.loads((self.directory / "guests").read_text()))

    def vm_now(self) -> Vm:
        """As it is written down; it is not locked."""
        store = Store.open(self.url)
        with store.read() as session:
            session.commands.check_unlocked([self.vm.id])
            found: Vm = session.vms.get(self.vm.id)
        store.close()
        return found


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Site:
    directory = tmp_path / "site"
    directory.mkdir()
    return Site(database_url, directory)


_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@_ONE_DATABASE
@pytest.mark.parametrize("place", ["before VM.create", "after VM.create"])
def test_a_start_is_carried_on(site: Site, place: str) -> None:
    site.engine(site.vm.id, kill=place)
    site.engine()
    assert site.asked("VM.create") == 1
    assert site.guests == {site.vm.id}
    vm = site.vm_now()
    assert (vm.facts.status, vm.facts.host_id) == (VmStatus.UP, site.host.id)


@_ONE_DATABASE
def test_a_failed_start_is_undone(site: Site) -> None:
    site.engine(site.vm.id, kill="after VM.destroy", fails="the kitchen is closed")
    site.engine(fails="the kitchen is closed")
    assert site.guests == set()
    vm = site.vm_now()
    assert (vm.facts.status, vm.facts.host_id) == (VmStatus.DOWN, None)
    assert "the kitchen is closed" in vm.facts.exit_message
