# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The stock Python SDK reads what the API answers."""

from collections.abc import Callable, Iterator

import ovirtsdk4 as sdk
import pytest
from ovirtsdk4 import types

from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.registered import REGISTRY
from tests.support import engine_samples as s


def test_the_root(connection: sdk.Connection) -> None:
    assert connection.test(raise_exception=True)
    api = connection.system_service().get()
    assert (api.product_info.version.major, api.product_info.version.minor) == (4, 5)
    assert (api.summary.vms.total, api.summary.vms.active) == (2, 1)
    assert api.summary.hosts.total == 1
    assert api.summary.storage_domains.active == 1
    assert api.summary.users.total >= 2
    assert api.time.tzinfo is not None
    assert api.special_objects.blank_template.id == "00000000-0000-0000-0000-000000000000"


def test_a_machine_whole(connection: sdk.Connection) -> None:
    vm = connection.system_service().vms_service().vm_service(s.VM_ID).get()
    assert (vm.name, vm.status, vm.type) == ("soup", types.VmStatus.UP, types.VmType.SERVER)
    assert vm.memory == 1 << 30
    assert vm.cpu.topology.cores == 2
    assert vm.bios.type is types.BiosType.CLUSTER_DEFAULT
    assert vm.os.boot.devices == [types.BootDevice.HD]
    assert vm.placement_policy.affinity is types.VmAffinity.MIGRATABLE
    assert vm.display.type is types.DisplayType.VNC
    assert vm.creation_time == s.NOON
    assert vm.cluster.href == f"/ovirt-engine/api/clusters/{s.CLUSTER_ID}"


def test_custom_properties_of_a_container(connection: sdk.Connection) -> None:
    vm = connection.system_service().vms_service().vm_service(s.CONTAINER_ID).get()
    told = [(each.name, each.value, each.regexp) for each in vm.custom_properties]
    assert told == [
        ("containerImage", "docker.io/library/salad:1", None),
        ("volumeMap", "/a:/b,/c:/d", None),
    ]


def test_links_are_followed_by_the_client_and_by_the_engine(connection: sdk.Connection) -> None:
    vms = connection.system_service().vms_service()
    (plain,) = vms.list(search="name=soup")
    assert [nic.name for nic in connection.follow_link(plain.nics)] == ["nic1"]
    assert connection.follow_link(plain.cluster).name == "kitchen"
    assert connection.follow_link(plain.disk_attachments)[0].bootable
    (full,) = vms.list(search='name="soup"', follow="nics.vnic_profile,disk_attachments.disk,host", all_content=True)
    assert full.nics[0].vnic_profile.name == "pipes"
    assert full.disk_attachments[0].disk.provisioned_size == 5 << 30
    assert full.host.address == "oven.example.com"


def test_pages_as_the_sdks_example_reads_them(connection: sdk.Connection) -> None:
    vms = connection.system_service().vms_service()
    names, page = [], 1
    while found := vms.list(search=f"sortby name asc page {page}", max=1):
        names += [vm.name for vm in found]
        page += 1
    assert names == ["salad", "soup"]


def test_statistics_have_ids_that_stay(connection: sdk.Connection) -> None:
    service = connection.system_service().vms_service().vm_service(s.VM_ID).statistics_service()
    by_name = {each.name: each for each in service.list()}
    memory = by_name["memory.installed"]
    assert memory.values[0].datum == float(1 << 30)
    assert (memory.unit, memory.kind) == (types.StatisticUnit.BYTES, types.StatisticKind.GAUGE)
    assert service.statistic_service(memory.id).get().name == "memory.installed"


@pytest.mark.parametrize("compress", [True, False])
def test_compression_is_the_clients_choice(connect: Callable[..., sdk.Connection], compress: bool) -> None:
    assert connect(compress=compress).system_service().vms_service().list()


def test_errors_are_the_sdks(connection: sdk.Connection, connect: Callable[..., sdk.Connection]) -> None:
    system = connection.system_service()
    with pytest.raises(sdk.NotFoundError):
        system.vms_service().vm_service(s.NIC_ID).get()
    with pytest.raises(sdk.Error, match="nonsense") as refused:
        system.vms_service().list(search="nonsense=1")
    assert refused.value.code == 400
    with pytest.raises(sdk.Error) as absent:
        system.vms_service().vm_service(s.VM_ID).logon()
    assert (absent.value.code, absent.value.fault.reason) == (404, "Operation Failed")
    with pytest.raises(sdk.AuthError) as denied:
        connect("user").system_service().vms_service().list()
    assert denied.value.code == 403
    (seen,) = connect("user", headers={"Filter": "true"}).system_service().vms_service().list()
    assert seen.name == "soup"


def _services(
    base: str, collections: tuple[Collection, ...], connection: sdk.Connection
) -> Iterator[tuple[str, int]]:
    for collection in collections:
        path = base + collection.path
        service = connection.system_service().service(path)
        read = getattr(service, "list", None) or getattr(service, "get", None)
        if read is None:
            continue
        members = read()
        yield path, len(members)
        for member in members[-1:]:
            if not collection.members:
                continue
            one = connection.system_service().service(f"{path}/{member.id}")
            if hasattr(one, "get"):
                assert type(one.get()) is type(member), path
            assert member.href == f"/ovirt-engine/api/{path}/{member.id}"
            yield from _services(f"{path}/{member.id}/", collection.children, connection)


def test_every_collection_is_read_by_the_sdk(connection: sdk.Connection) -> None:
    found = dict(_services("", REGISTRY.collections, connection))
    assert len(found) > 100
    assert sum(1 for count in found.values() if count) > 50


def test_no_status_and_no_other_word_is_lost(connection: sdk.Connection) -> None:
    """The SDK reads a word that it does not know as None, and a loop that waits for a status never ends."""
    system = connection.system_service()
    assert [host.status for host in system.hosts_service().list()] == [types.HostStatus.UP]
    assert system.data_centers_service().data_center_service(s.CENTER_ID).get().status is types.DataCenterStatus.UP
    (disk,) = system.disks_service().list(search="name=soup_disk1")
    assert (disk.status, disk.format) == (types.DiskStatus.OK, types.DiskFormat.RAW)
    attached = system.data_centers_service().data_center_service(s.CENTER_ID).storage_domains_service().list()
    assert [domain.status for domain in attached] == [types.StorageDomainStatus.ACTIVE]
    (snapshot,) = system.vms_service().vm_service(s.VM_ID).snapshots_service().list()
    assert (snapshot.snapshot_type, snapshot.snapshot_status) == (types.SnapshotType.ACTIVE, types.SnapshotStatus.OK)
    assert system.jobs_service().job_service(s.JOB_ID).get().status is types.JobStatus.STARTED
    assert all(event.severity for event in system.events_service().list())
