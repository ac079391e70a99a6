# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""These tests act on the machine itself, as its administrator would: they are for a machine that may be spoilt."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network import LinuxBridge, new_linux_bridge
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.virtocid import IMAGE, import_image
from tests.vm.installed import InstalledVirtocid, Leftovers, systemctl

collect_ignore_glob = [] if os.environ.get("COVIRT_INSTALLED") else ["test_*"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> InstalledVirtocid:
    """The daemon as systemd runs it, with an imported image."""
    daemon = InstalledVirtocid()
    layout = write_layout(Path(tmp_path_factory.mktemp("layout"), "layout"), {IMAGE: busybox_image()})
    import_image(daemon.root, f"oci:{layout}:{IMAGE}", IMAGE)
    return daemon


@pytest.fixture
def virtocid(installed: InstalledVirtocid, request: pytest.FixtureRequest) -> Iterator[InstalledVirtocid]:
    """The daemon; afterwards no domain is left, and nothing of one on the machine."""
    before = Leftovers.now()
    since = installed.journal_cursor()
    try:
        yield installed
    finally:
        systemctl("reset-failed", "virtocid")
        installed.remove_domains()
        if request.node.name:
            print(f"virtocid said:\n{installed.journal(since)}")  # noqa: T201  # shown when the test failed
    before.expect_nothing_new()


@pytest.fixture
def linux_bridge() -> Iterator[LinuxBridge]:
    with new_linux_bridge() as bridge:
        yield bridge
