# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A real container registry (Debian's docker-registry) on loopback: plain HTTP, or TLS with a password."""

import base64
import ctypes
import json
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.common.process import Secret, run, spawn
from tests.support.waiting import free_port, port_answers, wait_until

_USER: Final = "tester"
_PASSWORD: Final = "correct horse"  # noqa: S105  # of a registry that lives for one test module
_START_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A running registry. ``cert_dir`` (with ca.crt), ``user`` and ``password`` are set on the secure one only."""

    host: str  # host:port
    directory: Path
    cert_dir: Path | None = None
    user: str | None = None
    password: str | None = None

    def reference(self, name: str) -> str:
        """``busybox:1`` -> what an import takes."""
        return f"docker://{self.host}/{name}"

    def push(self, layout: Path, tag: str, name: str) -> str:
        """Copy one image of an OCI layout into the registry as ``name``; returns its reference."""
        argv = ["skopeo", "--insecure-policy", "copy", "--quiet"]
        if self.cert_dir is None:
            argv.append("--dest-tls-verify=false")
        else:
            argv += ["--dest-cert-dir", str(self.cert_dir), "--dest-creds", Secret(f"{self.user}:{self.password}")]
        argv += [f"oci:{layout}:{tag}", self.reference(name)]
        run(argv, timeout_seconds=60)
        return self.reference(name)

    def write_authfile(self, path: Path, *, password: str | None = None) -> Path:
        """Write credentials as skopeo's --authfile wants them; ``password`` to write a wrong one."""
        auth = base64.b64encode(f"{_USER}:{password or _PASSWORD}".encode()).decode()
        path.write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))
        path.chmod(0o600)
        return path


@contextmanager
def serve_registry(directory: Path, *, secure: bool = False) -> Iterator[Registry]:
    """Run a registry with its data in ``directory``."""
    port = free_port()
    config = _configuration(directory, port)
    registry = Registry(host=f"127.0.0.1:{port}", directory=directory)
    if secure:
        _make_certificates(directory)
        (directory / "htpasswd").write_text(f"{_USER}:{_bcrypt(_PASSWORD)}\n")
        config["http"]["tls"] = {"certificate": f"{directory}/server.crt", "key": f"{directory}/server.key"}
        config["auth"] = {"htpasswd": {"realm": "test", "path": f"{directory}/htpasswd"}}
        registry = Registry(
            host=registry.host, directory=directory, cert_dir=directory / "certs", user=_USER, password=_PASSWORD
        )
    file, log = directory / "config.yml", directory / "registry.log"
    file.write_text(json.dumps(config))  # JSON is YAML
    with log.open("wb") as stream, spawn(["docker-registry", "serve", file], stdout=stream, stderr=stream) as child:
        wait_until(
            lambda: port_answers(port) or child.poll() is not None,
            timeout_seconds=_START_SECONDS,
            what=f"docker-registry on port {port}",
        )
        assert child.poll() is None, log.read_text()
        yield registry


def _configuration(directory: Path, port: int) -> dict[str, Any]:
    return {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": f"{directory}/data"}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": secrets.token_hex(8)},
    }


def _make_certificates(directory: Path) -> None:
    """An authority of our own, and the registry's certificate signed by it."""
    (directory / "certs").mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    ca = ["-keyout", f"{directory}/ca.key", "-out", f"{directory}/certs/ca.crt"]
    run(["openssl", "req", "-x509", *key, *ca, "-subj", "/CN=test authority"], timeout_seconds=30)
    server = ["-keyout", f"{directory}/server.key", "-out", f"{directory}/server.crt", "-subj", "/CN=127.0.0.1"]
    signer = ["-CA", f"{directory}/certs/ca.crt", "-CAkey", f"{directory}/ca.key"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    run(["openssl", "req", "-x509", *key, *server, *signer, *names], timeout_seconds=30)


def _bcrypt(password: str) -> str:
    """The only hash that the registry accepts; libcrypt is on every Debian, Python's crypt module is not."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = "".join(secrets.choice(string.ascii_letters) for _ in range(21)) + "."
    hashed: bytes = library.crypt(password.encode(), f"$2b$05${salt}".encode())
    return hashed.decode()
