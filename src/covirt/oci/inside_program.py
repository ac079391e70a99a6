# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The program that looks at a container from within, as the container's root: see inside.py, which starts it.

It joins the container's cgroup and its user, mount and UTS namespace, gives up every capability that the container
does not have, and then answers requests from stdin on stdout: a line of JSON, and so many bytes after it as the line
says. It stays out of the container's pid namespace, so nothing in there can see, signal or trace it. Whatever it
opens, it opens as the container's root would, and without waiting for a FIFO's other end; a request that takes too
long ends it (SIGALRM). It ends with its stdin.

Everything is imported before a namespace is joined: afterwards every path is the container's.
"""

import ctypes
import json
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable
from typing import IO, Any, Final

_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUTS: Final = 0x04000000
_CLONE_NEWUSER: Final = 0x10000000
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION_3: Final = 0x20080522
_LAST_CAPABILITY: Final = 63  # the kernel refuses numbers that it does not know
_LINE_BYTES: Final = 1 << 20
_LOCALTIME: Final = "/etc/localtime"
_ALWAYS: Final = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Answer = tuple[dict[str, Any], bytes]

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Arguments: the capabilities to keep (hexadecimal), seconds of silence to bear, descriptors of the user, mount
    and UTS namespace, then the files of cgroups to enter."""
    capabilities, idle_seconds = int(sys.argv[1], 16), float(sys.argv[2])
    namespaces = [int(word) for word in sys.argv[3:6]]
    answers = sys.stdout.buffer
    try:
        for path in sys.argv[6:]:
            _write(path, b"0")
        _enter(namespaces)
        _become_root(capabilities)
    except OSError as error:
        _send(answers, {"error": error.errno, "reason": f"{error.strerror}: {error.filename or 'joining it'}"}, b"")
        return
    sys.path.clear()
    sys.meta_path.clear()
    _send(answers, {}, b"")
    Server(sys.stdin.buffer, answers).serve(idle_seconds)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _enter(namespaces: list[int]) -> None:
    for descriptor, kind in zip(namespaces, (_CLONE_NEWUSER, _CLONE_NEWNS, _CLONE_NEWUTS), strict=True):
        _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)))
        os.close(descriptor)


def _become_root(capabilities: int) -> None:
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.umask(0o022)
    for number in range(_LAST_CAPABILITY + 1):
        if not capabilities >> number & 1:
            _libc.prctl(ctypes.c_int(_PR_CAPBSET_DROP), ctypes.c_ulong(number), 0, 0, 0)
    _check(_libc.prctl(ctypes.c_int(_PR_SET_NO_NEW_PRIVS), ctypes.c_ulong(1), 0, 0, 0))
    low, high = capabilities & 0xFFFF_FFFF, capabilities >> 32
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)  # twice: effective, permitted, inheritable
    _check(_libc.capset(header, data))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _send(answers: IO[bytes], answer: dict[str, Any], data: bytes) -> None:
    answers.write(json.dumps({**answer, "bytes": len(data)}).encode() + b"\n" + data)
    answers.flush()


class Server:
    """One request after the other."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers
        self._files: dict[int, int] = {}
        self._operations: dict[str, Callable[[dict[str, Any], bytes], Answer]] = {
            "names": self._names,
            "text": self._text,
            "timezone": self._timezone,
            "space": self._space,
            "open": self._open,
            "close": self._close,
            "read": self._read,
            "write": self._write,
            "seek": self._seek,
        }

    def serve(self, idle_seconds: float) -> None:
        poller = select.poll()
        poller.register(self._requests, select.POLLIN)
        while poller.poll(idle_seconds * 1000):
            line = self._requests.readline(_LINE_BYTES)
            if not line:
                return
            request = json.loads(line)
            data = self._requests.read(request["bytes"])
            signal.alarm(request["seconds"])
            try:
                answer, body = self._operations[request["do"]](request, data)
            except OSError as error:
                answer, body = {"error": error.errno, "reason": error.strerror}, b""
            signal.alarm(0)
            _send(self._answers, answer, body)

    def _names(self, _request: dict[str, Any], _data: bytes) -> Answer:
        facts = os.uname()
        return {
            "nodename": facts.nodename,
            "release": facts.release,
            "version": facts.version,
            "machine": facts.machine,
        }, b""

    def _text(self, request: dict[str, Any], _data: bytes) -> Answer:
        """The beginning of a regular file."""
        descriptor = os.open(request["path"], os.O_RDONLY | _ALWAYS)
        try:
            return {"regular": stat.S_ISREG(os.fstat(descriptor).st_mode)}, _read_up_to(
                descriptor, request["count"], only_regular=True
            )
        finally:
            os.close(descriptor)

    def _timezone(self, request: dict[str, Any], _data: bytes) -> Answer:
        zone = request["zone"]
        if zone is None and not _is_regular(_LOCALTIME):
            zone = "UTC0"
        os.environ.pop("TZ", None)
        if zone is not None:
            os.environ["TZ"] = zone
        time.tzset()
        now = time.localtime()
        return {"zone": now.tm_zone, "offset": now.tm_gmtoff}, b""

    def _space(self, request: dict[str, Any], _data: bytes) -> Answer:
        """Total and used bytes by path; null for what is no directory, or cannot be reached."""
        return {"space": [_space_at(path) for path in request["paths"]]}, b""

    def _open(self, request: dict[str, Any], _data: bytes) -> Answer:
        descriptor = os.open(request["path"], request["flags"] | _ALWAYS, 0o644)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise IsADirectoryError(21, "Is a directory")
        self._files[request["handle"]] = descriptor
        return {}, b""

    def _close(self, request: dict[str, Any], _data: bytes) -> Answer:
        os.close(self._files.pop(request["handle"]))
        return {}, b""

    def _read(self, request: dict[str, Any], _data: bytes) -> Answer:
        data = _read_up_to(self._files[request["handle"]], request["count"])
        return {}, data

    def _write(self, request: dict[str, Any], data: bytes) -> Answer:
        descriptor, done = self._files[request["handle"]], 0
        while done < len(data):
            try:
                done += os.write(descriptor, data[done:])
            except OSError:
                if not done:
                    raise
                break
        return {"count": done}, b""

    def _seek(self, request: dict[str, Any], _data: bytes) -> Answer:
        descriptor = self._files[request["handle"]]
        return {"position": os.lseek(descriptor, request["offset"], request["whence"])}, b""


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _read_up_to(descriptor: int, count: int, *, only_regular: bool = False) -> bytes:
    """Less at the end of the file, and of what there is for now in a FIFO."""
    if only_regular and not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return b""
    parts: list[bytes] = []
    while count:
        try:
            part = os.read(descriptor, count)
        except BlockingIOError:
            break
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _space_at(path: str) -> list[int] | None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        facts = os.fstatvfs(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return [facts.f_blocks * facts.f_frsize, (facts.f_blocks - facts.f_bfree) * facts.f_frsize]


if __name__ == "__main__":
    main()
