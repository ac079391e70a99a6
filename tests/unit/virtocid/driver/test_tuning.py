# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A change of limits is in the cgroup, the runtime, both records and the events, or nowhere."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.errors import Error
from covirt.common.files import BrokenFile
from covirt.common.root import Root
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.runtimes.fake import FakeSupervisor
from covirt.virtocid.driver import tuning_changes
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import BadArgument, DomainIsNotRunning, DomainIsTransient, UnknownParameter
from covirt.virtocid.driver.handlers.params import checked
from covirt.virtocid.driver.handlers.tuning import affinity, scheduler
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.tuning import undo_half_done
from covirt.virtocid.events import EventBus
from covirt.wire.params import ParamType, TypedParam, uint, ullong
from tests.support.fake_services import SECONDS, FakeHost, fake_services, write_image
from tests.support.limit_trees import read_files, v1_tree
from tests.support.virtocid import domain_xml
from tests.support.waiting import wait_until

LIVE, CONFIG = 1, 2


class Bench:
    """A driver whose one running domain has a directory of plain files for its cgroup."""

    def __init__(self, services: Services, driver: Driver, domain: Domain, layout: CgroupLayout) -> None:
        self.services = services
        self.driver = driver
        self.domain = domain
        self._layout = layout

    @property
    def files(self) -> dict[str, str]:
        return read_files(self._layout, self.domain.require_run().cgroup_path)

    @property
    def told(self) -> object:
        """What the runtime was told last."""
        (path,) = (self.services.root.run_dir / "runtimes").glob("*/*/state.json")
        return json.loads(path.read_text()).get("resources")

    @property
    def record(self) -> dict[str, object]:
        path = self.services.runs.directory(self.domain.uuid) / "run.json"
        record: dict[str, object] = json.loads(path.read_text())
        return record

    def change(self, change: tuning_changes.Change, flags: int) -> None:
        self.driver.tuning.change(self.domain, change, flags=flags, what="test", announce=None)


@pytest.fixture
def bench(root_dir: Root, tmp_path: Path) -> Iterator[Bench]:
    write_image(root_dir)
    supervisor = FakeSupervisor()
    services = replace(fake_services(root_dir), supervisor=supervisor)
    names = ("memory", "cpu", "cpuset", "pids", "blkio")
    supervisor.layout = CgroupLayout(version=1, hierarchies={n: str(tmp_path / n) for n in names}, unified=None)
    driver = Driver(services)
    driver.start()
    try:
        domain = driver.definitions.define(domain_xml("web", memory_mib=64, more="<vcpu>2</vcpu>"))
        driver.lifecycle.start(domain, paused=False)
        layout = v1_tree(tmp_path, domain.require_run().cgroup_path)
        made = Bench(services, driver, domain, layout)
        # What the real runtime would have written at the start.
        undo_half_done(services, replace(domain.require_run(), limits_changing=True))
        yield made
        driver.lifecycle.destroy(domain, graceful=False)
        wait_until(lambda: not domain.active, timeout_seconds=SECONDS, what="the end")
    finally:
        driver.close()


def test_live(bench: Bench) -> None:
    bench.change(tuning_changes.scheduler({"pids_limit": 9, "cpu_shares": 77}), LIVE)
    assert (bench.files["pids.max"], bench.files["cpu.shares"]) == ("9", "77")
    assert bench.told == {
        "cpu": {"shares": 77, "quota": -1, "period": 100000},
        "pids": {"limit": 9},
    }
    assert bench.domain.config.settings.pids_limit == 9
    assert bench.domain.next_config.settings.pids_limit is None
    assert "<shares>77</shares>" in str(bench.record["xml"])
    assert bench.record["limits_changing"] is False


def test_configured(bench: Bench) -> None:
    before = bench.files
    bench.change(tuning_changes.memory(32 * 1024), CONFIG)
    assert bench.files == before
    assert bench.domain.next_config.current_memory_kib == 32 * 1024
    assert bench.domain.config.current_memory_kib == 64 * 1024
    assert bench.told is None


def test_a_definition_that_cannot_be_stored_changes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before, record = bench.files, bench.record
    real = bench.services.store.save

    def full(_record: object) -> None:
        monkeypatch.setattr(bench.services.store, "save", real)
        raise BrokenFile(path="x", reason="no space")

    monkeypatch.setattr(bench.services.store, "save", full)
    with pytest.raises(BrokenFile):
        bench.change(tuning_changes.memory(32 * 1024), LIVE | CONFIG)
    assert {name: bench.files[name] for name in ("memory.limit_in_bytes", "pids.max")} == {
        name: before[name] for name in ("memory.limit_in_bytes", "pids.max")
    }
    assert bench.record == record
    assert bench.domain.next_config.current_memory_kib == bench.domain.config.current_memory_kib == 64 * 1024


