# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine makes of a host's answers about servers, tasks and volumes."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from covirt.engine.hosts.errors import HostRefused
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.model.disk import Disk
from covirt.engine.model.storage_domain import StorageConnection, StorageType
from covirt.engine.storage.errors import HostNotPrepared, HostTaskFailed, ServerInUse
from covirt.engine.storage.host_storage import HostStorage
from covirt.engine.storage.host_volumes import HostVolumes
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

_SERVER = StorageConnection(id="c", type=StorageType.LOCALFS, path="/data")
_DISK = Disk(
    id="d",
    name="logs",
    image_id="v",
    storage_domain_id="s",
    provisioned_size_bytes=4096,
    created_at=datetime.now(UTC),
)


def _storage(**answers: object) -> HostStorage:
    hosts = FakeHosts(up={"one"})
    hosts.answers |= {name.replace("_", "."): answer for name, answer in answers.items()}  # type: ignore[misc]
    return HostStorage(hosts=hosts, host_id="one", pause=lambda _seconds: None)


def _refused(code: Code) -> HostRefused:
    return HostRefused(host="one", verb="any", code=code, text="no")


def _status(result: str) -> Mapping[str, Json]:
    return {"taskState": "finished", "taskResult": result, "message": "the disk is full"}


def test_a_server_in_use_stays_connected() -> None:
    storage = _storage(StoragePool_disconnectStorageServer=[{"id": "c", "status": Code.STORAGE_DOMAIN_ACTIVE}])
    with pytest.raises(ServerInUse, match="cannot disconnect from /data"):
        storage.disconnect_server(_SERVER)
    for status in (0, Code.NO_SUCH_STORAGE_DOMAIN):
        _storage(StoragePool_disconnectStorageServer=[{"id": "c", "status": status}]).disconnect_server(_SERVER)


def test_a_host_that_cannot_leave_its_pool_manages_it_on() -> None:
    storage = _storage(
        StoragePool_spmStop=True,
        StoragePool_disconnect=_refused(Code.STORAGE_DOMAIN_ACTIVE),
        StoragePool_spmStart="t",
        Task_getStatus=_status("cleanSuccess"),
        Task_clear=True,
    )
    with pytest.raises(HostRefused):
        storage.leave_pool("p")
    assert isinstance(storage.hosts, FakeHosts)
    verbs = [verb for _, verb, _ in storage.hosts.calls]
    assert verbs[:3] == ["StoragePool.spmStop", "StoragePool.disconnect", "StoragePool.spmStart"]


@pytest.mark.parametrize("code", [Code.NOT_SPM, Code.STORAGE_DOMAIN_NOT_ACTIVE])
def test_a_host_whose_agent_is_new_is_waited_for(code: Code) -> None:
    """It is prepared beside that; what it refuses until then is not done, and not refused for good."""
    refusals = [_refused(code)] * 3

    def create(_params: Mapping[str, Json]) -> Json:
        if refusals:
            raise refusals.pop()
        return "t"

    volumes = HostVolumes(storage=_storage(Volume_create=create), pool_id="p")
    assert volumes.begin_create(_DISK) == "t"
    with pytest.raises(HostNotPrepared, match=r"refused Volume\.create: no\. Try again"):
        HostVolumes(storage=_storage(Volume_create=_refused(code)), pool_id="p").begin_create(_DISK)


def test_a_volume_that_is_there_needs_no_task() -> None:
    volumes = HostVolumes(storage=_storage(Volume_create=_refused(Code.VOLUME_EXISTS)), pool_id="p")
    assert volumes.begin_create(_DISK) == ""
    volumes.finish_create(_DISK, "")


@pytest.mark.parametrize("answer", [_refused(Code.NO_SUCH_TASK), _status("cleanSuccess")])
def test_the_volume_counts_and_not_its_task(answer: object) -> None:
    """An engine that was killed after the task was cleared asks for it once more."""
    answers = {"Task_getStatus": answer, "Task_clear": True}
    there = HostVolumes(storage=_storage(Volume_getInfo={"capacity": "4096"}, **answers), pool_id="p")
    there.finish_create(_DISK, "t")
    gone = HostVolumes(storage=_storage(Volume_getInfo=_refused(Code.NO_SUCH_IMAGE), **answers), pool_id="p")
    with pytest.raises((HostRefused, HostTaskFailed)):
        gone.finish_create(_DISK, "t")
