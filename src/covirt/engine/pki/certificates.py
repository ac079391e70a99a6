# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates: those that sign, and those that a server shows."""

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from covirt.common.files import write_atomic
from covirt.engine.pki.errors import BrokenKeys, UnfitRequest

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

# Clocks of clients differ; a certificate must not begin in their future.
_BEGINS_BEFORE: Final = datetime.timedelta(days=1)
_AUTHORITY_LIFETIME: Final = datetime.timedelta(days=3650)
# What browsers and Apple's clients take at most.
_SERVER_LIFETIME: Final = datetime.timedelta(days=397)
_LEAST_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedCertificate:
    """A certificate and the key that belongs to it: one file, so that they are replaced together."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.key.public_key()

    @property
    def names(self) -> frozenset[str]:
        """What the certificate says its owner is called, addresses among them."""
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return frozenset()
        addresses = map(str, found.get_values_for_type(x509.IPAddress))
        return frozenset((*found.get_values_for_type(x509.DNSName), *addresses))

    def is_due(self, now: datetime.datetime) -> bool:
        """Whether the last third of its life has begun."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return now >= begin + (end - begin) * 2 / 3

    def is_signed_by(self, authority: "KeyedCertificate") -> bool:
        try:
            self.certificate.verify_directly_issued_by(authority.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def write(self, path: Path) -> None:
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_atomic(path, key + self.certificate_pem, mode=0o600)


def read_keyed(path: Path) -> KeyedCertificate:
    """What write() wrote. Raises FileNotFoundError, BrokenKeys."""
    data = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
    except (ValueError, TypeError) as error:
        raise BrokenKeys(path=path, reason=error) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise BrokenKeys(path=path, reason="its key is another one's")
    return KeyedCertificate(key=key, certificate=certificate)


def new_authority(name: str) -> KeyedCertificate:
    """One that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key.public_key(), _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return KeyedCertificate(key=key, certificate=builder.sign(key, hashes.SHA256()))


def new_server(authority: KeyedCertificate, names: Iterable[str]) -> KeyedCertificate:
    """For a server with these names and addresses, the first of which is its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    wanted = list(dict.fromkeys(names))
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in wanted])
    leaf = _leaf(authority, key.public_key(), wanted[0], (ExtendedKeyUsageOID.SERVER_AUTH,))
    builder = leaf.add_extension(alternatives, critical=False)
    return KeyedCertificate(key=key, certificate=builder.sign(authority.key, hashes.SHA256()))


def new_client(authority: KeyedCertificate, name: str) -> KeyedCertificate:
    """For the engine as a client of its hosts."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _leaf(authority, key.public_key(), name, (ExtendedKeyUsageOID.CLIENT_AUTH,))
    return KeyedCertificate(key=key, certificate=builder.sign(authority.key, hashes.SHA256()))


def certified(
    authority: KeyedCertificate, request: x509.CertificateSigningRequest, *, names: Iterable[str], identity: str
) -> x509.Certificate:
    """For a host, with these names and addresses and no others, whatever the request says. ``identity`` (a URI) is
    what the engine knows it by when it comes again. Raises UnfitRequest."""
    key = _fit_key(request)
    wanted = list(dict.fromkeys(names))
    alternatives = [*map(_general_name, wanted), x509.UniformResourceIdentifier(identity)]
    builder = _leaf(
        authority, key, wanted[0], (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    ).add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def _fit_key(request: x509.CertificateSigningRequest) -> PublicKey:
    if not request.is_signature_valid:
        raise UnfitRequest(reason="it is not signed with its own key")
    key = request.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise UnfitRequest(reason=f"its RSA key has less than {_LEAST_RSA_BITS} bits")
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1)):
        return key
    raise UnfitRequest(reason="its key is neither RSA nor of the curves P-256 and P-384")


def _leaf(
    authority: KeyedCertificate, key: PublicKey, name: str, usages: Iterable[x509.ObjectIdentifier]
) -> x509.CertificateBuilder:
    return (
        _builder(_subject(name), authority.certificate.subject, key, _SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key), critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEGINS_BEFORE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    longest = 64  # a common name's, RFC 5280; names that count are the alternative ones
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "covirt"),
            x509.NameAttribute(NameOID.COMMON_NAME, name[:longest]),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
