# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How clients get the certificate to trust, before they trust anything."""

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from covirt.engine.pki.pki import Pki

_CERTIFICATE_TYPES: Final = {"X509-PEM": "application/x-x509-cert", "X509-PEM-CA": "application/x-x509-ca-cert"}
_SSH: Final = "OPENSSH-PUBKEY"


def pki_route(pki: Pki) -> Route:
    def endpoint(request: Request) -> Response:
        resource = request.query_params.get("resource")
        if resource is None:
            return PlainTextResponse("Missing resource name", status_code=400)
        if resource not in ("ca-certificate", "engine-certificate"):
            return PlainTextResponse("There is no such resource", status_code=400)
        of_authority = resource == "ca-certificate"
        kind = request.query_params.get("format", "X509-PEM-CA" if of_authority else "X509-PEM")
        if kind == _SSH:
            return Response(pki.authority_ssh if of_authority else pki.server_ssh, media_type="text/plain")
        if kind not in _CERTIFICATE_TYPES:
            return PlainTextResponse("There is no such format", status_code=400)
        pem = pki.authority_pem if of_authority else pki.server_pem
        return Response(pem, media_type=_CERTIFICATE_TYPES[kind])

    return Route("/ovirt-engine/services/pki-resource", endpoint, methods=("GET",))
