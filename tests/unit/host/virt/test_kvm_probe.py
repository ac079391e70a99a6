# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether KVM works is what a boot says, asked once a boot."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from covirt.host.virt.kvm_probe import KvmAnswer, KvmProbe
from tests.support.waiting import wait_until


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "kvm"
    path.touch()
    return path


def fake_qemu(directory: Path, script: str) -> str:
    program = directory / "qemu"
    program.write_text(f"#!/bin/sh\necho begun >>{directory}/calls\n{script}\n")
    program.chmod(0o755)
    return str(program)


@contextmanager
def probing(directory: Path, program: str, device: Path) -> Iterator[KvmProbe]:
    probe = KvmProbe(directory / "run", program=program, device=device)
    probe.start()
    try:
        yield probe
    finally:
        probe.stop()


def answer(directory: Path, program: str, device: Path) -> KvmAnswer:
    with probing(directory, program, device) as probe:
        return probe.wait(timeout_seconds=60)


def test_a_boot_that_comes_to_its_end(tmp_path: Path, device: Path) -> None:
    assert answer(tmp_path, fake_qemu(tmp_path, "exit 33"), device) == KvmAnswer(works=True)


def test_one_that_fails(tmp_path: Path, device: Path) -> None:
    program = fake_qemu(tmp_path, "echo a warning >&2; echo failed to set MSR 0x10a >&2; exit 134")
    found = answer(tmp_path, program, device)
    assert not found.works
    assert found.reason == "QEMU ended with status 134: failed to set MSR 0x10a"


def test_one_that_hangs(tmp_path: Path, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covirt.host.virt.kvm_probe._BOOT_SECONDS", 0.2)
    found = answer(tmp_path, fake_qemu(tmp_path, "exec sleep 1000"), device)
    assert found == KvmAnswer(works=False, reason="a machine did not come up within 0.2 seconds")


def test_without_the_device_or_the_program(tmp_path: Path, device: Path) -> None:
    assert "kvm_intel" in answer(tmp_path, fake_qemu(tmp_path, "exit 33"), tmp_path / "none").reason
    assert "not installed" in answer(tmp_path / "other", str(tmp_path / "no-qemu"), device).reason


def test_it_is_asked_once(tmp_path: Path, device: Path) -> None:
    program = fake_qemu(tmp_path, "exit 33")
    assert answer(tmp_path, program, device).works
    assert answer(tmp_path, program, device).works
    assert (tmp_path / "calls").read_text() == "begun\n"


def test_another_program_is_asked_again(tmp_path: Path, device: Path) -> None:
    assert answer(tmp_path, fake_qemu(tmp_path, "exit 33"), device).works
    assert not answer(tmp_path, fake_qemu(tmp_path, "exit 1"), device).works


def test_a_record_that_is_broken(tmp_path: Path, device: Path) -> None:
    program = fake_qemu(tmp_path, "exit 33")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/kvm.json").write_text("{")
    assert answer(tmp_path, program, device).works


def test_an_end_does_not_wait_for_it(tmp_path: Path, device: Path) -> None:
    with probing(tmp_path, fake_qemu(tmp_path, "exec sleep 1000"), device) as probe:
        wait_until(lambda: (tmp_path / "calls").exists(), timeout_seconds=60)
        assert not probe.answer.works
    assert not (tmp_path / "run/kvm.json").exists()


def test_one_that_cannot_be_tried_is_said_so(tmp_path: Path, device: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As for a user who may not read what is kept: here it cannot be read by root either."""
    (tmp_path / "run").touch()
    found = answer(tmp_path, fake_qemu(tmp_path, "exit 33"), device)
    assert not found.tried
    assert found.reason == f"it cannot be tried: {tmp_path}/run/kvm.json: Not a directory"
    assert "Traceback" not in caplog.text
