# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Values that no engine sends: verbs about storage refuse them in a sentence, and what was there stays whole."""

import itertools
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import pytest

from covirt.hostapi.errors import CallRefused, Code
from covirt.hostapi.table import VERBS
from tests.support.host_storage import BLANK, LOCALFS, MIB, Disk, StorageAgent, make_server, refused
from tests.support.roots import new_root
from tests.support.storage_checker import check_domain
from tests.support.waiting import wait_until

pytestmark = pytest.mark.root

_NOUNS: Final = ("StoragePool.", "StorageDomain.", "Volume.", "Image.", "Task.", "ContainerImage.", "SDM.", "Job.")
_HOSTILE: Final[tuple[Any, ...]] = (
    None, "", "..", "a\0b", "\ud800", "A" * 70_000, "\n=EOF\n", -1, 10**30, 1.5, [], {"x": 1}, BLANK, str(uuid4()),
)  # fmt: skip
# What ends or removes things when only a parameter that changes nothing is odd: only ids are, here.
_ENDING: Final = (
    "StoragePool.disconnect", "StoragePool.destroy", "StoragePool.spmStop",
    "StorageDomain.format", "StorageDomain.detach", "StorageDomain.deactivate", "Volume.delete", "Image.delete",
    "Volume.setLegality",
)  # fmt: skip
# One takes any pool's id, as Vdsm does, and the other starts programs.
_LEFT_OUT: Final = ("StoragePool.disconnectStorageServer", "ContainerImage.import")
_IDS: Final = ("storagepoolID", "storagedomainID", "imageID", "volumeID")


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[StorageAgent]:
    with new_root() as root:
        agent = StorageAgent(root)
        agent.start()
        yield agent
        agent.stop()


@pytest.fixture(name="disk")
def disk_fixture(agent: StorageAgent) -> Disk:
    return Disk(agent)


@pytest.fixture(name="volume_id")
def volume_id_fixture(disk: Disk) -> str:
    return disk.create()


def good_params(disk: Disk, volume_id: str, verb: str) -> dict[str, Any]:
    """Of the verb, and right; what changes nothing where it can."""
    known: dict[str, Any] = {
        **disk.ids(str(uuid4()) if verb == "Volume.create" else volume_id),
        "masterSdUUID": disk.domain_id,
        "masterVersion": 1,
        "domainList": [disk.domain_id],
        "hostID": 1,
        "scsiKey": "",
        "name": "n",
        "domainType": LOCALFS,
        "typeArgs": str(disk.server),
        "connectionParams": [{"id": BLANK, "connection": str(disk.server)}],
        "sd_id": disk.domain_id,
        "size": 4096,
        "newSize": MIB,
        "volFormat": 5,
        "dstVolFormat": 5,
        "preallocate": 2,
        "legality": "LEGAL",
        **{name: str(uuid4()) for name in ("dstImgUUID", "dstVolUUID", "taskID", "jobID", "job_id")},
        "description": "d",
        "source": {"url": "docker://localhost:1/x"},
        "destination": {},
    }
    return {name: known[name] for name in names_of(verb) if name in known}


def names_of(verb: str) -> list[str]:
    return [field.alias or name for name, field in VERBS[verb].params.model_fields.items()]


def test_every_odd_value_is_done_or_refused(agent: StorageAgent, disk: Disk, volume_id: str) -> None:
    for verb in (name for name in VERBS if name.startswith(_NOUNS) and name not in _LEFT_OUT):
        names = [name for name in names_of(verb) if verb not in _ENDING or name in _IDS]
        for name, value in itertools.product(names, _HOSTILE):
            answer = answer_to(agent, verb, {**good_params(disk, volume_id, verb), name: value})
            assert "incident" not in answer, (verb, name, value, answer)
        if verb == "StoragePool.connect":  # one was told that the pool has no domains
            agent.call(verb, **good_params(disk, volume_id, verb))
        assert agent.call("Volume.getInfo", **disk.ids(volume_id))["status"] == "OK", verb
        agent.storage.pools.require_managed_domain(disk.pool_id, disk.domain_id)
    for book in (agent.images.tasks, agent.images.jobs):
        wait_until(lambda book=book: all(record.state.is_final for record in book.list()))  # type: ignore[misc]
        assert all(record.code != Code.GENERAL for record in book.list()), book.list()
    check_domain(disk.directory)


