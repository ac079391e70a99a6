# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A real covirt-host that a real covirt-engine has enrolled, and both beside each other."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ovirtsdk4 import types

from covirt.common.process import Completed, run
from covirt.common.root import Root
from tests.support.covirt_engine import SECONDS, Answer, CovirtEngine
from tests.support.covirt_host import CovirtHost
from tests.support.roots import new_root
from tests.support.waiting import wait_until

# Before the first table of an engine's test configuration: hosts are soon missed.
WATCHFUL: Final = "[hosts]\npoll_seconds = 1\ngrace_seconds = 2\n"


def ask(engine: CovirtEngine, method: str, path: str, body: object = None, *, token: str = "") -> Answer:
    """JSON to covirt's own endpoints, below /covirt."""
    words = ["-X", method, "-H", f"Authorization: Bearer {token or engine.token()}"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "--data", json.dumps(body)]
    return engine.curl(f"/covirt/{path}", *words)


def new_token(engine: CovirtEngine, **body: Any) -> str:
    """Of a host with these words."""
    answer = ask(engine, "POST", "enrolment/tokens", body)
    assert answer.status == 201, answer
    return str(answer.json["token"])


def enrol(engine: CovirtEngine, root: Root, token: str, name: str = "127.0.0.1") -> Completed:
    """As an administrator types it on the host."""
    url = f"https://localhost:{engine.port}"
    words = ["enrol", "--engine", url, "--token", token, "--name", name]
    return run([*CovirtHost.program, "--root", root.path, *words], timeout_seconds=SECONDS, check=False)


def host_status(engine: CovirtEngine, name: str = "oven") -> str:
    """As the API tells it; empty when there is no such host."""
    with engine.connection() as connection:
        found = connection.system_service().hosts_service().list(search=f"name={name}")
        return found[0].status.value if found else ""


def wait_host(engine: CovirtEngine, status: str, name: str = "oven") -> None:
    with engine.connection() as connection:
        service = connection.system_service().hosts_service()

        def found() -> str:
            listed = service.list(search=f"name={name}")
            return f"{listed[0].status.value} {listed[0].status_detail or ''}" if listed else "absent"

        wait_until(lambda: found().split()[0] == status, timeout_seconds=SECONDS, what=f"{name} {status}: {found()}")


@contextmanager
def serve_enrolled_host(
    engine: CovirtEngine, *, name: str = "oven", port: int, configuration: str = "", cluster: str = "Default"
) -> Iterator[CovirtHost]:
    """Up when it is given."""
    with new_root() as root:
        enrolled = enrol(engine, root, new_token(engine, name=name, address="127.0.0.1", cluster=cluster))
        assert enrolled.status == 0, enrolled.stderr
        set_port(engine, name, port)
        host = CovirtHost(root, configuration=configuration, port=port)
        try:
            host.start()
            wait_host(engine, "up", name)
            yield host
        finally:
            host.stop()


def set_port(engine: CovirtEngine, name: str, port: int) -> None:
    """Hosts of a test have other ports than 54321."""
    with engine.connection() as connection:
        service = connection.system_service().hosts_service()
        host = service.list(search=f"name={name}")[0]
        service.host_service(host.id).update(types.Host(port=port))


def engine_files(engine: CovirtEngine, directory: Path) -> Path:
    """A PKI directory as the tests' HostClient wants it, with the certificate that the engine shows hosts."""
    pki = engine.root.state_dir / "engine/pki"
    for path, source in (("keys/vdsmkey.pem", "client.pem"), ("certs/vdsmcert.pem", "client.pem"),
                         ("certs/cacert.pem", "ca.pem")):  # fmt: skip
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((pki / source).read_bytes())
    return directory