def test_a_limit_the_kernel_does_not_take_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    record = bench.record
    (file,) = (tmp_path / "pids").glob("**/container/pids.max")
    file.chmod(0o400)
    file.unlink()
    file.mkdir()
    change = tuning_changes.scheduler({"pids_limit": 9, "cpu_shares": 77})
    with pytest.raises(Error, match=r"pids\.max"):
        bench.change(change, LIVE | CONFIG)
    assert bench.files["cpu.shares"] == "1024"
    assert bench.record["xml"] == record["xml"]
    assert bench.domain.next_config.cpu_tune.shares is None
    assert bench.told is None


def test_a_change_that_was_cut_off_is_undone(bench: Bench) -> None:
    run = bench.domain.require_run()
    bench.services.runs.save(replace(run, limits_changing=True).record)
    (Path(bench.services.supervisor.layout.hierarchies["pids"] + run.cgroup_path) / "pids.max").write_text("3\n")
    after = undo_half_done(bench.services, replace(run, limits_changing=True))
    assert bench.files["pids.max"] == "2048"
    assert after.limits_changing is False
    assert bench.record["limits_changing"] is False


def test_cpus_that_the_host_does_not_have(bench: Bench) -> None:
    change = tuning_changes.pin(0, frozenset({4000}), everywhere=frozenset({0}))
    bench.change(tuning_changes.vcpus(1), LIVE)
    with pytest.raises(BadArgument, match="no CPU 4000"):
        bench.change(change, LIVE)
    bench.change(change, CONFIG)  # for another host, or another day


def test_who_can_be_changed_how(host: FakeHost) -> None:
    idle = host.define("idle")
    change = tuning_changes.memory(32 * 1024)
    with pytest.raises(DomainIsNotRunning):
        host.driver.tuning.change(idle, change, flags=LIVE, what="test")
    host.driver.tuning.change(idle, change, flags=0, what="test")
    assert idle.config.current_memory_kib == 32 * 1024
    once = host.create("once")
    with pytest.raises(DomainIsTransient):
        host.driver.tuning.change(once, change, flags=LIVE | CONFIG, what="test")
    assert once.config.current_memory_kib == 64 * 1024


def test_only_a_live_change_is_announced(host: FakeHost) -> None:
    heard: list[EventBus] = []
    idle = host.define("idle")
    host.driver.tuning.change(idle, tuning_changes.vcpus(1), flags=CONFIG, what="test", announce=heard.append)
    assert heard == []


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ([ullong("cap", 5)], UnknownParameter, "there are shares"),
        ([ullong("guarantee", 5)], UnknownParameter, "it has none"),
        ([uint("shares", 5)], BadArgument, "invalid type 'uint' for parameter 'shares', expected 'ullong'"),
        ([ullong("shares", 5), ullong("shares", 6)], BadArgument, "multiple times"),
    ],
)
def test_parameters(params: list[TypedParam], error: type[Error], words: str) -> None:
    known = {"shares": ParamType.ULLONG}
    assert checked([ullong("shares", 7)], known) == {"shares": 7}
    with pytest.raises(error, match=words):
        checked(params, known, refused={"guarantee": "it has none"})


def told(bench: Bench) -> dict[str, object]:
    kernel = bench.driver.tuning.in_force(bench.domain)
    return {param.field: param.value for param in scheduler(bench.domain.config, kernel, default_pids=2048)}


def test_what_is_told_is_the_kernels(bench: Bench, tmp_path: Path) -> None:
    assert (told(bench)["cpu_shares"], told(bench)["vcpu_quota"]) == (1024, -1)
    (file,) = (tmp_path / "cpu").glob("**/container/cpu.cfs_quota_us")
    file.write_text("30000\n")  # by somebody's hand
    assert told(bench)["vcpu_quota"] == 15000
    bench.change(tuning_changes.scheduler({"global_quota": 40000}), LIVE)
    assert (told(bench)["global_quota"], told(bench)["vcpu_quota"]) == (40000, -1)
    bench.change(tuning_changes.scheduler({"global_quota": 0, "vcpu_quota": -1}), LIVE)
    bench.change(tuning_changes.vcpus(1), LIVE)
    assert told(bench)["vcpu_quota"] == -1
    kernel = bench.driver.tuning.in_force(bench.domain)
    assert affinity(bench.domain.config, replace(kernel, cpuset="5"), 2, length_bytes=1) == (b"\x20", b"\x20")
