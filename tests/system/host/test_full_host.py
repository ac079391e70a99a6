# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host whose own disk is full, not a storage domain: what cannot be written down is refused in a sentence."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from covirt.common.process import run
from covirt.common.root import Root
from tests.support.covirt_host import CallFailed, HostClient, serve_covirt_host
from tests.support.host_pool import BLANK, PoolOnHost, create_volume, finished, new_pool
from tests.support.roots import new_directory
from tests.support.waiting import free_port

pytestmark = pytest.mark.root

_MIB = 1 << 20
_NETWORK = "full0"


@contextmanager
def small(place: Path) -> Iterator[Path]:
    """A file system of half a MiB; gives the file that fills it once it is written to."""
    place.mkdir(parents=True)
    run(["mount", "-t", "tmpfs", "-o", "size=512k", "covirt-test", place], timeout_seconds=10)
    try:
        yield place / "fill"
    finally:
        run(["umount", "--lazy", place], timeout_seconds=10)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(4096))


def volume(pool: PoolOnHost) -> dict[str, Any]:
    return {
        **pool.new_ids(), "size": str(_MIB), "volFormat": 5, "preallocate": 2, "diskType": "DATA", "desc": "",
        "srcImgUUID": BLANK, "srcVolUUID": BLANK,
    }  # fmt: skip


def refused(client: HostClient, verb: str, params: dict[str, Any], path: Path) -> None:
    with pytest.raises(CallFailed) as caught:
        client.call(verb, params)
    assert caught.value.code == 40, caught.value
    assert f"this host cannot write {path}" in caught.value.message
    assert "No space left on device; see to the room on its own disks" in caught.value.message


def test_no_room_for_what_lasts() -> None:
    with new_directory() as directory, small(directory / "var/lib/covirt/host") as filler:
        export = directory / "export"
        export.mkdir()
        with serve_covirt_host(Root(directory), port=free_port()) as host, host.client() as client:
            pool = new_pool(client, export)
            made = create_volume(client, pool, size_bytes=_MIB)
            fill(filler)
            tasks = filler.parent / "tasks"
            refused(client, "Volume.create", volume(pool), tasks)
            refused(client, "Image.delete", {**made, "postZero": False, "force": False}, tasks)
            assert client.call("Host.getAllTasksStatuses") == {}
            assert [path.name for path in pool.images.iterdir()] == [made["imageID"]]
            assert client.call("Image.prepare", made)["path"].endswith(made["volumeID"])
            filler.unlink()
            finished(client, client.call("Volume.create", volume(pool)))


def test_no_room_for_what_is_of_this_boot() -> None:
    change: dict[str, Any] = {"bondings": {}, "options": {"connectivityCheck": False}}
    with new_directory() as directory, small(directory / "run/covirt/host") as filler:
        export = directory / "export"
        export.mkdir()
        with serve_covirt_host(Root(directory), port=free_port()) as host, host.client() as client:
            made = create_volume(client, new_pool(client, export), size_bytes=_MIB)
            fill(filler)
            refused(client, "Image.prepare", made, filler.parent / "storage.json")
            setup = {**change, "networks": {_NETWORK: {"bridged": True}}}
            refused(client, "Host.setupNetworks", setup, filler.parent / "network-change.json")
            assert not Path("/sys/class/net", _NETWORK).exists()
            assert client.call("Host.getVMList") == []
            filler.unlink()
            client.call("Image.prepare", made)
            client.call("Host.setupNetworks", setup)
            client.call("Host.setupNetworks", {**change, "networks": {_NETWORK: {"remove": True}}})
            assert not Path("/sys/class/net", _NETWORK).exists()
