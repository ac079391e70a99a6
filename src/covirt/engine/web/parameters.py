# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters as oVirt's services take them: in the query, or in the body as a form."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from covirt.common.errors import InvalidRequest

_LONGEST_BODY: Final = 64 * 1024
_MOST_FIELDS: Final = 64
_FORM: Final = "application/x-www-form-urlencoded"


class BadForm(InvalidRequest):
    template = "Invalid request: {reason}"


async def read_parameters(request: Request) -> Mapping[str, str]:
    """All of them; the body's win. Raises BadForm."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            raise BadForm(reason="the body is too long")
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if body and kind != _FORM:
        raise BadForm(reason=f"the body is not {_FORM}")
    try:
        text = body.decode()
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise BadForm(reason="the body is no form") from error
    return dict(request.query_params) | dict(fields)


def client_address(request: Request) -> str:
    """Of the other end of the connection."""
    return request.client.host if request.client else "unknown"
