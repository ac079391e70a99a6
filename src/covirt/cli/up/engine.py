# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the set-up asks of the engine: JSON over verified TLS, by the standard library alone."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

from covirt.cli.up.errors import EngineRefused, EngineSilent
from covirt.common.process import Secret

API: Final = "/ovirt-engine/api"
_SINGLE_SIGN_ON: Final = "/ovirt-engine/sso/oauth/token"
_HEALTH: Final = "/ovirt-engine/services/health"
_SECONDS: Final = 60.0
_JSON: Final = "application/json"


class BadLogin(EngineRefused):
    """The password is another one by now."""


class EngineApi:
    """The engine at ``url`` (without a path), logged in or not. Each method raises EngineSilent and EngineRefused."""

    def __init__(self, url: str, ca_file: Path) -> None:
        self._url = url
        self._ca_file = ca_file
        self._token = Secret("")

    def healthy(self) -> bool:
        """Whether it serves, and reaches its database."""
        try:
            return self._request("GET", _HEALTH)[0] == 200
        except EngineSilent:
            return False

    def log_in(self, user: str, password: str) -> Self:
        """Raises BadLogin too."""
        form = {"grant_type": "password", "scope": "ovirt-app-api", "username": user, "password": password}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self._request("POST", _SINGLE_SIGN_ON, urlencode(form).encode(), headers)
        if status != 200 or "access_token" not in answer:
            reason = answer.get("error_description") or answer.get("error") or status
            raise BadLogin(what=f"let {user} in", reason=reason)
        self._token = Secret(answer["access_token"])
        return self

    def get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path)

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        return self._ask("POST", path, body)

    def put(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        return self._ask("PUT", path, body)

    def delete(self, path: str) -> dict[str, Any]:
        return self._ask("DELETE", path)

    def find(self, collection: str, noun: str, name: str) -> dict[str, Any] | None:
        """The object of this name."""
        listed = self.get(f"{collection}?search={quote(f'name={name}')}").get(noun, [])
        return next((each for each in listed if each["name"] == name), None)

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """``path``: below the API's root, or one of covirt's own with a slash."""
        where = path if path.startswith("/") else f"{API}/{path}"
        headers = {"Authorization": f"Bearer {str.__str__(self._token)}", "Content-Type": _JSON}
        data = None if body is None else json.dumps(body).encode()
        status, answer = self._request(method, where, data, headers)
        if status >= 400:
            reason = answer.get("detail") or answer.get("reason") or f"status {status}"
            raise EngineRefused(what=f"{method} {where.partition('?')[0]}", reason=reason)
        return answer

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(self._url)
        try:
            context = ssl.create_default_context(cafile=str(self._ca_file))
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port or 443, timeout=_SECONDS, context=context
            )
            try:
                connection.request(method, path, body, {"Accept": _JSON, **(headers or {})})
                response = connection.getresponse()
                return response.status, _object(response.read())
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise EngineSilent(url=self._url, reason=error) from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
