# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Does KVM work here? Found out by booting something with it: a device and libvirt's word for it are no proof.

A probe that fails can take its whole time, so it runs in a thread, once a boot: what it found is kept in the runtime
directory. Until it is done a host has no KVM.
"""

import logging
import os
import platform
import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.files import BrokenFile, UnknownFileVersion, make_directory, read_json, write_atomic, write_json
from covirt.common.process import PIPE, Argument, Child, CommandMissing, CommandTimeout, spawn
from covirt.common.root import boot_id
from covirt.host.virt.kvm_firmware import EXIT_DEVICE, FINISHED_STATUS, firmware

log = logging.getLogger(__name__)

_VERSION: Final = 1
_DEVICE: Final = Path("/dev/kvm")
_PROGRAM: Final = "qemu-system-x86_64"
_KVM: Final = "kvm"
# Far more than a processor needs and far less than an emulation does.
_BOOT_SECONDS: Final = 10.0
_JOIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmAnswer:
    """What a probe found; ``reason`` says in words why not. ``tried``: whether it could be found out."""

    works: bool
    reason: str = ""
    tried: bool = True


class KvmProbe:
    """One probe in a thread of its own."""

    def __init__(self, run_dir: Path, *, program: str = _PROGRAM, device: Path = _DEVICE) -> None:
        self._run_dir = run_dir
        self._program = program
        self._device = device
        self._answer = KvmAnswer(works=False, reason="it is being tried")
        self._done = threading.Event()
        self._stopping = threading.Event()
        self._child: Child | None = None
        self._thread = threading.Thread(target=self._find_out, name="kvm-probe", daemon=True)

    @property
    def answer(self) -> KvmAnswer:
        """What is known by now; never waits."""
        return self._answer

    def wait(self, *, timeout_seconds: float) -> KvmAnswer:
        """What is known when the probe is done, or when the time is up."""
        self._done.wait(timeout_seconds)
        return self._answer

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        child = self._child
        if child is not None:
            child.signal(signal.SIGKILL)
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def _find_out(self) -> None:
        try:
            self._answer = self._kept() or self._tried()
            log.info("KVM works=%s reason=%r", self._answer.works, self._answer.reason)
        except OSError as error:
            reason = f"it cannot be tried: {error.filename or self._run_dir}: {error.strerror}"
            self._answer = KvmAnswer(works=False, reason=reason, tried=False)
            log.info("KVM works=False reason=%r", reason)
        except Exception:  # the top of a thread: a host without an answer has no KVM
            log.exception("The probe of KVM failed")
            self._answer = KvmAnswer(works=False, reason="the probe failed, see the log")
        finally:
            self._done.set()

    def _tried(self) -> KvmAnswer:
        answer = self._obstacle() or self._booted(_KVM, seconds=_BOOT_SECONDS)
        if not self._stopping.is_set():
            self._keep(answer)
        return answer

    def _obstacle(self) -> KvmAnswer | None:
        """What makes a try needless."""
        if platform.machine() != "x86_64":
            return KvmAnswer(works=False, reason=f"no way to try it on {platform.machine()} is known")
        if not self._device.exists():
            return KvmAnswer(works=False, reason=f"there is no {self._device}; load the module kvm_intel or kvm_amd")
        if not os.access(self._device, os.R_OK | os.W_OK):
            return KvmAnswer(works=False, reason=f"{self._device} may not be opened")
        if shutil.which(self._program) is None:
            return KvmAnswer(works=False, reason=f"the program {self._program} is not installed")
        return None

    def _booted(self, accelerator: str, *, seconds: float) -> KvmAnswer:
        make_directory(self._run_dir)
        rom = self._run_dir / "kvm-probe.rom"
        write_atomic(rom, firmware(), mode=0o644, durable=False)
        try:
            command = probe_command(self._program, accelerator, rom)
            with spawn(["setpriv", "--pdeathsig=KILL", "--", *command], stderr=PIPE, own_group=True) as child:
                self._child = child
                if self._stopping.is_set():
                    return KvmAnswer(works=False, reason="the agent ends")
                completed = child.communicate(timeout_seconds=seconds)
        except CommandTimeout:
            return KvmAnswer(works=False, reason=f"a machine did not come up within {seconds:g} seconds")
        except CommandMissing as error:
            return KvmAnswer(works=False, reason=str(error))
        finally:
            self._child = None
            rom.unlink(missing_ok=True)
        if completed.status == FINISHED_STATUS:
            return KvmAnswer(works=True)
        complaint = completed.complaint.splitlines()
        last = complaint[-1] if complaint else "it said nothing"
        return KvmAnswer(works=False, reason=f"QEMU ended with status {completed.status}: {last}")

    @property
    def _record(self) -> Path:
        return self._run_dir / "kvm.json"

    def _facts(self) -> dict[str, object]:
        """What an answer is good for: this boot and this program."""
        program = shutil.which(self._program)
        changed = os.stat(program).st_mtime_ns if program else 0
        return {"boot_id": boot_id(), "program": program or "", "changed_ns": changed}

    def _kept(self) -> KvmAnswer | None:
        try:
            record = read_json(self._record, versions=range(_VERSION, _VERSION + 1))
        except (FileNotFoundError, BrokenFile, UnknownFileVersion):
            return None
        if any(record.get(name) != value for name, value in self._facts().items()):
            return None
        return KvmAnswer(works=record.get("works") is True, reason=str(record.get("reason", "")))

    def _keep(self, answer: KvmAnswer) -> None:
        make_directory(self._run_dir)
        value = {**self._facts(), "works": answer.works, "reason": answer.reason}
        write_json(self._record, value, version=_VERSION, durable=False)


def probe_command(program: str, accelerator: str, rom: Path) -> list[Argument]:
    """Boot the firmware with "kvm" or "tcg"."""
    cpu = "host" if accelerator == _KVM else "max"
    # fmt: off
    return [
        program, "-nodefaults", "-no-user-config", "-no-reboot",
        "-machine", f"pc,accel={accelerator}", "-cpu", cpu, "-m", "16",
        "-display", "none", "-bios", rom, "-device", EXIT_DEVICE,
    ]
    # fmt: on
