# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Swap is limited where the kernel counts it, and where it does not, that is no reason to fail."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.root import Root
from covirt.common.units import KIB
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.runtimes.fake import FakeSupervisor
from covirt.virtocid.driver.driver import Driver
from tests.support.fake_services import SECONDS, fake_services, write_image
from tests.support.virtocid import domain_xml
from tests.support.waiting import wait_until


@pytest.mark.parametrize("counted", [True, False])
def test_swap_is_limited_where_it_is_counted(root_dir: Root, tmp_path: Path, counted: bool) -> None:
    write_image(root_dir)
    if counted:
        (tmp_path / "memory.memsw.limit_in_bytes").touch()
    supervisor = FakeSupervisor()
    supervisor.layout = CgroupLayout(version=1, hierarchies={"memory": str(tmp_path)}, unified=None)
    driver = Driver(replace(fake_services(root_dir), supervisor=supervisor))
    driver.start()
    try:
        domain = driver.definitions.define(domain_xml("web", memory_mib=64))
        driver.lifecycle.start(domain, paused=False)
        run = domain.require_run()
        memory = json.loads((run.bundle / "config.json").read_text())["linux"]["resources"]["memory"]
        assert memory == {"limit": 64 * 1024 * KIB, **({"swap": 64 * 1024 * KIB} if counted else {})}
        driver.lifecycle.destroy(domain, graceful=False)
        wait_until(lambda: not domain.active, timeout_seconds=SECONDS, what="the end")
    finally:
        driver.close()
