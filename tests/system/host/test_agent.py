# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The whole program, spoken to by a client that is not ours."""

from collections.abc import Iterator

import pytest

from covirt.common.process import run
from covirt.common.root import Root
from tests.support.covirt_host import SECONDS, CallFailed, CovirtHost, HostClient, serve_covirt_host
from tests.support.roots import new_directory


@pytest.fixture(scope="module")
def host() -> Iterator[CovirtHost]:
    with new_directory() as directory, serve_covirt_host(Root(directory)) as running:
        yield running


@pytest.fixture
def client(host: CovirtHost) -> Iterator[HostClient]:
    with host.client() as opened:
        yield opened


def test_it_answers(client: HostClient) -> None:
    assert client.call("Host.ping2") is True
    assert client.call("Host.ping", flow_id="flow-1") is True


def test_what_it_is(client: HostClient) -> None:
    capabilities = client.call("Host.getCapabilities")
    assert capabilities["clusterLevels"][-1] == "4.8"
    assert capabilities["containers"] is False
    assert client.call("Host.getStats")["cpuLoad"]


def test_an_unknown_verb(client: HostClient) -> None:
    with pytest.raises(CallFailed) as caught:
        client.call("VM.fly")
    assert (caught.value.code, caught.value.message) == (
        -32601,
        "The method does not exist or is not available: {'method': 'VM.fly'}",
    )


def test_flow_ids_are_in_the_log(host: CovirtHost, client: HostClient) -> None:
    with pytest.raises(CallFailed):
        client.call("Task.getStatus", {"taskID": "9f6ce9e5-5b0e-4d6e-9a3f-111111111111"}, flow_id="flow-77")
    assert "flow_id=flow-77" in host.log
    assert " flow=flow-77 " in host.log
    assert client.call("Host.ping2") is True
    assert " flow=" not in host.log.splitlines()[-1]


def test_after_a_kill() -> None:
    with new_directory() as directory, serve_covirt_host(Root(directory), port=54399) as host:
        host.kill()
        host.start()
        with host.client() as client:
            assert client.call("Host.ping2") is True


def test_one_a_root(host: CovirtHost) -> None:
    second = run([*host.program, "--root", host.root.path], timeout_seconds=SECONDS, check=False)
    assert second.status == 1
    assert b"another covirt-host" in second.stderr


def test_show_config(host: CovirtHost) -> None:
    shown = run([*host.program, "--root", host.root.path, "--show-config"], timeout_seconds=SECONDS)
    assert b'"listen": "127.0.0.1"' in shown.stdout
