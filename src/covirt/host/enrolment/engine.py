# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's side of enrolment as a host sees it: three requests over HTTPS (docs/enrolment.md)."""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from covirt.common.process import Secret
from covirt.host.enrolment.errors import BadEngineUrl, EngineUnreachable, TokenRefused, WrongAuthority
from covirt.host.enrolment.identity import Authority
from covirt.rpc.tls import TlsFiles, client_context

_VERSION: Final = 1
_SECONDS: Final = 30.0
_LONGEST_ANSWER: Final = 1 << 18
_AUTHORITY: Final = "/covirt/enrolment/authority"
_ENROLMENT: Final = "/covirt/enrolment"
_RENEWAL: Final = "/covirt/enrolment/renewal"


class Engine:
    """At ``url``, https only. Everything raises EngineUnreachable."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError as error:
            raise BadEngineUrl(url=url) from error
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise BadEngineUrl(url=url)
        self.url = url
        self._host, self._port, self._path = parts.hostname, port, parts.path.rstrip("/")

    def authority(self, expected_fingerprint: str) -> bytes:
        """The engine's certificate authority. Who answers is not known yet, so the fingerprint decides, and nothing
        is sent. Raises WrongAuthority."""
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        nobody.check_hostname = False
        nobody.verify_mode = ssl.CERT_NONE
        status, body = self._exchange(nobody, "GET", _AUTHORITY)
        if status != http.client.OK:
            raise EngineUnreachable(url=self.url, reason=f"it has no {_AUTHORITY} (status {status})")
        authority = Authority.first_of(body)
        if authority.fingerprint != expected_fingerprint:
            raise WrongAuthority(url=self.url)
        return authority.pem

    def enrol(self, *, authority_pem: bytes, secret: Secret, name: str, request_pem: bytes) -> bytes:
        """The host's certificate. Raises TokenRefused."""
        context = ssl.create_default_context(cadata=authority_pem.decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        asked = {"version": _VERSION, "name": name, "request": request_pem.decode()}
        return self._certificate(context, _ENROLMENT, asked, {"Authorization": f"Bearer {secret}"})

    def renew(self, *, files: TlsFiles, request_pem: bytes) -> bytes:
        """A new certificate for the host whose present one is shown. Raises TokenRefused, BadTls."""
        asked = {"version": _VERSION, "request": request_pem.decode()}
        return self._certificate(client_context(files), _RENEWAL, asked, {})

    def _certificate(
        self, context: ssl.SSLContext, path: str, asked: Mapping[str, object], headers: Mapping[str, str]
    ) -> bytes:
        status, body = self._exchange(context, "POST", path, json.dumps(asked).encode(), headers)
        answer = self._object(body)
        if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN, http.client.CONFLICT):
            raise TokenRefused(reason=str(answer.get("reason") or f"status {status}")[:500])
        certificate = answer.get("certificate")
        if status != http.client.CREATED or not isinstance(certificate, str):
            raise EngineUnreachable(url=self.url, reason=f"it answered {path} with status {status}")
        return certificate.encode()

    @staticmethod
    def _object(body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def _exchange(
        self,
        context: ssl.SSLContext,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_SECONDS, context=context)
        kinds = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, self._path + path, body, {**kinds, **(headers or {})})
            response = connection.getresponse()
            answer = response.read(_LONGEST_ANSWER + 1)
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise EngineUnreachable(url=self.url, reason=error) from error
        finally:
            connection.close()
        if len(answer) > _LONGEST_ANSWER:
            raise EngineUnreachable(url=self.url, reason="its answer has no end")
        return response.status, answer
