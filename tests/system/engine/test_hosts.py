# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts through the stock SDK: enrolled, watched, put to rest and removed; a real engine and a real covirt-host."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ovirtsdk4
import pytest
from ovirtsdk4 import types

from covirt.common.root import Root
from covirt.engine.model.vm import Vm
from covirt.host.enrolment.engine import Engine
from covirt.host.enrolment.errors import TokenRefused
from covirt.host.enrolment.identity import KeyPair
from covirt.rpc.tls import TlsFiles
from tests.support.covirt_engine import CovirtEngine, serve_covirt_engine
from tests.support.covirt_host import CovirtHost, HostClient
from tests.support.enrolled_host import (
    WATCHFUL,
    ask,
    engine_files,
    enrol,
    host_status,
    new_token,
    serve_enrolled_host,
    wait_host,
)
from tests.support.host_answers import capabilities, statistics, vm_stats
from tests.support.host_vms import container_xml
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_root
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

PORT = 54391


@pytest.fixture(scope="module")
def watchful() -> Iterator[CovirtEngine]:
    with new_root() as root, serve_covirt_engine(root, extra=WATCHFUL) as running:
        yield running


@pytest.fixture(scope="module")
def oven(watchful: CovirtEngine, libvirtd: Libvirtd, virtocid_daemon: Virtocid) -> Iterator[CovirtHost]:
    configuration = (
        f'[virt]\nqemu_uri = "{libvirtd.uri}"\noci_uri = "{virtocid_daemon.uri}"\nsample_seconds = 1\n'
        'host_files = ["/"]\n[containers]\nenabled = true\n'
    )
    with serve_enrolled_host(watchful, port=PORT, configuration=configuration) as host:
        yield host


@pytest.fixture
def connection(watchful: CovirtEngine) -> Iterator[ovirtsdk4.Connection]:
    with watchful.connection() as opened:
        yield opened


@pytest.fixture
def service(connection: ovirtsdk4.Connection, oven: CovirtHost) -> Any:
    """Of the enrolled host."""
    assert oven.pid
    hosts = connection.system_service().hosts_service()
    return hosts.host_service(hosts.list(search="name=oven")[0].id)


def test_an_enrolled_host_is_up_and_tells_what_it_is(service: Any) -> None:
    host = service.get()
    assert host.status is types.HostStatus.UP
    assert host.cpu.topology.sockets >= 1
    assert host.memory > 1 << 28
    assert host.version.full_version.startswith("covirt-host-")
    assert "CN=127.0.0.1" in host.certificate.subject
    names = {statistic.name for statistic in service.statistics_service().list()}
    assert {"memory.used", "cpu.current.user", "cpu.load.avg.5m"} <= names


def test_a_token_lets_one_host_in_once(watchful: CovirtEngine, oven: CovirtHost, root_dir: Root) -> None:
    token = new_token(watchful, name="stove", address="192.0.2.99")
    assert enrol(watchful, root_dir, token).status == 0
    assert host_status(watchful, "stove") == "installing"
    again = enrol(watchful, root_dir, token)
    assert again.status == 1
    assert b"the token was used already" in again.stderr
    forged = enrol(watchful, root_dir, f"{'x' * 40}.{token.rpartition('.')[2]}")
    assert b"there is no such token" in forged.stderr
    with watchful.connection() as connection:
        hosts = connection.system_service().hosts_service()
        hosts.host_service(hosts.list(search="name=stove")[0].id).remove()
    assert oven.pid


def test_tokens_are_made_listed_and_taken_back(watchful: CovirtEngine, root_dir: Root) -> None:
    token = new_token(watchful, name="grill")
    [shown] = [each for each in ask(watchful, "GET", "enrolment/tokens").json["tokens"] if each["name"] == "grill"]
    assert token.partition(".")[0] not in json.dumps(shown)
    assert ask(watchful, "DELETE", f"enrolment/tokens/{shown['id']}").status == 200
    assert b"there is no such token" in enrol(watchful, root_dir, token).stderr
    assert watchful.curl("/covirt/enrolment/tokens").status == 401
    assert ask(watchful, "POST", "enrolment/tokens", {"name": "grill", "cluster": "Nowhere"}).status == 404
    assert ask(watchful, "POST", "enrolment/tokens", {"name": "a b"}).status == 400
    assert ask(watchful, "POST", "enrolment/tokens", {"name": "grill", "minutes": 0}).status == 400
    assert watchful.curl("/covirt/enrolment", "-X", "POST", "--data", "{}").status == 401
    assert token.partition(".")[0] not in watchful.log


