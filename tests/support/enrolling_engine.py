# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that enrols hosts, as docs/enrolment.md has it: a certificate authority behind HTTPS."""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SECRET = "once-and-never-again"  # noqa: S105 - of a test


class EnrollingEngine:
    """``lifetime`` of the certificates that it signs, which may begin in the past."""

    def __init__(self, directory: Path, *, name: str = "An engine's authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.begins, self.ends = datetime.timedelta(minutes=-5), datetime.timedelta(days=398)
        self.certificate = self._sign(self.name, self.key.public_key(), is_authority=True)
        self.secrets = {SECRET}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.signed = 0
        self.url = ""
        self.told_authority = self.authority_pem  # what it says its authority is
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        self.server_files = directory / "engine.pem"
        self.server_files.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + self._pem(self._sign(subject, own.public_key()))
        )

    @property
    def authority_pem(self) -> bytes:
        return self._pem(self.certificate)

    @property
    def token(self) -> str:
        return f"{SECRET}.{self.certificate.fingerprint(hashes.SHA256()).hex()}"

    def answer(self, path: str, headers: dict[str, str], body: dict[str, Any], *, has_certificate: bool) -> Any:
        """Status and object."""
        self.asked.append((path, body))
        if path == "/covirt/enrolment":
            secret = headers.get("Authorization", "").removeprefix("Bearer ")
            if secret not in self.secrets:
                return 403, {"reason": "the token was used already"}
            self.secrets.discard(secret)
        elif path != "/covirt/enrolment/renewal":
            return 404, {}
        elif not has_certificate:
            return 401, {"reason": "show the host's certificate"}
        request = x509.load_pem_x509_csr(body["request"].encode())
        assert request.is_signature_valid
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        self.signed += 1
        return 201, {"version": 1, "certificate": self._pem(self._sign(request.subject, key)).decode()}

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + self.begins)
            .not_valid_after(now + self.ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    @staticmethod
    def _pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)


@contextmanager
def serve_enrolling_engine(directory: Path) -> Iterator[EnrollingEngine]:
    engine = EnrollingEngine(directory)
    authority = directory / "authority.pem"
    authority.write_bytes(engine.authority_pem)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            engine.asked.append((self.path, {}))
            self._send(200, engine.told_authority)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            shown = self.connection.getpeercert()
            status, answer = engine.answer(self.path, dict(self.headers), body, has_certificate=bool(shown))
            self._send(status, json.dumps(answer).encode())

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
            """A test says what it wants itself."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(engine.server_files)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="enrolling-engine")
    thread.start()
    engine.url = f"https://localhost:{server.server_address[1]}"
    try:
        yield engine
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
