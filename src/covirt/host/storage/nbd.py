# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes served over NBD by qemu-nbd, a program each: how the imageio daemon reads and writes qcow2.

Only unix sockets in a directory of ours; Vdsm's addresses ("nbd:unix:PATH") and options.
"""

import contextlib
import logging
import socket
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from covirt.common.errors import Conflict, Unsupported
from covirt.common.process import Argument
from covirt.host.storage.operation import checked_id
from covirt.host.storage.qemu_img import ImageFormat, Layer
from covirt.host.storage.socket_program import SocketProgram, make_runtime_directory

log = logging.getLogger(__name__)

_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 5.0
_CLIENTS: Final = 8  # as many connections as imageio opens for one transfer
_PREFIX: Final = "nbd:unix:"
_GREETING: Final = b"NBDMAGIC"


class NbdServerExists(Conflict):
    template = "NBD server {id} runs already; stop it first or choose another id"


class BadNbdSettings(Unsupported):
    template = "{reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NbdExport:
    """What to serve, and how. Without ``backing_chain`` only this volume's own data is shown, not what lies below."""

    volume: Layer
    readonly: bool = False
    discard: bool = False
    detect_zeroes: bool = False
    backing_chain: bool = True
    bitmap: str | None = None

    def check(self) -> None:
        """Raises BadNbdSettings, ForeignReference, BrokenImage."""
        self.volume.check()
        if self.bitmap is None:
            return
        if not self.backing_chain:
            raise BadNbdSettings(reason="a bitmap is exported with its whole chain; leave backing_chain on")
        if not self.readonly:
            raise BadNbdSettings(reason="a bitmap is for incremental backup; ask for readonly")
        if self.volume.format is not ImageFormat.QCOW2:
            raise BadNbdSettings(reason="a raw volume holds no bitmaps")


class NbdServers:
    """All servers of this installation, those of an earlier life of the agent too."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._programs: dict[str, SocketProgram] = {}

    def check_free(self, server_id: str) -> None:
        """Raises NbdServerExists."""
        if self.runs(server_id):
            raise NbdServerExists(id=server_id)

    def runs(self, server_id: str) -> bool:
        with self._lock:
            return SocketProgram(self._directory / f"{checked_id(server_id)}.sock").answers()

    def start(self, server_id: str, export: NbdExport) -> str:
        """Serve a volume; gives the address."""
        server_id = checked_id(server_id)
        export.check()
        path = self._directory / f"{server_id}.sock"
        with self._lock:
            make_runtime_directory(self._directory)
            program = self._programs.setdefault(server_id, SocketProgram(path))
            if program.answers():
                raise NbdServerExists(id=server_id)
            try:
                program.start(
                    _command(path, export),
                    log_files=[self._directory / f"{server_id}.log"],
                    timeout_seconds=_START_SECONDS,
                    ready=lambda: _greets(path),
                )
            except BaseException:
                self._forget(server_id)
                raise
        return f"{_PREFIX}{path}"

    def stop(self, server_id: str) -> None:
        """One that does not run is fine."""
        server_id = checked_id(server_id)
        with self._lock:
            program = self._programs.get(server_id) or SocketProgram(self._directory / f"{server_id}.sock")
            program.end(grace_seconds=_STOP_SECONDS)
            self._forget(server_id)

    def stop_all(self) -> None:
        """End every server there is."""
        for server_id in sorted({*self._programs, *(path.stem for path in self._directory.glob("*.sock"))}):
            self.stop(server_id)

    def is_address(self, url: str) -> bool:
        """Whether ``url`` is the address of one of these servers."""
        path = Path(url.removeprefix(_PREFIX))
        return url.startswith(_PREFIX) and path.parent == self._directory and path.suffix == ".sock"

    def _forget(self, server_id: str) -> None:
        self._programs.pop(server_id, None)
        (self._directory / f"{server_id}.log").unlink(missing_ok=True)


def _greets(path: Path) -> bool:
    """qemu-nbd listens before it opens the image, and may yet fail; it greets when it has."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_START_SECONDS)
        connection.connect(str(path))
        return connection.recv(len(_GREETING)) == _GREETING
    return False


def _command(path: Path, export: NbdExport) -> list[Argument]:
    argv: list[Argument] = [
        "qemu-nbd", "--socket", path, "--persistent", f"--shared={_CLIENTS}", "--export-name=",
        "--cache=none", "--aio=native",
    ]  # fmt: skip
    if export.volume.format is not ImageFormat.RAW:
        # So that a reader can tell what is not allocated; in raw images it means nothing, and breaks QEMU 6.2.
        argv.append("--allocation-depth")
    if export.readonly:
        argv.append("--read-only")
    else:
        argv += ["--discard=unmap"] if export.discard else []
        if export.detect_zeroes:
            argv.append(f"--detect-zeroes={'unmap' if export.discard else 'on'}")
    if export.bitmap is not None:
        argv.append(f"--bitmap={export.bitmap}")
    shown = export.volume if export.backing_chain else replace(export.volume, below=None)
    argv.append(shown.filename)
    return argv
