# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's API as JSON over verified TLS."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx2

from covirt.client.errors import BadLogin, EngineSilent, refusal
from covirt.common.process import Secret

API: Final = "/ovirt-engine/api"
_SINGLE_SIGN_ON: Final = "/ovirt-engine/sso/oauth/token"
_LOGOUT: Final = "/ovirt-engine/services/sso-logout"
_HEALTH: Final = "/ovirt-engine/services/health"
_SCOPE: Final = "ovirt-app-api"
_SECONDS: Final = 60.0  # longer than the engine waits for the end of an operation
_CONNECT_SECONDS: Final = 10.0
_JSON: Final = "application/json"
_LONGEST_TOLD: Final = 2000


class EngineApi:
    """The engine at ``url`` (without a path), logged in or not; ``ca_file`` None: by the system's authorities. Each
    method raises EngineSilent and EngineRefused. Inside ``with`` its requests share a connection."""

    def __init__(self, url: str, ca_file: Path | None, *, token: str = "", correlation_id: str = "") -> None:
        """``correlation_id``: of all that is asked; events and jobs that come of it have it, too."""
        self.url = url
        self.correlation_id = correlation_id
        self.ca_file = ca_file
        self.token = Secret(token)
        self._filtered = False  # see _ask()
        self._shared: httpx2.Client | None = None

    def __enter__(self) -> Self:
        self._shared = self._client()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def healthy(self) -> bool:
        """Whether it serves, and reaches its database."""
        try:
            return self._request("GET", _HEALTH)[0] == 200
        except EngineSilent:
            return False

    def log_in(self, user: str, password: str) -> Self:
        """Raises BadLogin too."""
        form = {"grant_type": "password", "scope": _SCOPE, "username": user, "password": password}
        status, answer = self._request("POST", _SINGLE_SIGN_ON, form=form)
        if status != 200 or "access_token" not in answer:
            reason = answer.get("error_description") or answer.get("error") or status
            raise BadLogin(what=f"let {user} in", reason=reason)
        self.token = Secret(answer["access_token"])
        return self

    def log_out(self) -> None:
        """The token is worth nothing from now on."""
        self._request("POST", _LOGOUT, form={"scope": _SCOPE, "token": str.__str__(self.token)})

    def get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path)

    def post(self, path: str, body: Mapping[str, object], *, seconds: float = _SECONDS) -> dict[str, Any]:
        return self._ask("POST", path, body, seconds=seconds)

    def put(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        return self._ask("PUT", path, body)

    def delete(self, path: str) -> dict[str, Any]:
        return self._ask("DELETE", path)

    def find(self, collection: str, noun: str, name: str) -> dict[str, Any] | None:
        """The object of this name."""
        listed = self.get(f"{collection}?search={quote(f'name={name}')}").get(noun, [])
        return next((each for each in listed if each["name"] == name), None)

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, seconds: float = _SECONDS
    ) -> dict[str, Any]:
        """``path``: below the API's root, or one of covirt's own with a slash."""
        where = path if path.startswith("/") else f"{API}/{path}"
        status, answer = self._request(method, where, body=body, seconds=seconds)
        if status == 403 and method == "GET" and not self._filtered:
            # Who administers nothing has to say that he wants no more than what he may see.
            self._filtered = True
            status, answer = self._request(method, where, body=body, seconds=seconds)
        if status >= 400:
            raise refusal(status, f"{method} {where.partition('?')[0]}", _reason(status, answer))
        return answer

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Correlation-Id": self.correlation_id} if self.correlation_id else {}
        if self._filtered:
            headers["Filter"] = "true"
        if form is None and self.token:
            headers["Authorization"] = f"Bearer {str.__str__(self.token)}"
        timeout = httpx2.Timeout(seconds, connect=_CONNECT_SECONDS)
        try:
            with self._used() as client:
                response = client.request(method, path, json=body, data=form, headers=headers, timeout=timeout)
                return response.status_code, _object(response)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise EngineSilent(url=self.url, reason=str(error) or type(error).__name__) from error

    @contextmanager
    def _used(self) -> Iterator[httpx2.Client]:
        if self._shared is not None:
            yield self._shared
            return
        with self._client() as client:
            yield client

    def _client(self) -> httpx2.Client:
        """No proxy of the environment: what goes to an engine stays between us."""
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except OSError as error:
            raise EngineSilent(url=self.url, reason=f"its authority {self.ca_file}: {error.strerror}") from error
        return httpx2.Client(base_url=self.url, verify=context, headers={"Accept": _JSON}, trust_env=False)


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reason(status: int, answer: Mapping[str, Any]) -> str:
    """Of a fault, also of one inside a failed action. Details stand in brackets, as with oVirt."""
    fault = answer.get("fault", answer)
    words = fault if isinstance(fault, Mapping) else {}
    text = str(words.get("detail") or words.get("reason") or f"status {status}")
    return text.removeprefix("[").removesuffix("]")[:_LONGEST_TOLD]
