# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host's key and certificate: made, judged, and put in their places so that they always fit each other."""

import contextlib
import datetime
import fcntl
import ipaddress
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from covirt.common.files import make_directory, remove_tree, sync_directory, write_atomic
from covirt.common.listening import check_address
from covirt.common.root import Root
from covirt.host.enrolment.errors import BadCertificate, BadHostName, NotEnrolled
from covirt.rpc.tls import TlsFiles

_RENEW_SHARE: Final = 3  # a certificate is renewed in the last third of its life
_NAME_LENGTH: Final = 64  # of a common name, X.520
_COMPLETE: Final = "complete"
_RECORD: Final = "record"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A new key and what asks for a certificate of it; the key leaves the host never."""

    key_pem: bytes
    request_pem: bytes

    @classmethod
    def new(cls, name: str) -> Self:
        """``name``: how engines reach the host, a name or an address. Raises BadHostName."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            request = (
                x509.CertificateSigningRequestBuilder()
                .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_NAME_LENGTH])]))
                .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
                .sign(key, hashes.SHA256())
            )
        except ValueError as error:
            raise BadHostName(name=name) from error
        return cls(
            key_pem=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            request_pem=request.public_bytes(serialization.Encoding.PEM),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One certificate, and its SHA-256 as tokens have it."""

    pem: bytes
    fingerprint: str

    @classmethod
    def first_of(cls, pem: bytes) -> Self:
        """Whatever follows the first certificate is left out: nobody has vouched for it. Raises BadCertificate."""
        certificate = _parsed(pem, "of the authority")
        return cls(
            pem=certificate.public_bytes(serialization.Encoding.PEM),
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        )


def check_certificate(*, key_pem: bytes, certificate_pem: bytes, authority_pem: bytes) -> None:
    """It is for this key, of this authority, and good today. Raises BadCertificate."""
    certificate = _parsed(certificate_pem, "of the host")
    authority = _parsed(authority_pem, "of the authority")
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise BadCertificate(source="of the host", reason=f"its key is unreadable ({error})") from error
    if key.public_key() != certificate.public_key():
        raise BadCertificate(source="of the host", reason="it belongs to another key")
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadCertificate(source="of the host", reason="the authority has not signed it") from error
    now = datetime.datetime.now(datetime.UTC)
    if now >= certificate.not_valid_after_utc:
        raise BadCertificate(source="of the host", reason=f"it was good until {certificate.not_valid_after_utc:%F}")
    if now < certificate.not_valid_before_utc:
        raise BadCertificate(
            source="of the host",
            reason=f"it is good from {certificate.not_valid_before_utc:%F %T} UTC; see that the clock is right",
        )


class Identity:
    """What lies in the PKI directory, and the record of which engine it is from."""

    def __init__(self, root: Root, pki: Path) -> None:
        self.files = TlsFiles.in_directory(pki)
        self.record = root.state_dir / "host/enrolment.json"
        self._pki = pki
        self._next = pki / "next"

    def require(self) -> None:
        """Raises NotEnrolled when there is nothing at all; what is there, TLS judges."""
        if not any(path.exists() for path in self._targets().values()):
            raise NotEnrolled(directory=self._pki)

    def check(self) -> None:
        """Raises NotEnrolled, BadCertificate."""
        try:
            key, certificate, authority = (path.read_bytes() for path in self._targets().values())
        except FileNotFoundError as error:
            raise NotEnrolled(directory=self._pki) from error
        check_certificate(key_pem=key, certificate_pem=certificate, authority_pem=authority)

    def is_due(self) -> bool:
        """Whether it is time for a new certificate. Raises NotEnrolled, BadCertificate."""
        try:
            certificate = _parsed(self.files.certificate.read_bytes(), "of the host")
        except FileNotFoundError as error:
            raise NotEnrolled(directory=self._pki) from error
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return datetime.datetime.now(datetime.UTC) >= end - (end - begin) / _RENEW_SHARE

    def prepare(self) -> None:
        """What cannot be written is found out before a token is spent. Raises OSError."""
        make_directory(self._pki, mode=0o755)
        make_directory(self.record.parent, mode=0o700)
        with self._alone():
            self._finish()
            make_directory(self._next, mode=0o700)
            remove_tree(self._next)

    def install(
        self, *, key_pem: bytes, certificate_pem: bytes, authority_pem: bytes, record: bytes | None = None
    ) -> None:
        """Replace all of them, or with a kill in between none, or the rest by finish(); without ``record`` it stays
        as it is. Raises BadCertificate."""
        check_certificate(key_pem=key_pem, certificate_pem=certificate_pem, authority_pem=authority_pem)
        parts = {"key": key_pem, "certificate": certificate_pem, "authority": authority_pem}
        if record is not None:
            parts[_RECORD] = record
        make_directory(self._pki, mode=0o755)
        with self._alone():
            remove_tree(self._next)
            make_directory(self._next, mode=0o700)
            for name, data in parts.items():
                write_atomic(self._next / name, data, mode=0o600 if name in ("key", _RECORD) else 0o644)
            write_atomic(self._next / _COMPLETE, b"")
            self._finish()

    def finish(self) -> None:
        """What a killed install() left: put it in its places when it was complete, else remove it."""
        if self._next.exists():
            with self._alone():
                self._finish()

    def _finish(self) -> None:
        if (self._next / _COMPLETE).exists():
            record = self._next / _RECORD
            if record.exists():  # perhaps of another file system than where it belongs
                make_directory(self.record.parent, mode=0o700)
                write_atomic(self.record, record.read_bytes())
            for name, target in self._targets().items():
                if (self._next / name).exists():
                    make_directory(target.parent, mode=0o755)
                    os.replace(self._next / name, target)
                    sync_directory(target.parent)
        remove_tree(self._next)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """The agent that renews and an administrator who enrols again take turns."""
        descriptor = os.open(self._pki, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _targets(self) -> dict[str, Path]:
        return {"key": self.files.key, "certificate": self.files.certificate, "authority": self.files.ca}


def _general_name(name: str) -> x509.GeneralName:
    """Raises ValueError."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        check_address(name)
        return x509.DNSName(name)


def _parsed(pem: bytes, source: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise BadCertificate(source=source, reason=f"it is unreadable ({error})") from error
