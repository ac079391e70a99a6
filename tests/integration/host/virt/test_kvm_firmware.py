# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The probe's firmware runs to its end on a processor that does what it should; QEMU's own is one."""

from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.host.virt.kvm_firmware import FINISHED_STATUS, firmware
from covirt.host.virt.kvm_probe import probe_command

pytestmark = pytest.mark.qemu


def test_it_comes_to_its_end(tmp_path: Path) -> None:
    rom = tmp_path / "rom"
    rom.write_bytes(firmware())
    completed = run(probe_command("qemu-system-x86_64", "tcg", rom), timeout_seconds=60, check=False)
    assert completed.status == FINISHED_STATUS, completed.complaint