def test_a_host_gets_a_new_certificate_for_its_old_one(watchful: CovirtEngine, oven: CovirtHost) -> None:
    engine = Engine(f"https://localhost:{watchful.port}")
    files = TlsFiles.in_directory(oven.pki)
    assert b"BEGIN CERTIFICATE" in engine.renew(files=files, request_pem=KeyPair.new("127.0.0.1").request_pem)


def test_nobody_else_gets_one(watchful: CovirtEngine, root_dir: Root, tmp_path: Path) -> None:
    body = json.dumps({"version": 1, "request": KeyPair.new("127.0.0.1").request_pem.decode()})
    assert watchful.curl("/covirt/enrolment/renewal", "-X", "POST", "--data", body).status == 401
    assert enrol(watchful, root_dir, new_token(watchful, name="stove", address="192.0.2.99")).status == 0
    with watchful.connection() as connection:
        hosts = connection.system_service().hosts_service()
        hosts.host_service(hosts.list(search="name=stove")[0].id).remove()
    files = TlsFiles.in_directory(root_dir.path / "etc/pki/vdsm")
    engine = Engine(f"https://localhost:{watchful.port}")
    with pytest.raises(TokenRefused, match="no such host any more"):
        engine.renew(files=files, request_pem=KeyPair.new("127.0.0.1").request_pem)
    # The engine's own certificate is no host's.
    own = TlsFiles.in_directory(engine_files(watchful, tmp_path))
    with pytest.raises(TokenRefused, match="no such host any more"):
        engine.renew(files=own, request_pem=KeyPair.new("127.0.0.1").request_pem)


def test_a_host_that_is_added_first_waits_to_be_enrolled(
    watchful: CovirtEngine, connection: ovirtsdk4.Connection, root_dir: Root
) -> None:
    hosts = connection.system_service().hosts_service()
    cluster = types.Cluster(name="Default")
    added = hosts.add(
        types.Host(
            name="stove",
            address="127.0.0.3",
            root_password="not looked at",  # noqa: S106 - by nobody
            port=PORT + 1,
            cluster=cluster,
        )
    )
    assert added.status is types.HostStatus.INSTALLING
    events = connection.system_service().events_service().list(search="host.name=stove")
    assert {event.code for event in events} == {42, 509}
    assert "not looked at" not in watchful.log
    with pytest.raises(ovirtsdk4.Error, match="already in use"):
        hosts.add(types.Host(name="stove", address="127.0.0.4", cluster=cluster))
    with pytest.raises(ovirtsdk4.Error, match="same address already exists"):
        hosts.add(types.Host(name="grill", address="127.0.0.3", cluster=cluster))
    assert enrol(watchful, root_dir, new_token(watchful, host="stove"), "127.0.0.3").status == 0
    host = CovirtHost(root_dir, port=PORT + 1, listen="127.0.0.3")
    try:
        host.start()
        wait_host(watchful, "up", "stove")
    finally:
        host.stop()
    wait_host(watchful, "non_responsive", "stove")
    hosts.host_service(added.id).remove()
    with pytest.raises(ovirtsdk4.NotFoundError):
        hosts.host_service(added.id).get()


