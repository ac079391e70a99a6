# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Attempts to leave a container, one per function; run inside it by the host's Python, and by tests as a control.

``breakout.py ATTEMPT [ARGUMENT ...]`` ends with status 0 and one line of what it got when the attempt succeeded, with
status 3 and the kernel's reason when it was refused. It imports nothing of the project: it is alone in there.
"""

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable

_PTRACE_ATTACH = 16
_KEYCTL_READ = 11
_CLONE_NEWUSER = 0x10000000

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# Numbers of x86_64 and aarch64.
_NUMBERS = {
    "x86_64": {"add_key": 248, "keyctl": 250, "init_module": 175, "kexec_load": 246, "open_by_handle_at": 304},
    "aarch64": {"add_key": 217, "keyctl": 219, "init_module": 105, "kexec_load": 104, "open_by_handle_at": 265},
}[os.uname().machine]


def checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def mount(*arguments: str) -> str:
    source, target, filesystem = arguments
    checked(libc.mount(source.encode(), target.encode(), filesystem.encode(), 0, None))
    return f"mounted {filesystem}"


def remount(target: str) -> str:
    read_write = 32 | 4096  # MS_REMOUNT | MS_BIND, without MS_RDONLY
    checked(libc.mount(b"none", target.encode(), None, ctypes.c_ulong(read_write), None))
    return f"{target} is writable"


def mknod(path: str) -> str:
    os.mknod(path, 0o60666, os.makedev(7, 0))
    return f"made {path}"


def write(path: str, text: str = "1") -> str:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    return f"wrote {path}"


def read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    data = os.read(descriptor, 4096)
    if not data:
        raise OSError(errno.ENODATA, "it is empty")
    return f"read {len(data)} bytes of {path}"


def open_device(path: str) -> str:
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    return f"opened {path}"


def setns(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    checked(libc.setns(descriptor, 0))
    return f"entered {path}"


def ptrace(pid: str) -> str:
    checked(libc.ptrace(ctypes.c_long(_PTRACE_ATTACH), ctypes.c_long(int(pid)), None, None))
    return f"attached to {pid}"


def ptrace_child() -> str:
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        return ptrace(str(child))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def kill(pid: str) -> str:
    os.kill(int(pid), 0)
    return f"could signal {pid}"


def read_key(serial: str) -> str:
    room = ctypes.create_string_buffer(64)
    arguments = (ctypes.c_long(_KEYCTL_READ), ctypes.c_long(int(serial)), room, ctypes.c_long(len(room)))
    checked(libc.syscall(_NUMBERS["keyctl"], *arguments))
    return f"read {room.value!r}"


def load_module() -> str:
    checked(libc.syscall(_NUMBERS["init_module"], b"", ctypes.c_long(0), b""))
    return "loaded a module"


def load_kernel() -> str:
    nothing = ctypes.c_long(0)
    checked(libc.syscall(_NUMBERS["kexec_load"], nothing, nothing, None, nothing))
    return "loaded a kernel"


def reboot() -> str:
    checked(libc.reboot(ctypes.c_int(0x01234567)))
    return "restarted"


def raw_socket() -> str:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return "made a raw socket"


def packet_socket() -> str:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return "made a packet socket"


def set_address() -> str:
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = struct.pack("16sH14s", b"lo", socket.AF_INET, b"\0\0\x0a\0\0\1" + bytes(8))
    import fcntl

    fcntl.ioctl(probe, 0x8916, request)  # SIOCSIFADDR
    return "changed an address"


def forks(wanted: str) -> str:
    """Children that stay until the end, so that they count together."""
    children: list[int] = []
    try:
        for _ in range(int(wanted)):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError as error:
        raise OSError(error.errno, f"only {len(children)} children") from error
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
    return f"{len(children)} children"


def allocate(mebibytes: str) -> str:
    held = []
    for _ in range(int(mebibytes)):
        held.append(b"x" * (1 << 20))
    return f"held {len(held)} MiB"


def nested_mount(filesystem: str, options: str, target: str) -> str:
    """What a new user namespace inside the container may mount; the way of CVE-2022-0492."""
    checked(libc.unshare(ctypes.c_int(_CLONE_NEWUSER | 0x00020000 | 0x02000000)))  # and mount, cgroup namespaces
    checked(libc.mount(b"none", target.encode(), filesystem.encode(), 0, options.encode() or None))
    return f"mounted {filesystem}"


def release_agent(controller: str) -> str:
    nested_mount("cgroup", controller, "/tmp")
    return write("/tmp/release_agent", "/tmp/agent")


def set_clock() -> str:
    import time

    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return "set the clock"


def chroot_out() -> str:
    """The classic way out of a chroot, which a root made by pivot_root does not have."""
    os.makedirs("/tmp/jail", exist_ok=True)
    outside = os.open("/", os.O_RDONLY)
    os.chroot("/tmp/jail")
    os.fchdir(outside)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    return read("/host-only")


def status(field: str) -> str:
    with open("/proc/self/status") as stream:
        for line in stream:
            if line.startswith(f"{field}:"):
                return line.split()[1]
    raise OSError(errno.ENOENT, field)


ATTEMPTS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        mount, remount, mknod, write, read, open_device, setns, ptrace, ptrace_child, kill, read_key, load_module,
        load_kernel, reboot, raw_socket, packet_socket, set_address, forks, allocate, nested_mount, release_agent,
        set_clock, chroot_out, status,
    )
}  # fmt: skip

if __name__ == "__main__":
    try:
        print(ATTEMPTS[sys.argv[1]](*sys.argv[2:]))  # noqa: T201
    except OSError as refusal:
        print(f"{errno.errorcode.get(refusal.errno or 0)}: {refusal.strerror}")  # noqa: T201
        sys.exit(3)