def answer_to(agent: StorageAgent, verb: str, params: dict[str, Any]) -> str:
    try:
        return repr(agent.call(verb, **params))
    except CallRefused as refusal:
        return refusal.message


def test_what_stands_for_none_is_never_made(agent: StorageAgent, disk: Disk) -> None:
    volume = {"size": 4096, "volFormat": 5, "preallocate": 2}
    refused(agent, 1000, "Volume.create", **disk.ids(BLANK), **volume)
    refused(agent, 1000, "Volume.create", **{**disk.ids(str(uuid4())), "imageID": BLANK}, **volume)
    other = agent.root.path / "other"
    make_server(other)
    assert agent.connect(other) == 0
    domain = {"domainType": LOCALFS, "typeArgs": str(other), "name": "x"}
    refused(agent, 1000, "StorageDomain.create", storagedomainID=BLANK, **domain)
    pool = {"masterSdUUID": disk.domain_id, "masterVersion": 1, "domainList": [disk.domain_id], "name": "x"}
    refused(agent, 1000, "StoragePool.create", storagepoolID=BLANK, **pool)
    refused(agent, 1000, "Image.prepare", **disk.ids(BLANK))


def test_names_that_would_not_be_read_again(agent: StorageAgent, disk: Disk) -> None:
    long = "A" * 70_000
    refused(agent, 387, "StorageDomain.setDescription", storagedomainID=disk.domain_id, description=long)
    refused(agent, 327, "StoragePool.setDescription", storagepoolID=disk.pool_id, description=long)
    refused(agent, -32602, "StorageDomain.setDescription", storagedomainID=disk.domain_id, description="\ud800")
    check_domain(disk.directory)


def test_a_master_is_not_replaced_by_itself(agent: StorageAgent, disk: Disk) -> None:
    ids = {"storagepoolID": disk.pool_id, "storagedomainID": disk.domain_id, "masterVersion": 2}
    refused(agent, 1000, "StorageDomain.deactivate", **ids, masterSdUUID=disk.domain_id)
    assert check_domain(disk.directory)["ROLE"] == "Master"


def test_a_master_s_version_only_grows(agent: StorageAgent, disk: Disk) -> None:
    second = agent.new_domain(agent.root.path / "second")
    ids = {"storagepoolID": disk.pool_id, "storagedomainID": second}
    agent.call("StorageDomain.attach", **ids)
    agent.call("StorageDomain.activate", **ids)
    master = {"masterSdUUID": second, "masterVersion": 1}
    refused(agent, 324, "StorageDomain.deactivate", **{**ids, "storagedomainID": disk.domain_id}, **master)
    assert check_domain(disk.directory)["ROLE"] == "Master"


def test_a_volume_is_not_copied_into_itself(agent: StorageAgent, disk: Disk, volume_id: str) -> None:
    ids = {"sd_id": disk.domain_id, "img_id": disk.image_id, "vol_id": volume_id}
    side = {"endpoint_type": "div", "generation": 0, **ids}
    job_id = str(uuid4())
    agent.call("SDM.copy_data", job_id=job_id, source=side, destination=side)
    wait_until(lambda: agent.call("Host.getJobs")[job_id]["status"] == "failed")
    assert "copy into another one" in agent.call("Host.getJobs")[job_id]["error"]["message"]
    assert agent.call("Volume.getInfo", **disk.ids(volume_id))["legality"] == "LEGAL"


def test_a_preallocated_copy_keeps_its_blocks(agent: StorageAgent, disk: Disk, volume_id: str) -> None:
    image_id, copy_id = str(uuid4()), str(uuid4())
    target = {"dstSdUUID": BLANK, "dstImgUUID": image_id, "dstVolUUID": copy_id}
    agent.done("Volume.copy", **disk.ids(volume_id), **target, volType=8, volFormat=5, preallocate=1)
    found = (disk.directory / "images" / image_id / copy_id).stat()
    assert found.st_blocks * 512 >= found.st_size