def test_maintenance_and_back(service: Any, watchful: CovirtEngine, connection: ovirtsdk4.Connection) -> None:
    with pytest.raises(ovirtsdk4.Error, match="Please switch Host to Maintenance mode first"):
        service.remove()
    with pytest.raises(ovirtsdk4.Error, match="only when Host status is"):
        service.activate()
    service.deactivate(reason="spring cleaning")
    assert service.get().status is types.HostStatus.MAINTENANCE
    events = connection.system_service().events_service().list(search="host.name=oven", max=3)
    assert any("(Reason: spring cleaning)" in event.description for event in events)
    jobs = connection.system_service().jobs_service().list(max=1)
    assert jobs[0].description == "Moving Host oven to Maintenance"
    service.update(types.Host(comment="clean"))
    service.activate()
    wait_host(watchful, "up")
    assert service.get().comment == "clean"


def test_what_is_not_offered_says_why(service: Any) -> None:
    with pytest.raises(ovirtsdk4.Error, match="never logs in to hosts"):
        service.install()
    with pytest.raises(ovirtsdk4.Error, match="only fence type 'manual'"):
        service.fence(fence_type="restart")
    with pytest.raises(ovirtsdk4.Error, match="only when Host status is non_responsive"):
        service.fence(fence_type="manual")
    service.refresh()


def test_a_killed_host_is_missed_and_a_killed_engine_finds_it_again(root_dir: Root) -> None:
    with (
        serve_covirt_engine(root_dir, extra=WATCHFUL) as engine,
        serve_enrolled_host(engine, port=PORT + 2) as host,
    ):
        host.kill()
        wait_host(engine, "non_responsive")
        with engine.connection() as connection:
            hosts = connection.system_service().hosts_service()
            service = hosts.host_service(hosts.list(search="name=oven")[0].id)
            service.fence(fence_type="manual")
            assert service.get().status is types.HostStatus.NON_RESPONSIVE
        engine.kill()
        host.start()
        engine.start()
        wait_host(engine, "up")


def test_a_guest_is_adopted_and_followed_to_its_end(
    service: Any, oven: CovirtHost, watchful: CovirtEngine, connection: ovirtsdk4.Connection, tmp_path: Path
) -> None:
    """It is not the engine that has started it; but the engine knows its id."""
    client = HostClient(engine_files(watchful, tmp_path), PORT).open()
    try:
        wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]), timeout_seconds=60)
        xml = container_xml("soup", "sleep 1000")
        vm_id = client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}})["vmId"]
        with watchful.store() as store, store.write() as session:
            cluster = session.clusters.find(name="Default")
            assert cluster is not None
            session.vms.add(Vm(id=vm_id, name="soup", cluster_id=cluster.id, created_at=datetime.now(UTC)))
        vm = connection.system_service().vms_service().vm_service(vm_id)
        wait_until(lambda: vm.get().status is types.VmStatus.UP, timeout_seconds=60, what="soup to be adopted")
        assert vm.get().host.id == service.get().id
        with pytest.raises(ovirtsdk4.Error, match="These VMs run on it, and cannot be migrated: soup"):
            service.deactivate()
        assert service.get().status is types.HostStatus.UP
        _compare_answers(client, vm_id)
        client.call("VM.shutdown", {"vmID": vm_id, "delay": "1", "message": "", "force": True, "timeout": 1})
        wait_until(lambda: vm.get().status is types.VmStatus.DOWN, timeout_seconds=60, what="soup to be down")
        assert client.call("Host.getVMList") == []
        events = connection.system_service().events_service().list(search="vm.name=soup")
        assert {event.code for event in events} & {61, 119}
    finally:
        client.close()
        with watchful.store() as store, store.write() as session:
            for found in session.vms.list():
                session.vms.remove(found.id)


def _compare_answers(client: HostClient, vm_id: str) -> None:
    """The answers that simulated hosts give are shaped as this host's."""
    real = client.call("Host.getCapabilities")
    optional = {"containersReason"}
    for told, played in (
        (real, capabilities()),
        (client.call("Host.getStats"), statistics()),
        (client.call("VM.getStats", {"vmID": vm_id})[0], vm_stats(str(uuid.uuid4()))),
    ):
        for key, value in played.items():
            # What only a guest agent, or a machine with a screen, tells.
            if key in optional or key in ("guestOsInfo", "netIfaces"):
                continue
            assert key in told, key
            assert type(told[key]) is type(value) or isinstance(value, (int, float)), (key, told[key], value)
