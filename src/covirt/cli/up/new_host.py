# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What ``covirt host add`` does."""

import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from covirt.cli.session import kept_login
from covirt.cli.up.errors import NoEngineHere, NoPassword, NotReady
from covirt.cli.up.installation import HTTPS_PORT, Choices, Installation
from covirt.cli.up.set_up import FEATURE
from covirt.client.engine import EngineApi
from covirt.common.process import Secret

_PASSWORD: Final = "COVIRT_PASSWORD"  # noqa: S105 - the variable's name
_LOOK_SECONDS: Final = 1.0
_CONTAINERS: Final = (
    "install -d /etc/covirt/host.d; printf '[containers]\\nenabled = true\\n' >/etc/covirt/host.d/50-containers.toml"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHost:
    name: str
    address: str
    cluster: str
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Which one; without a ``url`` that of the root, or of the login that is kept."""

    url: str
    ca_file: str
    user: str
    root: str


def add_host(host: NewHost, engine: Engine, *, wait: bool, as_json: bool) -> None:
    """Raises NoEngineHere, NoPassword, NotReady, EngineRefused, EngineSilent."""
    api, url = _logged_in(engine)
    asked = {"name": host.name, "address": host.address, "cluster": host.cluster, "minutes": host.minutes}
    made = api.post("/covirt/enrolment/tokens", asked)
    commands = _commands(host, url, containers=_has_containers(api, host.cluster))
    if as_json:
        _say(json.dumps({"token": made["token"], "expires": made["expires"], "commands": commands}, indent=1))
    else:
        _tell(host, str(made["token"]), commands)
    if wait:
        _wait(api, host)


def _logged_in(engine: Engine) -> tuple[EngineApi, str]:
    """With the URL by which other machines reach it: the one that was named, this machine's, or that of a login."""
    password = os.environ.get(_PASSWORD, "")
    if engine.url:
        if not password:
            raise NoPassword(user=engine.user, variable=_PASSWORD)
        url = urlunsplit(urlsplit(engine.url)._replace(path="", query="", fragment=""))
        return EngineApi(url, Path(engine.ca_file)).log_in(engine.user, Secret(password)), url
    installation = Installation.at(engine.root)
    if not (_readable(installation.engine_ca_file) and (password or _readable(installation.password_file))):
        login = kept_login()
        if login is None:
            raise NoEngineHere(root=installation.root.path)
        ca_file = Path(login.ca_file) if login.ca_file else None
        return EngineApi(login.url, ca_file, token=login.token), login.url
    choices = installation.effective(installation.choices() or Choices())
    if not password:
        password = installation.password_file.read_text().strip()
    api = EngineApi(installation.engine_url(choices), installation.engine_ca_file)
    port = "" if choices.engine_port == HTTPS_PORT else f":{choices.engine_port}"
    return api.log_in(engine.user, Secret(password)), f"https://{socket.getfqdn()}{port}"


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK)


def _has_containers(api: EngineApi, cluster: str) -> bool:
    found = api.find("clusters", "cluster", cluster)
    if found is None:
        return False
    enabled = api.get(f"clusters/{found['id']}/enabledfeatures").get("cluster_feature", [])
    return any(each["name"] == FEATURE for each in enabled)


def _commands(host: NewHost, url: str, *, containers: bool) -> list[str]:
    enrol = f"covirt-host enrol --engine {url} --name {host.address} --token-file -"
    return [*([_CONTAINERS] if containers else []), enrol, "systemctl enable --now covirt-host"]


def _tell(host: NewHost, token: str, commands: list[str]) -> None:
    _say(f"On {host.name}, as root, within {host.minutes} minutes:\n")
    for command in commands:
        _say(f"  {command}")
    _say(f"\nwhere it asks for this token, which lets one host in once:\n\n  {token}")


def _wait(api: EngineApi, host: NewHost) -> None:
    """Raises NotReady."""
    deadline = time.monotonic() + 60 * host.minutes
    while (found := api.find("hosts", "host", host.name) or {}).get("status") != "up":
        if time.monotonic() > deadline:
            raise NotReady(what=f"the host {host.name}", seconds=60 * host.minutes, hint=_why(found))
        time.sleep(_LOOK_SECONDS)
    _say(f"{host.name} is up")


def _why(found: dict[str, Any]) -> str:
    if not found:
        return "its token was not used"
    return f"the engine has it as {found['status']}: {found.get('status_detail') or 'no reason is known'}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
