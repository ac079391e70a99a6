# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates as hosts and engines have them, of a certificate authority made for one test."""

from pathlib import Path

import trustme

from covirt.common.files import make_directory
from covirt.rpc.tls import TlsFiles


class TestAuthority:
    """One CA. ``issue()`` writes what a host or an engine needs under the names that Vdsm's clients know."""

    __test__ = False

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name="covirt tests")

    def issue(self, directory: Path, *names: str) -> TlsFiles:
        """For a peer with these names and addresses; ``127.0.0.1`` and ``localhost`` without any."""
        identities = names or ("127.0.0.1", "::1", "localhost")
        issued = self._ca.issue_cert(*identities, common_name=identities[-1])
        files = TlsFiles.in_directory(directory)
        for path in (files.key, files.certificate, files.ca):
            make_directory(path.parent, mode=0o755)
        issued.private_key_pem.write_to_path(files.key)
        files.key.chmod(0o600)
        files.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self._ca.cert_pem.write_to_path(files.ca)
        return files
