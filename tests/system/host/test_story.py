# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine does with a host, from storage to guests: a container and a machine on one storage domain."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from covirt.host.virt.vm_block import reference_values
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.errors import Code
from tests.support import engine_xml
from tests.support.covirt_host import CallFailed, CovirtHost, HostClient, serve_covirt_host
from tests.support.guest import TinyGuest
from tests.support.host_pool import PoolOnHost, create_volume, finished, new_pool
from tests.support.host_vms import machine_xml
from tests.support.images import write_policy
from tests.support.libvirtd import Libvirtd
from tests.support.registry import Registry
from tests.support.roots import new_root
from tests.support.virtocid import Virtocid
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_MIB = 1 << 20
_WRITER = "sh -c 'cat /data/word; echo kept > /data/word; sync; exec sleep 1000'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    host: CovirtHost
    pool: PoolOnHost


@contextmanager
def new_place(libvirtd: Libvirtd, virtocid: Virtocid, registry: Registry) -> Iterator[Place]:
    with new_root() as root:
        policy = write_policy(root.path / "policy.json", {"type": "insecureAcceptAnything"})
        certificates = root.path / "certificates"
        certificates.mkdir()
        assert registry.cert_dir is not None
        (certificates / registry.host).symlink_to(registry.cert_dir)
        configuration = (
            f'[virt]\nqemu_uri = "{libvirtd.uri}"\noci_uri = "{virtocid.uri}"\nsample_seconds = 1\n'
            'host_files = ["/"]\n'
            "[containers]\nenabled = true\n"
            f'[images]\ncontainer_image_policy = "{policy}"\nregistry_certificates = "{certificates}"\n'
        )
        export = root.path / "export"
        export.mkdir()
        with serve_covirt_host(root, configuration=configuration, port=free_port()) as host:
            with host.client() as client:
                pool = new_pool(client, export)
                wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]))
            yield Place(host=host, pool=pool)


@pytest.fixture
def place(libvirtd: Libvirtd, virtocid: Virtocid, secure_registry: Registry, busybox_layout: Path) -> Iterator[Place]:
    secure_registry.push(busybox_layout, "busybox", "library/busybox:1")
    with new_place(libvirtd, virtocid, secure_registry) as made:
        yield made


def ref_of(ids: dict[str, str]) -> VolumeRef:
    return VolumeRef(
        pool_id=ids["storagepoolID"],
        domain_id=ids["storagedomainID"],
        image_id=ids["imageID"],
        volume_id=ids["volumeID"],
    )


def imported(client: HostClient, pool: PoolOnHost, registry: Registry) -> dict[str, str]:
    ids, job_id = pool.new_ids(), str(uuid4())
    reference = registry.reference("library/busybox:1")
    source = {"url": reference, "username": registry.user, "password": registry.password}
    client.call("ContainerImage.import", {**ids, "jobID": job_id, "source": source, "description": "busybox"})
    client.wait_for_event(f"|jobs|status|{job_id}", status="done")
    return ids


def run_vm(client: HostClient, xml: str) -> str:
    vm_id: str = client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}})["vmId"]
    wait_until(lambda: status_of(client, vm_id) in ("Up", "Down"), timeout_seconds=60, what="the end of the start")
    assert status_of(client, vm_id) == "Up", client.call("VM.getStats", {"vmID": vm_id})
    return vm_id


def status_of(client: HostClient, vm_id: str) -> str | None:
    return {vm["vmId"]: vm["status"] for vm in client.call("Host.getVMList")}.get(vm_id)


def test_a_container_and_a_machine_on_one_storage_domain(
    place: Place, secure_registry: Registry, virtocid: Virtocid, tiny_guest: TinyGuest
) -> None:
    with place.host.client() as client:
        image = imported(client, place.pool, secure_registry)
        data = create_volume(client, place.pool, size_bytes=64 * _MIB)
        disk = create_volume(client, place.pool, size_bytes=16 * _MIB)
        uuid = str(uuid4())
        xml = engine_xml.container_xml(
            "shop", uuid, disks=[("vda", ref_of(data))], disc=ref_of(image), volumeMap="data:vda",
            containerCommand=_WRITER,
        )  # fmt: skip
        assert run_vm(client, xml) == uuid
        machine = run_vm(client, engine_xml.with_disk(machine_xml(tiny_guest, "box"), ref_of(disk)))
        kinds = {vm["vmName"]: vm["vmType"] for vm in client.call("Host.getAllVmStats")}
        assert kinds["shop"] == "oci"
        assert kinds["box"] in ("kvm", "qemu")

        for verb, refusal in (("VM.migrate", 75), ("VM.setTicket", 18)):
            with pytest.raises(CallFailed) as refused:
                client.call(verb, {"vmID": uuid, "params": {}, "password": "x", "ttl": 1, "existingConnAction": ""})
            assert refused.value.code in (75, refusal)
        assert status_of(client, uuid) == "Up"
        [shown] = client.call(
            "ContainerImage.list", {key: image[key] for key in ("storagepoolID", "storagedomainID")}
        )
        assert shown["usedBy"] == [uuid]
        with pytest.raises(CallFailed, match=uuid):
            client.call("Image.delete", {**image, "postZero": False, "force": False})

        wait_until(lambda: "word" in virtocid.console_log("shop"), what="the container's first words")
        client.call("VM.destroy", {"vmID": uuid})
        assert run_vm(client, xml) == uuid
        wait_until(lambda: "kept" in virtocid.console_log("shop"), what="what the first run wrote")
        for vm_id in (uuid, machine):
            client.call("VM.destroy", {"vmID": vm_id})
        assert client.call("Host.getVMList") == []
        for ids in (image, data, disk):
            finished(client, client.call("Image.delete", {**ids, "postZero": False, "force": False}))
        assert list(place.pool.images.iterdir()) == []


def test_disks_become_larger_while_their_machine_runs(
    place: Place, tiny_guest: TinyGuest, libvirtd: Libvirtd
) -> None:
    with place.host.client() as client:
        raw, cow = (create_volume(client, place.pool, size_bytes=16 * _MIB, cow=cow) for cow in (False, True))
        xml = engine_xml.with_disk(machine_xml(tiny_guest, "box"), ref_of(raw))
        machine = run_vm(client, engine_xml.with_disk(xml, ref_of(cow), name="vdb", kind="qcow2"))
        size = str(32 * _MIB)
        for name, ids in (("vda", raw), ("vdb", cow)):
            device = reference_values(ref_of(ids))
            # A qcow2 volume is not extended by this, as with Vdsm: its guest's QEMU does it.
            finished(client, client.call("Volume.extendSize", {**ids, "newSize": size}))
            wanted = {"vmID": machine, "driveSpecs": device, "newSize": size}
            assert client.call("VM.diskSizeExtend", wanted) == size
            assert client.call("VM.diskSizeExtend", wanted) == size
            assert libvirtd.virsh("domblkinfo", machine, name).stdout.split()[1].decode() == size
            assert client.call("Volume.getInfo", ids)["capacity"] == size
        with pytest.raises(CallFailed) as refused:
            client.call("VM.diskSizeExtend", {**wanted, "newSize": str(_MIB)})
        assert refused.value.code == Code.VOLUME_WOULD_SHRINK
        with pytest.raises(CallFailed) as refused:
            client.call("VM.diskSizeExtend", {**wanted, "driveSpecs": {**device, "volumeID": str(uuid4())}})
        assert refused.value.code == Code.IMAGE_FILE
        client.call("VM.destroy", {"vmID": machine})
