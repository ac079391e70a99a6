# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What tests.support gives elsewhere, of the installed daemon here: many tests of tests/system run on it too."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network import LinuxBridge, new_linux_bridge
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.virtocid import IMAGE, import_image
from tests.vm.installed import InstalledVirtocid, Leftovers, systemctl


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> InstalledVirtocid:
    """The daemon as systemd runs it, with an imported image."""
    daemon = InstalledVirtocid()
    layout = write_layout(Path(tmp_path_factory.mktemp("layout"), "layout"), {IMAGE: busybox_image()})
    import_image(daemon.root, f"oci:{layout}:{IMAGE}", IMAGE)
    return daemon


@pytest.fixture
def virtocid(installed: InstalledVirtocid) -> Iterator[InstalledVirtocid]:
    """The daemon; afterwards no domain of the test is left, and nothing of one on the machine."""
    before = Leftovers.now()
    others = installed.tell("list", "--all", "--uuid").split()  # covirt-host's, which a reboot is to find running
    since = installed.journal_cursor()
    try:
        yield installed
    finally:
        systemctl("reset-failed", "virtocid")
        installed.remove_domains(keep=others)
        sys.stdout.write(f"virtocid said:\n{installed.journal(since)}")  # shown when the test failed
    before.expect_nothing_new()


@pytest.fixture
def linux_bridge() -> Iterator[LinuxBridge]:
    with new_linux_bridge() as bridge:
        yield bridge
