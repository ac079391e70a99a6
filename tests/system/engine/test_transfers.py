# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks go up and come down by oVirt's own program ovirt-img and by its SDK, past the host and through the proxy."""

import http.client
import os
import signal
import ssl
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from ovirtsdk4 import types

from covirt.common.process import run
from covirt.common.root import Root
from covirt.host.storage.socket_program import SocketProgram
from tests.support.covirt_up import Machine, new_machine
from tests.support.roots import new_directory
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.root]

_PROGRAM: Final = Path(sys.executable).parent / "ovirt-img"
_MIB: Final = 1 << 20
_DATA: Final = bytes(range(256)) * 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    machine: Machine
    directory: Path

    def image(self, *words: str | Path) -> None:
        """ovirt-img, logged in."""
        command, *others = words
        status = self.machine.status
        login = [
            *("--engine-url", str(status["url"]).removesuffix("/ovirt-engine/api")),
            *("--username", str(status["user"])),
            *("--password-file", str(status["password_file"])),
            *("--cafile", str(status["ca_file"])),
        ]
        run([_PROGRAM, command, *login, *others], timeout_seconds=110)


@pytest.fixture(scope="module", name="place")
def place_fixture() -> Iterator[Place]:
    with new_directory() as directory, new_machine() as machine:
        settings = machine.root.config_dir / "host.d"
        settings.mkdir(parents=True)
        (settings / "60-test.toml").write_text(f"[images]\nimageio_port = {free_port()}\n")
        machine.up()
        with machine.connection() as connection:
            domains = connection.system_service().storage_domains_service()
            (domain,) = domains.list()
            domains.storage_domain_service(domain.id).update(types.StorageDomain(critical_space_action_blocker=0))
        try:
            yield Place(machine=machine, directory=directory)
        finally:
            machine.down()
            SocketProgram(Root(machine.root.path).run_dir / "host/imageio/sock").end(grace_seconds=5)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_by_ovirt_img(place: Place, image_format: str) -> None:
    source, back = place.directory / f"up.{image_format}", place.directory / f"down.{image_format}"
    raw = place.directory / "data"
    raw.write_bytes(_DATA)
    run(["qemu-img", "convert", "-f", "raw", "-O", image_format, raw, source], timeout_seconds=30)
    name = f"disk-{image_format}"
    place.image("upload-disk", "--storage-domain", "local", "-f", image_format, "--name", name, source)
    with place.machine.connection() as connection:
        (disk,) = connection.system_service().disks_service().list(search=f"name={name}")
        assert (disk.status, disk.provisioned_size) == (types.DiskStatus.OK, _MIB)
    place.image("download-disk", "-f", image_format, disk.id, back)
    run(["qemu-img", "compare", source, back], timeout_seconds=30)
    with place.machine.connection() as connection:
        connection.system_service().disks_service().disk_service(disk.id).remove()


def test_the_engine_is_killed_in_the_middle(place: Place) -> None:
    """The client goes on at the host meanwhile, ends through the proxy, and the transfer ends as it should."""
    with place.machine.connection() as connection:
        disk_id, transfer_id = _begun(connection)
        transfer = connection.system_service().image_transfers_service().image_transfer_service(transfer_id).get()
    half = _MIB // 2
    killed = place.machine.pids["covirt-engine"]
    os.kill(killed, signal.SIGKILL)
    assert _put(place, transfer.transfer_url, 0, _DATA[:half]) == 200
    wait_until(lambda: place.machine.status["ready"], timeout_seconds=60, what="the engine to be back")
    with place.machine.connection() as connection:
        service = connection.system_service().image_transfers_service().image_transfer_service(transfer_id)
        assert service.get().phase is types.ImageTransferPhase.TRANSFERRING
        assert _put(place, service.get().proxy_url, half, _DATA[half:]) == 200
        wait_until(lambda: connection.system_service().hosts_service().list()[0].status is types.HostStatus.UP)
        service.finalize()
        assert service.get().phase is types.ImageTransferPhase.FINISHED_SUCCESS
        disk = connection.system_service().disks_service().disk_service(disk_id)
        assert disk.get().status is types.DiskStatus.OK
        (path,) = place.machine.root.path.glob(f"var/**/images/{disk_id}/{disk.get().image_id}")
        assert path.read_bytes() == _DATA
        disk.remove()


def _begun(connection: Any) -> tuple[str, str]:
    """A disk, and an upload to it."""
    system = connection.system_service()
    new = types.Disk(name="long", format=types.DiskFormat.RAW, provisioned_size=_MIB)
    disk = system.disks_service().add(new)
    transfer = types.ImageTransfer(disk=types.Disk(id=disk.id), direction=types.ImageTransferDirection.UPLOAD)
    return disk.id, system.image_transfers_service().add(transfer).id


def _put(place: Place, url: str, start: int, data: bytes) -> int:
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=str(place.machine.status["ca_file"]))
    with closing(http.client.HTTPSConnection("localhost", parts.port, timeout=60, context=context)) as connection:
        headers = {"Content-Range": f"bytes {start}-{start + len(data) - 1}/*"}
        connection.request("PUT", parts.path, body=data, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
