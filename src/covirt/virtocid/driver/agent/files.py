# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that read and write files of the container, as its root.

A handle is good until it is closed, its container ends, virtocid does, or half an hour passes without a command.
"""

import base64
import os
from collections.abc import Mapping
from typing import Final

from covirt.oci.inside import InsideFailed
from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.command import Call, Command, Commands, Json
from covirt.virtocid.driver.agent.errors import refused

_DEFAULT_COUNT: Final = 4096
_LONGEST_MODE: Final = 16  # characters of a wrong one that are told
_MOST_COUNT: Final = 48 * 1024 * 1024  # QEMU's limit; more is a mistake
# What one answer holds: in base64 it must fit libvirt's longest string. A client that wants more reads again.
READ_BYTES: Final = 3_000_000
_LONGEST_PATH: Final = 4096  # PATH_MAX, with the zero byte at its end
_CREATE: Final = os.O_CREAT | os.O_TRUNC
_APPEND: Final = os.O_CREAT | os.O_APPEND
# As in fopen(3).
_FLAGS: Final[Mapping[str, int]] = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY | _CREATE,
    "a": os.O_WRONLY | _APPEND,
    "r+": os.O_RDWR,
    "w+": os.O_RDWR | _CREATE,
    "a+": os.O_RDWR | _APPEND,
}
_WHENCE: Final[Mapping[str, int]] = {"set": os.SEEK_SET, "cur": os.SEEK_CUR, "end": os.SEEK_END}


def _open(call: Call, arguments: Arguments) -> Json:
    path, mode = arguments.text("path"), arguments.text("mode", "r")
    flags = _FLAGS.get(mode.replace("b", "", 1))
    if flags is None:
        raise refused(f"invalid file open mode '{mode[:_LONGEST_MODE]}'")
    if not path.startswith("/"):
        raise refused(f"failed to open file '{path[:_LONGEST_PATH]}': give its whole path, from the container's root")
    if len(path.encode()) >= _LONGEST_PATH:
        raise refused(f"failed to open file: its path has more than {_LONGEST_PATH - 1} bytes")
    with call.guest.inside(seconds=call.seconds) as inside:
        handle = call.guest.new_handle()
        try:
            inside.open(handle, path, flags, seconds=call.seconds)
        except InsideFailed as error:
            raise refused(f"failed to open file '{path}' (mode: '{mode}'): {error.reason}") from error
        call.guest.handles.add(handle)
    return handle


def _close(call: Call, arguments: Arguments) -> Json:
    handle = arguments.integer("handle")
    call.guest.require_handle(handle)
    with call.guest.inside(seconds=call.seconds) as inside:
        call.guest.require_handle(handle)
        call.guest.handles.discard(handle)
        inside.close_file(handle, seconds=call.seconds)
    return {}


def _read(call: Call, arguments: Arguments) -> Json:
    handle, count = arguments.integer("handle"), arguments.integer("count", _DEFAULT_COUNT)
    call.guest.require_handle(handle)
    if not 0 <= count <= _MOST_COUNT:
        raise refused(f"value '{count}' is invalid for argument count")
    wanted = min(count, READ_BYTES)
    with call.guest.inside(seconds=call.seconds) as inside:
        call.guest.require_handle(handle)
        data = inside.read(handle, wanted, seconds=call.seconds)
    return {"count": len(data), "buf-b64": base64.b64encode(data).decode(), "eof": len(data) < wanted}


def _write(call: Call, arguments: Arguments) -> Json:
    handle, data = arguments.integer("handle"), arguments.data("buf-b64")
    if not arguments.has("buf-b64"):
        raise refused("Parameter 'buf-b64' is missing")
    call.guest.require_handle(handle)
    count = arguments.integer("count", len(data))
    if not 0 <= count <= len(data):
        raise refused(f"value '{count}' is invalid for argument count")
    with call.guest.inside(seconds=call.seconds) as inside:
        call.guest.require_handle(handle)
        written = inside.write(handle, data[:count], seconds=call.seconds)
    return {"count": written, "eof": False}


def _seek(call: Call, arguments: Arguments) -> Json:
    handle, offset = arguments.integer("handle"), arguments.integer("offset")
    whence = _whence(arguments)
    call.guest.require_handle(handle)
    with call.guest.inside(seconds=call.seconds) as inside:
        call.guest.require_handle(handle)
        position = inside.seek(handle, offset, whence, seconds=call.seconds)
    return {"position": position, "eof": False}


def _whence(arguments: Arguments) -> int:
    """A name, or for old clients a number."""
    whence = arguments.raw("whence")
    if isinstance(whence, str) and whence in _WHENCE:
        return _WHENCE[whence]
    if type(whence) is int and whence in _WHENCE.values():
        return whence
    raise refused(f"invalid whence value {str(whence)[:_LONGEST_MODE]!r}")


def _flush(call: Call, arguments: Arguments) -> Json:
    """Nothing is kept back here: what was written is the container's kernel's already."""
    call.guest.require_handle(arguments.integer("handle"))
    return {}


COMMANDS: Final[Commands] = {
    "guest-file-open": Command(run=_open, arguments=("path", "mode")),
    "guest-file-close": Command(run=_close, arguments=("handle",)),
    "guest-file-read": Command(run=_read, arguments=("handle", "count")),
    "guest-file-write": Command(run=_write, arguments=("handle", "buf-b64", "count")),
    "guest-file-seek": Command(run=_seek, arguments=("handle", "offset", "whence")),
    "guest-file-flush": Command(run=_flush, arguments=("handle",)),
}
