# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's keys on disk: the authority that everybody trusts, and what the server shows.

``authority.pem``, ``server.pem`` and ``client.pem`` are secrets; ``ca.pem`` is for clients.
"""

import datetime
import logging
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from covirt.common.files import make_directory, write_atomic
from covirt.engine.pki.certificates import (
    KeyedCertificate,
    certified,
    new_authority,
    new_client,
    new_server,
    read_keyed,
)
from covirt.engine.pki.errors import UnfitRequest

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
        self._client = self._open_client()
        self._context: ssl.SSLContext | None = None
        self._client_context: ssl.SSLContext | None = None

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
        # Hosts show theirs when it is to be renewed; nobody else has one of this authority.
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.authority_pem.decode())
        self._context = context
        return context

    def client_context(self) -> ssl.SSLContext:
        """For connections to hosts, which must show a certificate of ours for the address they are reached at;
        renew() gives it a new certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._client_file)
        context.load_verify_locations(cadata=self.authority_pem.decode())
        self._client_context = context
        return context

    def certify(self, request_pem: bytes, *, names: Sequence[str], identity: str) -> bytes:
        """A host's certificate (PEM), for these names and addresses. Raises UnfitRequest."""
        try:
            request = x509.load_pem_x509_csr(request_pem)
            signed = certified(self._authority, request, names=names, identity=identity)
        except ValueError as error:
            raise UnfitRequest(reason=error) from error
        return signed.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """Of the authority's certificate: its SHA-256 in hexadecimal digits."""
        return self._authority.certificate.fingerprint(hashes.SHA256()).hex()

    def renew_when_due(self) -> bool:
        """Whether there is a new server certificate."""
        with self._lock:
            if self._client.is_due(_now()):
                self._client = self._new_client()
                if self._client_context is not None:
                    self._client_context.load_cert_chain(self._client_file)
            if not self._server.is_due(_now()):
                return False
            self._server = self._new_server()
            if self._context is not None:
                self._context.load_cert_chain(self._server_file)
            return True

    @property
    def _server_file(self) -> Path:
        return self._directory / "server.pem"

    @property
    def _client_file(self) -> Path:
        return self._directory / "client.pem"

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

    def _open_client(self) -> KeyedCertificate:
        try:
            client = read_keyed(self._client_file)
        except FileNotFoundError:
            return self._new_client()
        if client.is_due(_now()) or not client.is_signed_by(self._authority):
            return self._new_client()
        return client

    def _new_client(self) -> KeyedCertificate:
        client = new_client(self._authority, f"covirt engine {self._names[0]}")
        client.write(self._client_file)
        log.info("The engine has a new certificate to show hosts")
        return client

    def _new_server(self) -> KeyedCertificate:
        server = new_server(self._authority, self._names)
        server.write(self._server_file)
        log.info("The server has a new certificate names=%s", ",".join(self._names))
        return server


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _ssh(keyed: KeyedCertificate) -> bytes:
    return keyed.public_key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH) + b"\n"
