# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of hosts, and the engine's own that it shows them: the two sides of mutual TLS know each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from covirt.engine.pki.errors import UnfitRequest
from covirt.engine.pki.pki import Pki
from covirt.rpc.client import ClientSettings, RpcClient
from covirt.rpc.errors import PeerUnreachable
from covirt.rpc.tls import TlsFiles, server_context
from tests.support.simulated_hosts import serve_simulated_host

IDENTITY = "urn:uuid:6a1ba1c2-5bb4-4c83-9f3e-0d8a4b0f1a77"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "pki", names=("engine.example.com",))


def request_of(key: Key, name: str = "evil.example.com") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


@contextmanager
def connecting(pki: Pki, directory: Path, *names: str) -> Iterator[RpcClient]:
    """The engine, connecting to 127.0.0.1, where a host has a certificate for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    files = TlsFiles(key=directory / "key", certificate=directory / "certificate", ca=directory / "pki/ca.pem")
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    files.certificate.write_bytes(pki.certify(request_of(key), names=names, identity=IDENTITY))
    with serve_simulated_host(tls=server_context(files)) as host:
        settings = ClientSettings(first_retry_seconds=0.05, last_retry_seconds=0.1)
        client = RpcClient("127.0.0.1", host.port, tls=pki.client_context(), settings=settings)
        client.start()
        try:
            yield client
        finally:
            client.stop()


def test_a_host_has_the_names_that_the_engine_gives_it(pki: Pki) -> None:
    """And none that it asks for."""
    request = request_of(ec.generate_private_key(ec.SECP256R1()))
    pem = pki.certify(request, names=("oven.example.com", "192.0.2.7"), identity=IDENTITY)
    certificate = x509.load_pem_x509_certificate(pem)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.authority_pem))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["oven.example.com"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["192.0.2.7"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [IDENTITY]
    assert "evil" not in certificate.subject.rfc4514_string()
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()],  # noqa: S505 - it is refused
    ids=["short", "of another kind"],
)
def test_keys_that_are_not_certified(pki: Pki, key: Key) -> None:
    with pytest.raises(UnfitRequest):
        pki.certify(request_of(key), names=("oven",), identity=IDENTITY)


def test_nonsense_is_not_certified(pki: Pki) -> None:
    with pytest.raises(UnfitRequest):
        pki.certify(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", names=("oven",), identity=IDENTITY)
    request = request_of(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(UnfitRequest):
        pki.certify(request, names=("öfen",), identity=IDENTITY)


def test_the_engine_and_its_host_know_each_other(pki: Pki, tmp_path: Path) -> None:
    with connecting(pki, tmp_path, "127.0.0.1") as client:
        client.wait_connected(10)
        assert client.call("Host.getHardwareInfo")


def test_a_host_of_another_name_is_not_spoken_to(pki: Pki, tmp_path: Path) -> None:
    with connecting(pki, tmp_path, "127.0.0.2", "oven") as client, pytest.raises(PeerUnreachable, match="mismatch"):
        client.wait_connected(1)
