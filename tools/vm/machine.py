# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One running machine: QEMU in the foreground of a ``with`` block, reached by ssh on loopback."""

import io
import os
import socket
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.errors import Unavailable
from covirt.common.process import Argument, Child, Completed, run, spawn
from tools.vm.disk import Disk

_BOOT_SECONDS: Final = 300.0  # emulated, on a busy machine
_CALL_SECONDS: Final = 600.0


class NotBooted(Unavailable):
    template = "the machine was not reached within {seconds:.0f} seconds; its console said last: {console}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    directory: Path
    key: Path
    port: int

    def ssh(self, *, terminal: bool = False) -> list[Argument]:
        """The command line up to where a command for the machine follows."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=10"]
        # One connection for all: a handshake takes seconds in an emulated machine.
        options += ["ControlMaster=auto", f"ControlPath={self.directory}/ssh", "ControlPersist=yes"]
        words: list[Argument] = ["ssh", "-i", self.key, "-p", str(self.port)]
        words += [f"-o{option}" for option in options]
        return [*words, *(["-t"] if terminal else []), "root@127.0.0.1"]

    def call(self, command: str, *, stdin_data: bytes | None = None, check: bool = True) -> Completed:
        """Run a shell command in it."""
        return run([*self.ssh(), command], timeout_seconds=_CALL_SECONDS, stdin_data=stdin_data, check=check)

    def show(self, command: str, *, terminal: bool = False, timeout_seconds: float = 86_400) -> int:
        """Run a command with our own input and output; its exit status."""
        sys.stdout.flush()
        streams = (sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer)
        argv = [*self.ssh(terminal=terminal), command]
        child = spawn(argv, stdin=streams[0], stdout=streams[1], stderr=streams[2])
        with child:
            return child.wait(timeout_seconds=timeout_seconds)

    def send(self, files: Sequence[tuple[Path, str]], target: str) -> None:
        """Copy files and directories there, each under the given name; caches of Python stay here."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, name in files:
                archive.add(path, name, filter=lambda entry: None if "__pycache__" in entry.name else entry)
        unpack = f"rm -rf {target} && mkdir {target} && tar -x --no-same-owner -C {target}"
        self.call(unpack, stdin_data=packed.getvalue())

    def reboot(self) -> None:
        """At once: an orderly one waits minutes for guests that do not hear of it. Raises NotBooted."""
        asked = "cat /proc/sys/kernel/random/boot_id"
        before = self.call(asked).stdout
        self.call("systemctl reboot --force", check=False)  # may take the connection along
        self.disconnect()
        deadline = time.monotonic() + _BOOT_SECONDS
        while time.monotonic() < deadline:
            if _greets(self.port):
                answer = self.call(asked, check=False)
                if answer.status == 0 and answer.stdout != before:
                    return
                self.disconnect()
            time.sleep(0.2)
        raise NotBooted(seconds=_BOOT_SECONDS, console=self.console()[-500:])

    def disconnect(self) -> None:
        run([*self.ssh()[:-1], "-O", "exit", "root@127.0.0.1"], timeout_seconds=60, check=False)

    def console(self) -> str:
        """What it wrote on its serial line."""
        return (self.directory / "console").read_text(errors="replace")


@contextmanager
def boot(disk: Disk, *, memory_mib: int, cpus: int, accelerator: str) -> Iterator[Machine]:
    """A machine that answers; powered off, and its layer of the disk thrown away, at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="covirt-vm-", dir="/var/tmp") as name:  # /tmp may be too small
        directory = Path(name)
        machine = Machine(directory=directory, key=disk.key, port=_free_port())
        layer = directory / "disk.qcow2"
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk.image, layer], timeout_seconds=60)
        argv = _qemu(disk, machine, memory_mib=memory_mib, cpus=cpus, accelerator=accelerator)
        with open(directory / "qemu.log", "wb") as log, spawn(argv, stdout=log, stderr=log) as qemu:
            _wait_for_ssh(machine, qemu)
            try:
                yield machine
            finally:
                machine.disconnect()


def _qemu(disk: Disk, machine: Machine, *, memory_mib: int, cpus: int, accelerator: str) -> list[Argument]:
    append = "root=LABEL=root rw console=ttyS0 quiet net.ifnames=0 mitigations=off systemd.show_status=0 panic=1"
    drive = f"file={machine.directory}/disk.qcow2,if=virtio,cache=unsafe"
    argv: list[Argument] = ["qemu-system-x86_64", "-name", "covirt-vm", "-machine", f"q35,accel={accelerator}"]
    argv += ["-cpu", "max", "-smp", str(cpus), "-m", str(memory_mib), "-nodefaults", "-display", "none"]
    argv += ["-kernel", disk.kernel, "-initrd", disk.initrd, "-append", append, "-drive", drive]
    argv += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{machine.port}-:22"]
    argv += ["-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"]
    # eth1 is for networks of covirt-host; nothing but a DHCP server is on its other end.
    argv += ["-netdev", "user,id=lan,net=10.0.3.0/24,restrict=on", "-device", "virtio-net-pci,netdev=lan"]
    return [*argv, "-serial", f"file:{machine.directory}/console"]


def _wait_for_ssh(machine: Machine, qemu: Child) -> None:
    deadline = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < deadline and qemu.poll() is None:
        if _greets(machine.port) and machine.call("true", check=False).status == 0:
            return
        time.sleep(0.2)
    said = machine.console() if qemu.poll() is None else (machine.directory / "qemu.log").read_text()
    raise NotBooted(seconds=_BOOT_SECONDS, console=said[-500:])


def _greets(port: int) -> bool:
    """QEMU accepts for a machine whose sshd is not there yet, so only a greeting counts."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(4) == b"SSH-"
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def cpu_count() -> int:
    return len(os.sched_getaffinity(0))
