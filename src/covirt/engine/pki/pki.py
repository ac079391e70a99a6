# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's keys on disk: the authority that everybody trusts, and what the server shows.

``authority.pem`` and ``server.pem`` are secrets; ``ca.pem`` is for clients.
"""

import datetime
import logging
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from covirt.common.files import make_directory, write_atomic
from covirt.engine.pki.certificates import KeyedCertificate, new_authority, new_server, read_keyed

log = logging.getLogger(__name__)


class Pki:
    """Opened once; threads may share it. ``names`` are those the server is to be reached by."""

    def __init__(self, directory: Path, *, names: Sequence[str]) -> None:
        self._directory = directory
        self._names = tuple(names)
        self._lock = threading.Lock()
        make_directory(directory.parent)
        make_directory(directory, mode=0o700)
        self._authority = self._open_authority()
        write_atomic(directory / "ca.pem", self.authority_pem, mode=0o644)
        self._server = self._open_server()
        self._context: ssl.SSLContext | None = None

    @property
    def authority_pem(self) -> bytes:
        return self._authority.certificate_pem

    @property
    def server_pem(self) -> bytes:
        return self._server.certificate_pem

    @property
    def authority_ssh(self) -> bytes:
        """The public key as ssh writes them."""
        return _ssh(self._authority)

    @property
    def server_ssh(self) -> bytes:
        return _ssh(self._server)

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.2 or later; renew() gives it a new certificate, for connections from then on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.load_cert_chain(self._server_file)
        self._context = context
        return context

    def renew_when_due(self) -> bool:
        """Whether there is a new server certificate."""
        with self._lock:
            if not self._server.is_due(_now()):
                return False
            self._server = self._new_server()
            if self._context is not None:
                self._context.load_cert_chain(self._server_file)
            return True

    @property
    def _server_file(self) -> Path:
        return self._directory / "server.pem"

    def _open_authority(self) -> KeyedCertificate:
        path = self._directory / "authority.pem"
        try:
            return read_keyed(path)
        except FileNotFoundError:
            authority = new_authority(f"covirt engine {self._names[0]}")
            authority.write(path)
            log.info("The engine's certificate authority was made path=%s", path)
            return authority

    def _open_server(self) -> KeyedCertificate:
        try:
            server = read_keyed(self._server_file)
        except FileNotFoundError:
            return self._new_server()
        known = set(self._names) <= server.names
        if not known or server.is_due(_now()) or not server.is_signed_by(self._authority):
            return self._new_server()
        return server

    def _new_server(self) -> KeyedCertificate:
        server = new_server(self._authority, self._names)
        server.write(self._server_file)
        log.info("The server has a new certificate names=%s", ",".join(self._names))
        return server


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _ssh(keyed: KeyedCertificate) -> bytes:
    return keyed.public_key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH) + b"\n"
