# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's imageio daemon: started with the first ticket, spoken to over its control socket, never imported (GPL).

It runs as the owner of storage files, not as root, and gets key and certificates in memory files, so that these may
be readable by root only.
"""

import contextlib
import http.client
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from covirt.common.errors import CommandFailed, InvalidRequest, Unavailable
from covirt.common.files import write_atomic
from covirt.common.process import CommandMissing
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.socket_program import (
    ProgramDidNotStart,
    SocketProgram,
    find_program,
    make_runtime_directory,
)
from covirt.rpc.tls import TlsFiles

log = logging.getLogger(__name__)

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
# A removal waits for requests under way; the daemon itself gives up after 60 s and answers "conflict".
_REMOVE_SECONDS: Final = 30
_REQUEST_SECONDS: Final = _REMOVE_SECONDS + 10.0
_ANSWER_LIMIT: Final = 1 << 20
_LOG_BYTES: Final = 1 << 20
_CONFIG_NAME: Final = "50-covirt.conf"


class NoImageDaemon(Unavailable):
    template = "disks cannot be transferred by this host: {reason}; install ovirt-imageio"


class ImageDaemonSilent(Unavailable):
    template = "the imageio daemon does not answer: {reason}; try again"


class ImageDaemonRefused(CommandFailed):
    template = "the imageio daemon refused: status={status}, reason={reason}, error={detail}"


class BadTicketId(InvalidRequest):
    template = "the ticket's uuid {id!r} is not a UUID"


class ImageioControl:
    """Tickets, over the control socket. A ticket's id is the right to its disk: it stands in no log of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, ticket: Mapping[str, Any]) -> None:
        """Raises ImageDaemonSilent and ImageDaemonRefused, as all of these."""
        self._request("PUT", str(ticket["uuid"]), json.dumps(dict(ticket)).encode())

    def get(self, ticket_id: str) -> Mapping[str, Any]:
        answer = self._request("GET", ticket_id)
        try:
            value = json.loads(answer)
        except ValueError as error:
            raise ImageDaemonSilent(reason="its answer is no JSON") from error
        if not isinstance(value, dict):
            raise ImageDaemonSilent(reason="its answer is no object")
        return value

    def extend(self, ticket_id: str, *, timeout_seconds: int) -> None:
        self._request("PATCH", ticket_id, json.dumps({"timeout": timeout_seconds}).encode())

    def remove(self, ticket_id: str) -> None:
        """One that is gone already is fine."""
        self._request("DELETE", ticket_id)

    def _request(self, method: str, ticket_id: str, body: bytes | None = None) -> bytes:
        with contextlib.closing(_UnixConnection(self._path)) as connection:
            try:
                connection.request(method, f"/tickets/{UUID(ticket_id)}", body=body)
                answer = connection.getresponse()
                content = answer.read(_ANSWER_LIMIT)
            except ValueError:
                raise BadTicketId(id=ticket_id) from None
            except (http.client.HTTPException, OSError) as error:
                raise ImageDaemonSilent(reason=error) from error
        if answer.status >= 300:
            detail = content.decode(errors="replace").strip()
            raise ImageDaemonRefused(status=answer.status, reason=answer.reason, detail=detail)
        return content


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_REQUEST_SECONDS)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(os.fspath(self._path))
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class ImageioDaemon:
    """The daemon of this installation: ours, or one that somebody else starts."""

    def __init__(self, *, directory: Path, config: ImagesConfig, tls: TlsFiles | None) -> None:
        self._directory = directory
        self._config = config
        self._tls = tls
        self._lock = threading.Lock()
        self._program = SocketProgram(directory / "sock")

    @property
    def is_ours(self) -> bool:
        return self._config.imageio_socket is None

    def control(self, *, start: bool) -> ImageioControl | None:
        """The way to it; ``start`` begins ours where it does not run, else None is told. Raises NoImageDaemon."""
        if self._config.imageio_socket is not None:
            if not self._config.imageio_socket.exists():
                raise NoImageDaemon(reason=f"nothing is at {self._config.imageio_socket}")
            return ImageioControl(self._config.imageio_socket)
        with self._lock:
            if not self._program.answers():
                if not start:
                    return None
                self._start()
        return ImageioControl(self._program.path)

    def is_outdated(self) -> bool:
        """Whether ours runs with a certificate that was renewed since."""
        if not self.is_ours or self._tls is None:
            return False
        try:
            began = (self._directory / "conf.d" / _CONFIG_NAME).stat().st_mtime_ns
            return self._tls.certificate.stat().st_mtime_ns > began
        except FileNotFoundError:
            return False

    def end(self) -> None:
        """End ours. Transfers under way break off."""
        if self.is_ours and self._directory.exists():
            with self._lock:
                self._program.end(grace_seconds=_STOP_SECONDS)

    def _start(self) -> None:
        make_runtime_directory(self._directory)
        settings = self._directory / "conf.d"
        settings.mkdir(mode=0o755, exist_ok=True)
        with self._secrets() as (tls, descriptors):
            text = _configuration(self._directory, self._config.imageio_port, tls)
            write_atomic(settings / _CONFIG_NAME, text.encode(), mode=0o644, durable=False)
            try:
                self._program.start(
                    [find_program(self._config.imageio_program), "--conf-dir", self._directory],
                    log_files=[self._directory / "start.log", self._directory / "imageio.log"],
                    timeout_seconds=_START_SECONDS,
                    pass_descriptors=descriptors,
                )
            except (CommandMissing, ProgramDidNotStart) as error:
                raise NoImageDaemon(reason=error) from error

    @contextlib.contextmanager
    def _secrets(self) -> Iterator[tuple[TlsFiles | None, list[int]]]:
        """Key and certificates as files that only the started program sees."""
        if self._tls is None:
            yield None, []
            return
        descriptors: list[int] = []
        paths: list[Path] = []
        try:
            for source in (self._tls.key, self._tls.certificate, self._tls.ca):
                descriptor = os.memfd_create(source.name, os.MFD_CLOEXEC)
                descriptors.append(descriptor)
                os.write(descriptor, source.read_bytes())
                paths.append(Path(f"/proc/self/fd/{descriptor}"))
            yield TlsFiles(key=paths[0], certificate=paths[1], ca=paths[2]), descriptors
        except FileNotFoundError as error:
            raise NoImageDaemon(reason=f"{error.filename} is missing") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _configuration(directory: Path, port: int, tls: TlsFiles | None) -> str:
    """The daemon's settings, see its ``--show-config``. It drops no privileges because it is started without any."""
    sections: dict[str, dict[str, object]] = {
        "daemon": {"run_dir": directory, "drop_privileges": "false", "systemd_enable": "false"},
        "tls": {"enable": "false"},
        "remote": {"host": "::" if socket.has_dualstack_ipv6() else "0.0.0.0", "port": port},  # noqa: S104
        "local": {"enable": "false"},
        "control": {"transport": "unix", "socket": directory / "sock", "remove_timeout": _REMOVE_SECONDS},
        # At INFO it writes tickets, whose ids are the right to read and write disks.
        "logger_root": {"level": "WARNING"},
        # Whoever reaches the port can make it write lines, and /run is memory.
        "handler_logfile": {
            "args": f'("{directory / "imageio.log"}",)',
            "kwargs": json.dumps({"maxBytes": _LOG_BYTES, "backupCount": 1}),
        },
    }
    if tls is not None:
        sections["tls"] = {
            "enable": "true", "key_file": tls.key, "cert_file": tls.certificate, "ca_file": tls.ca,
        }  # fmt: skip
    lines: list[str] = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"
