# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From XML to limits: what is written has an effect, or is refused."""

from pathlib import Path

import pytest

from covirt.oci.image.model import ContainerImage, ImageConfig
from covirt.oci.resources import BlockIoLimit
from covirt.virtocid.config import ContainerConfig
from covirt.virtocid.driver.domain_xml import parse_domain
from covirt.virtocid.driver.errors import BadArgument
from covirt.virtocid.driver.plan import Plan


def plan(inside: str) -> Plan:
    xml = f"<domain type='oci'><name>a</name><memory unit='MiB'>64</memory>{inside}</domain>"
    config = ImageConfig(
        entrypoint=(),
        command=("/bin/true",),
        environment=(),
        working_directory="/",
        user="",
        stop_signal=None,
        exposed_ports=(),
        labels={},
        healthcheck=None,
        raw={},
    )
    image = ContainerImage(
        name="web",
        path=Path("/nowhere"),
        digest="sha256:0",
        architecture="amd64",
        size_bytes=1,
        volumes=(),
        config=config,
        filesystem="erofs",
        filesystem_bytes=1,
    )
    return Plan(config=parse_domain(xml, image_required=False), image=image, defaults=ContainerConfig())


def disk() -> tuple[str, int, int]:
    """Some whole disk of this machine, whatever it is."""
    for entry in sorted(Path("/sys/block").iterdir()):
        device = Path("/dev") / entry.name
        if device.is_block_device():
            major, minor = (entry / "dev").read_text().split(":")
            return str(device), int(major), int(minor)
    pytest.skip("this machine has no block device")


def test_limits_of_a_disk() -> None:
    path, major, minor = disk()
    tune = f"<device><path>{path}</path><read_bytes_sec>5000</read_bytes_sec><weight>300</weight></device>"
    limits = plan(f"<blkiotune>{tune}</blkiotune>").resources().block_io_limits
    assert limits == (BlockIoLimit(major=major, minor=minor, weight=300, read_bytes_per_second=5000),)


@pytest.mark.parametrize(("path", "reason"), [("/dev/null", "no block device"), ("/dev/no-such", "No such file")])
def test_limits_of_what_is_no_disk_are_refused(path: str, reason: str) -> None:
    with pytest.raises(BadArgument, match=reason):
        plan(f"<blkiotune><device><path>{path}</path></device></blkiotune>").resources()
