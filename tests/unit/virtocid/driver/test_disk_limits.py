# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of single disks: from the XML to a device's throttle and back, and which of them exclude each other."""

from collections.abc import Mapping

import pytest

from covirt.oci.resources import BlockIoLimit, Resources
from covirt.virtocid.driver import disk_limits, tuning_changes
from covirt.virtocid.driver.disk_limits import disk_limit, disk_tune, with_disk_limits
from covirt.virtocid.driver.domain_xml import format_domain, parse_domain
from covirt.virtocid.driver.domain_xml.errors import InvalidXml
from covirt.virtocid.driver.domain_xml.model import Disk, DiskIoTune, DomainConfig
from covirt.virtocid.driver.errors import BadArgument, NoSuchDisk, NotSupported
from covirt.virtocid.driver.run import Run
from tests.support.fake_services import FakeHost
from tests.support.virtocid import domain_xml

_CDROM = "<disk type='file' device='cdrom'><source file='/image.raw'/><target dev='sda'/></disk>"


def config(iotune: str = "", *, more: str = "") -> DomainConfig:
    disk = f"<disk device='disk'><source file='/a.raw'/><target dev='vda'/>{iotune}</disk>"
    return parse_domain(domain_xml("web", image="", devices=disk + _CDROM, more=more), image_required=False)


def changed(given: Mapping[str, int], present: DomainConfig | None = None) -> DiskIoTune:
    after = tuning_changes.disk_io("vda", given)(present or config())
    assert parse_domain(format_domain(after, secure=True), image_required=False) == after
    return after.disks[0].io_tune


def test_what_the_xml_says() -> None:
    tune = (
        config("<iotune><total_bytes_sec>9</total_bytes_sec><read_iops_sec>5</read_iops_sec></iotune>")
        .disks[0]
        .io_tune
    )
    assert tune == DiskIoTune(total_bytes=9, read_operations=5)
    assert config("<iotune><total_bytes_sec>0</total_bytes_sec></iotune>").disks[0].io_tune == DiskIoTune()
    bursts = config("<iotune><read_bytes_sec_max>5</read_bytes_sec_max></iotune>")
    assert bursts.unknown[0].xpath.endswith("/iotune/read_bytes_sec_max")
    assert "read_bytes_sec_max" in format_domain(bursts, secure=True)
    with pytest.raises(InvalidXml, match="at the same time"):
        config("<iotune><total_iops_sec>9</total_iops_sec><read_iops_sec>5</read_iops_sec></iotune>")


def test_whoever_says_one_limit_of_a_kind_says_all_three() -> None:
    """As in libvirt."""
    present = config("<iotune><read_bytes_sec>7</read_bytes_sec><write_iops_sec>5</write_iops_sec></iotune>")
    assert changed({"write_bytes_sec": 8}, present) == DiskIoTune(write_bytes=8, write_operations=5)
    assert changed({"total_bytes_sec": 8}, present) == DiskIoTune(total_bytes=8, write_operations=5)
    assert changed({"total_iops_sec": 0}, present) == DiskIoTune(read_bytes=7)
    with pytest.raises(BadArgument, match="total and read/write of iops_sec"):
        changed({"total_iops_sec": 1, "read_iops_sec": 1})


def test_disks_that_cannot_be_limited() -> None:
    with pytest.raises(NoSuchDisk):
        tuning_changes.disk_io("vdz", {})(config())
    with pytest.raises(NotSupported, match="image"):
        tuning_changes.disk_io("sda", {"read_bytes_sec": 5})(config())
    assert changed({}) == DiskIoTune()


def test_a_total_is_never_exceeded() -> None:
    tune = DiskIoTune(total_bytes=9, read_operations=5)
    limit = disk_limit((7, 1), tune)
    assert (limit.read_bytes_per_second, limit.write_bytes_per_second) == (4, 4)
    assert (limit.read_operations_per_second, limit.write_operations_per_second) == (5, None)
    assert disk_tune(limit, tune) == tune
    total = DiskIoTune(total_operations=1)
    assert disk_tune(disk_limit((7, 1), total), total) == total
    by_hand = BlockIoLimit(major=7, minor=1, read_bytes_per_second=3)
    assert disk_tune(by_hand, tune) == DiskIoTune(read_bytes=3)


def test_the_lower_of_two_limits_counts(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    run = host.run().require_run()
    iotune = "<iotune><read_bytes_sec>50</read_bytes_sec><write_iops_sec>5</write_iops_sec></iotune>"
    disks = {"vda": (7, 1)}

    def device(_run: Run, disk: Disk) -> tuple[int, int] | None:
        return disks.get(disk.target)

    monkeypatch.setattr(disk_limits, "throttled_device", device)
    run = run.with_config(config(iotune))
    host_disk = BlockIoLimit(major=7, minor=1, weight=20, read_bytes_per_second=40, write_bytes_per_second=9)
    assert with_disk_limits(Resources(block_io_limits=(host_disk,)), run).block_io_limits == (
        BlockIoLimit(
            major=7,
            minor=1,
            weight=20,
            read_bytes_per_second=40,
            write_bytes_per_second=9,
            write_operations_per_second=5,
        ),
    )
    disks.clear()  # nothing is mounted
    assert with_disk_limits(Resources(), run) == Resources()
