# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A client of the imageio daemon, as uploads and downloads use it: HTTP over TLS (its docs/images.md)."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from covirt.rpc.tls import TlsFiles

_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority with one host's key, which only root may read."""

    files: TlsFiles
    context: ssl.SSLContext


def new_authority(directory: Path) -> Authority:
    authority = trustme.CA()
    host = authority.issue_cert("localhost")
    files = TlsFiles(key=directory / "key.pem", certificate=directory / "cert.pem", ca=directory / "ca.pem")
    for path, blob in (
        (files.key, host.private_key_pem),
        (files.certificate, host.cert_chain_pems[0]),
        (files.ca, authority.cert_pem),
    ):
        blob.write_to_path(path)
        path.chmod(0o600)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Authority(files=files, context=context)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageClient:
    """Reads and writes one ticket's disk."""

    port: int
    context: ssl.SSLContext
    ticket_id: str

    def upload(self, data: bytes, *, offset: int = 0) -> int:
        """Gives the status."""
        headers = {"Content-Range": f"bytes {offset}-{offset + len(data) - 1}/*"}
        with self._connection() as connection:
            connection.request("PUT", f"/images/{self.ticket_id}", body=data, headers=headers)
            return _status(connection)

    def download(self, length: int, *, offset: int = 0) -> tuple[int, bytes]:
        with self._connection() as connection:
            headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
            connection.request("GET", f"/images/{self.ticket_id}", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPSConnection]:
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=_SECONDS, context=self.context)
        try:
            yield connection
        finally:
            connection.close()


def _status(connection: http.client.HTTPSConnection) -> int:
    answer = connection.getresponse()
    answer.read()
    return answer.status
