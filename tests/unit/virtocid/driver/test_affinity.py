# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""CPUs as bit maps."""

import pytest

from covirt.virtocid.driver.affinity import cpu_list, cpu_maps
from covirt.virtocid.driver.domain_xml import parse_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.errors import BadArgument


def config(inside: str) -> DomainConfig:
    xml = f"<domain type='oci'><name>a</name><memory unit='MiB'>64</memory>{inside}</domain>"
    return parse_domain(xml, image_required=False)


def test_a_pin_comes_before_the_set_of_the_domain() -> None:
    tuned = config("<vcpu cpuset='0-6,^1'>3</vcpu><cputune><vcpupin vcpu='1' cpuset='8-9'/></cputune>")
    assert cpu_maps(tuned, 3, length_bytes=2) == (b"\x7d\x00", b"\x00\x03", b"\x7d\x00")
    assert cpu_maps(tuned, 2, length_bytes=1) == (b"\x7d", b"\x00")
    assert cpu_list(tuned) == "0,2-6,8-9"


def test_a_cpu_that_nothing_binds_may_be_anywhere_and_one_that_is_off_nowhere() -> None:
    pin = "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>"
    assert cpu_list(config(f"<vcpu>2</vcpu>{pin}")) is None
    assert cpu_list(config(f"<vcpu current='1'>2</vcpu>{pin}")) == "1"
    assert cpu_list(config("")) is None


def test_without_a_set_all_that_are_online() -> None:
    (bits,) = cpu_maps(config(""), 1, length_bytes=1)
    assert bits[0] & 1
    with pytest.raises(BadArgument):
        cpu_maps(config(""), 1, length_bytes=2049)
