# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Mutual TLS: both sides have a certificate of one CA, and nobody without one gets a word in."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from covirt.rpc.errors import BadTls


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: our key, our certificate, and the CA's that signs peers."""

    key: Path
    certificate: Path
    ca: Path

    @classmethod
    def in_directory(cls, pki: Path) -> "TlsFiles":
        """Under the names that Vdsm's clients know."""
        return cls(key=pki / "keys/vdsmkey.pem", certificate=pki / "certs/vdsmcert.pem", ca=pki / "certs/cacert.pem")


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 or later; a client must show a certificate of the CA. Raises BadTls.

    load_identity() gives a running server a new certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _prepared(context, files)


def client_context(files: TlsFiles, *, check_host_name: bool = True) -> ssl.SSLContext:
    """TLS 1.2 or later, with our certificate. Raises BadTls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_host_name
    return _prepared(context, files)


def load_identity(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Use the key and certificate that are there now, for connections from here on. Raises BadTls."""
    try:
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:  # ssl.SSLError is one
        raise BadTls(path=f"{files.certificate} with {files.key}", reason=error.strerror or error) from error


def _prepared(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_identity(context, files)
    try:
        context.load_verify_locations(cafile=files.ca)
    except OSError as error:
        raise BadTls(path=files.ca, reason=error.strerror or error) from error
    return context
