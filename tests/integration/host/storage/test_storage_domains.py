# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains, pools and volumes through their verbs; what is on disk is judged by the format's description."""

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.process import run
from covirt.host.storage import qemu_img
from covirt.host.storage.connections import Connection
from covirt.host.storage.directory import Directory
from covirt.host.storage.domain_format import DomainMetadata
from covirt.host.storage.image_volumes import Allocation
from covirt.host.storage.operation import Control
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import NoSuchVolume, VolumeExists
from covirt.host.storage.volume_work import NewVolume
from covirt.host.virt.volumes import VolumeRef
from tests.support.host_storage import BLANK, LOCALFS, MIB, NFS, Disk, StorageAgent, make_server, refused
from tests.support.roots import new_root
from tests.support.storage_checker import check_domain, volume_metadata
from tests.support.waiting import wait_until

pytestmark = pytest.mark.root


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[StorageAgent]:
    with new_root() as root:
        agent = StorageAgent(root)
        agent.start()
        yield agent
        agent.stop()


def test_the_life_of_a_domain(agent: StorageAgent) -> None:
    one, two = agent.root.path / "server_one", agent.root.path / "two"
    first, second = agent.new_domain(one), agent.new_domain(two, name="zweite Größe")
    link = agent.root.path / "rhev/data-center/mnt" / str(one).replace("_", "__").replace("/", "_")
    assert os.readlink(link) == str(one)
    assert check_domain(one / first)["POOL_UUID"] == ""
    assert check_domain(two / second)["DESCRIPTION"] == "zweite Größe"
    assert set(agent.call("Host.getStorageDomains")) == {first, second}

    pool = agent.new_pool(first)
    ids = {"storagedomainID": second, "storagepoolID": pool}
    agent.call("StorageDomain.attach", **ids)
    assert agent.call("StoragePool.getInfo", storagepoolID=pool)["info"]["domains"] == (
        f"{first}:Active,{second}:Attached"
    )
    refused(agent, 369, "Volume.create", **_volume(ids), size="4096", volFormat=5, preallocate=2)
    agent.call("StorageDomain.activate", **ids)
    master = check_domain(one / first)
    assert master["POOL_DOMAINS"] == f"{first}:Active,{second}:Active"
    assert (master["ROLE"], master["POOL_SPM_ID"], master["POOL_SPM_LVER"]) == ("Master", "1", "0")
    assert (master["LOCKPOLICY"], master["MASTER_VERSION"], master["POOL_UUID"]) == ("ON", "1", pool)
    assert check_domain(two / second)["POOL_UUID"] == pool
    refused(agent, 382, "StorageDomain.detach", **ids)
    refused(agent, 392, "StorageDomain.format", storagedomainID=second)

    agent.call("StorageDomain.deactivate", **ids, masterSdUUID=BLANK, masterVersion=0)
    agent.call("StorageDomain.detach", **ids, masterSdUUID=BLANK, masterVersion=0)
    assert check_domain(two / second)["POOL_UUID"] == ""
    agent.call("StorageDomain.format", storagedomainID=second)
    assert os.listdir(two) == []
    refused(agent, 358, "StorageDomain.getInfo", storagedomainID=second)

    refused(agent, 656, "StoragePool.disconnect", storagepoolID=pool, hostID=1, scsiKey="")
    agent.call("StoragePool.destroy", storagepoolID=pool, hostID=1, scsiKey="")
    refused(agent, 309, "StoragePool.getInfo", storagepoolID=pool)
    left = check_domain(one / first)
    assert (left["ROLE"], left["POOL_UUID"]) == ("Regular", "")


def _volume(ids: dict[str, str]) -> dict[str, str]:
    return {**ids, "imageID": str(uuid4()), "volumeID": str(uuid4())}


def test_what_is_told_of_a_domain(agent: StorageAgent) -> None:
    disk = Disk(agent)
    info = agent.call("StorageDomain.getInfo", storagedomainID=disk.domain_id)
    assert info == {
        "uuid": disk.domain_id, "type": "LOCALFS", "class": "Data", "name": "disks", "role": "Master",
        "pool": [disk.pool_id], "version": "5", "block_size": info["block_size"], "alignment": info["alignment"],
        "remotePath": str(disk.server), "master_ver": 1, "lver": 0, "spm_id": 1,
    }  # fmt: skip
    stats = agent.call("StorageDomain.getStats", storagedomainID=disk.domain_id)
    assert int(stats["disktotal"]) >= int(stats["diskfree"]) > 0
    wait_until(lambda: disk.domain_id in agent.call("Host.getStorageRepoStats"))
    health = agent.call("Host.getStorageRepoStats")[disk.domain_id]
    assert (health["code"], health["valid"], health["version"], health["actual"]) == (0, True, 5, True)
    assert float(health["delay"]) >= 0
    assert agent.call("StoragePool.getSpmStatus", storagepoolID=disk.pool_id) == {
        "spmStatus": "SPM", "spmLver": 0, "spmId": 1,
    }  # fmt: skip
    dominfo = agent.call("StoragePool.getInfo", storagepoolID=disk.pool_id)["dominfo"][disk.domain_id]
    assert (dominfo["status"], dominfo["version"]) == ("Active", 5)
    assert agent.storage.statistics()["storageDomains"]


def test_refused_domains(agent: StorageAgent) -> None:
    server = agent.root.path / "server"
    assert agent.connect(server) == 390
    server.mkdir(mode=0o755)
    assert agent.connect(server) == 469
    server.rmdir()
    domain_id = agent.new_domain(server)
    params: dict[str, Any] = {"domainType": 4, "typeArgs": str(server), "name": "x", "domainClass": 1, "version": 5}
    refused(agent, 365, "StorageDomain.create", storagedomainID=domain_id, **params)
    refused(agent, 361, "StorageDomain.create", storagedomainID=str(uuid4()), **params)
    other = {**params, "typeArgs": "/not/connected"}
    refused(agent, 451, "StorageDomain.create", storagedomainID=str(uuid4()), **other)
    refused(agent, 394, "StorageDomain.create", storagedomainID=str(uuid4()), **{**params, "version": 4})
    refused(agent, 1000, "StorageDomain.create", storagedomainID="../../etc", **params)
    nfs = {**params, "domainType": 1, "typeArgs": "host:/export"}
    refused(agent, 651, "StorageDomain.create", storagedomainID=str(uuid4()), **nfs)
    metadata = server / domain_id / "dom_md/metadata"
    metadata.write_bytes(metadata.read_bytes().replace(b"disks", b"discs"))
    refused(agent, 752, "StorageDomain.getInfo", storagedomainID=domain_id)


def test_two_exports_never_have_one_place(agent: StorageAgent) -> None:
    first, second = "host:/a_/b", "host:/a/_b"
    place = agent.root.path / "rhev/data-center/mnt/host:_a___b"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "uid=36,gid=36", first, str(place)], timeout_seconds=10)
    assert agent.connect(first, domain_type=NFS) == 0
    assert agent.connect(second, domain_type=NFS) == 390
    assert agent.connect(second, domain_type=NFS, verb="disconnect") == 0
    assert place.is_mount(), "another one's mount was ended"
    assert agent.connect(first, domain_type=NFS, verb="disconnect") == 0
    assert not place.exists()


def test_two_servers_never_have_one_place(agent: StorageAgent) -> None:
    """Vdsm's name of both is the same, and the first one's guests would be given the second one's disks."""
    first, second = agent.root.path / "a_/b", agent.root.path / "a/_b"
    for path in (first, second):
        path.parent.mkdir()
    domain_id = agent.new_domain(first)
    make_server(second)
    assert agent.connect(second) == 390
    servers = [{"id": BLANK, "connection": str(second)}]
    ids = {"storagepoolID": BLANK, "domainType": 4}
    agent.call("StoragePool.disconnectStorageServer", **ids, connectionParams=servers)
    assert agent.call("StorageDomain.getInfo", storagedomainID=domain_id)["remotePath"] == str(first)
    # The same one twice is one, and by another way it is found there, too.
    assert agent.connect(first) == 0
    other_way = agent.root.path / "link"
    other_way.symlink_to(first)
    assert agent.connect(other_way) == 0
    agent.call(
        "StoragePool.disconnectStorageServer", **ids, connectionParams=[{"id": BLANK, "connection": str(first)}]
    )
    assert agent.call("StorageDomain.getInfo", storagedomainID=domain_id)["remotePath"] == str(other_way)


def test_links_do_not_lead_out_of_a_domain(agent: StorageAgent) -> None:
    disk = Disk(agent)
    outside = agent.root.path / "outside"
    make_server(outside)
    images = disk.directory / "images"
    (images / disk.image_id).symlink_to(outside)
    refused(agent, 379, "Volume.create", **disk.ids(str(uuid4())), size="4096", volFormat=5, preallocate=2)
    assert os.listdir(outside) == []
    assert os.listdir(images) == [disk.image_id]


@pytest.mark.parametrize("told", [False, True])
def test_the_life_of_volumes(agent: StorageAgent, told: bool) -> None:
    disk = Disk(agent, told=told)
    base = disk.create(size="1048577")
    info = agent.call("Volume.getInfo", **disk.ids(base))
    assert info["capacity"] == str(MIB + 4096)
    assert (info["format"], info["type"], info["voltype"], info["legality"]) == ("RAW", "SPARSE", "LEAF", "LEGAL")
    assert (info["status"], info["parent"], info["pool"], info["mtime"]) == ("OK", BLANK, "", "0")
    assert info["description"] == '{"DiskAlias":"one"}'
    full = disk.create(preallocate=1)
    snapshot = disk.create(size=str(2 * MIB), volFormat=4, srcVolUUID=base)
    check_domain(disk.directory)
    assert volume_metadata(disk.path(f"{base}.meta"))["VOLTYPE"] == "INTERNAL"
    refused(agent, 204, "Volume.delete", **disk.ids(base), postZero=False, force=False)
    refused(agent, 212, "Volume.create", **disk.ids(base), size="4096", volFormat=5, preallocate=2)
    small = {"size": "4096", "volFormat": 4, "preallocate": 2, "srcVolUUID": base}
    refused(agent, 1000, "Volume.create", **disk.ids(str(uuid4())), **small)
    refused(agent, 202, "Volume.create", **disk.ids(str(uuid4())), **{**small, "volFormat": 5})
    agent.done("Volume.extendSize", **disk.ids(full), newSize=str(3 * MIB))
    sizes = agent.call("Volume.getSize", **disk.ids(full))
    assert sizes["apparentsize"] == str(3 * MIB)
    assert int(sizes["truesize"]) >= 3 * MIB
    refused(agent, 232, "Volume.extendSize", **disk.ids(full), newSize="4096")
    agent.done("Volume.extendSize", **disk.ids(snapshot), newSize=str(4 * MIB))  # nobody uses it
    assert agent.call("Volume.getInfo", **disk.ids(snapshot))["capacity"] == str(4 * MIB)
    agent.done("Volume.delete", **disk.ids(snapshot), postZero="false", force="false")
    assert volume_metadata(disk.path(f"{base}.meta"))["VOLTYPE"] == "LEAF"
    check_domain(disk.directory)
    assert agent.call("StorageDomain.getVolumes", storagedomainID=disk.domain_id) == sorted([base, full])
    agent.call("Volume.setLegality", **disk.ids(full), legality="ILLEGAL")
    assert agent.call("Volume.getInfo", **disk.ids(full))["status"] == "ILLEGAL"
    dumped = agent.call("StorageDomain.dump", sd_id=disk.domain_id, full=True)
    assert dumped["volumes"][full]["capacity"] == 3 * MIB
    agent.call("StoragePool.spmStop", storagepoolID=disk.pool_id)
    refused(agent, 654, "Volume.delete", **disk.ids(full))


def test_templates(agent: StorageAgent) -> None:
    disk = Disk(agent)
    base = disk.create()
    disk.path(base).write_bytes(b"x" * MIB)
    leaf = disk.create(volFormat=4, srcVolUUID=base)
    run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 64k 64k", disk.path(leaf)], timeout_seconds=30)
    image, volume = str(uuid4()), str(uuid4())
    target = {"dstSdUUID": BLANK, "dstImgUUID": image, "dstVolUUID": volume, "desc": "template"}
    choice = {"volType": 6, "volFormat": 5, "preallocate": 2, "postZero": "false", "force": "false"}
    agent.done("Volume.copy", **disk.ids(leaf), **target, **choice)
    template = disk.directory / "images" / image / volume
    assert template.read_bytes() == b"x" * 65536 + b"\x07" * 65536 + b"x" * (MIB - 131072)
    disk.image_id = str(uuid4())
    derived = disk.create(volFormat=4, srcImgUUID=image, srcVolUUID=volume)
    assert template.samefile(disk.path(volume))
    check_domain(disk.directory)
    refused(agent, 223, "Volume.delete", **disk.ids(volume))
    disk.image_id, inner = str(uuid4()), disk.image_id
    refused(
        agent, 214, "Volume.create",
        **disk.ids(str(uuid4())), size=str(MIB), volFormat=4, preallocate=2, srcImgUUID=inner, srcVolUUID=derived,
    )  # fmt: skip


def test_ids_that_name_nothing(agent: StorageAgent) -> None:
    disk = Disk(agent)
    base = disk.create()
    new = {"dstSdUUID": BLANK, "dstImgUUID": str(uuid4()), "dstVolUUID": str(uuid4()), "volType": 8}
    verbs: tuple[tuple[str, dict[str, Any]], ...] = (
        ("Image.prepare", {}), ("Volume.copy", new), ("Volume.getQemuImageInfo", {}), ("Volume.verify_untrusted", {}),
        ("Volume.measure", {"dstVolFormat": 4}), ("Volume.getInfo", {}), ("ContainerImage.inspect", {}),
        ("ContainerImage.remove", {"jobID": str(uuid4())}),
        ("Volume.create", {"size": str(MIB), "volFormat": 5, "preallocate": 2}),
    )  # fmt: skip
    for sent, reason in ((BLANK, f"is {BLANK!r}; that names none"), ("x/../y", "is 'x/../y', which is not a UUID")):
        for name, target in (("volumeID", "dstVolUUID"), ("imageID", "dstImgUUID")):
            for verb, more in verbs:
                assert f"{name} {reason}" in refused(agent, 1000, verb, **{**disk.ids(base), name: sent}, **more)
            assert f"{target} {reason}" in refused(
                agent, 1000, "Volume.copy", **disk.ids(base), **{**new, target: sent}
            )
    assert agent.call("StorageDomain.getVolumes", storagedomainID=disk.domain_id) == [base]


def test_a_guest_s_disk_that_names_no_volume(agent: StorageAgent) -> None:
    disk = Disk(agent)
    disk.create()
    ref = VolumeRef(pool_id=disk.pool_id, domain_id=disk.domain_id, image_id=disk.image_id, volume_id=BLANK)
    with pytest.raises(NoSuchVolume):
        agent.storage.volumes.prepare(ref, user="a guest")


def test_volumes_are_held_until_their_last_user_is_gone(agent: StorageAgent) -> None:
    disk = Disk(agent)
    base = disk.create()
    leaf = disk.create(volFormat=4, srcVolUUID=base)
    volumes, ref = agent.storage.volumes, disk.ref(leaf)
    path = Path(volumes.prepare(ref, user="vm-1"))
    assert path.is_relative_to(agent.root.path / "rhev/data-center/mnt")
    assert path.samefile(disk.path(leaf))
    assert volumes.prepare(ref, user="vm-2") == volumes.prepare(ref, user="vm-1") == str(path)
    link = agent.root.path / "run/vdsm/storage" / disk.domain_id / disk.image_id
    assert (link / leaf).samefile(path)
    ids = {"storagedomainID": disk.domain_id, "storagepoolID": disk.pool_id}
    refused(agent, 203, "Volume.delete", **disk.ids(leaf))
    refused(agent, 382, "StorageDomain.deactivate", **ids)
    volumes.teardown(ref, user="vm-1")
    assert link.is_symlink()

    successor = StorageAgent(agent.root)
    successor.start()
    try:
        assert successor.storage.volumes.users(ref) == {"vm-2"}
        assert successor.call("Host.getConnectedStoragePools") == [disk.pool_id]
        refused(successor, 654, "Volume.delete", **disk.ids(leaf))
        successor.start_spm(disk.pool_id)
        refused(successor, 203, "Volume.delete", **disk.ids(leaf))
        successor.storage.volumes.release("vm-2")
        assert not link.exists()
        successor.done("Volume.delete", **disk.ids(leaf))
        disk.path(base).unlink()
        refused(successor, 201, "Image.prepare", **disk.ids(base))
    finally:
        successor.stop()


def test_the_master_moves(agent: StorageAgent) -> None:
    first, second = agent.new_domain(agent.root.path / "one"), agent.new_domain(agent.root.path / "two")
    pool = agent.new_pool(first)
    ids = {"storagedomainID": second, "storagepoolID": pool}
    agent.call("StorageDomain.attach", **ids)
    agent.call("StorageDomain.activate", **ids)
    agent.call("StorageDomain.deactivate", **{**ids, "storagedomainID": first}, masterSdUUID=second, masterVersion=2)
    info = agent.call("StoragePool.getInfo", storagepoolID=pool)["info"]
    assert (info["master_uuid"], info["master_ver"]) == (second, 2)
    assert info["domains"] == f"{first}:Attached,{second}:Active"
    assert check_domain(agent.root.path / "two" / second)["ROLE"] == "Master"
    assert check_domain(agent.root.path / "one" / first)["ROLE"] == "Regular"
    links = agent.root.path / "rhev/data-center" / pool
    assert sorted(link.name for link in links.iterdir()) == sorted([second, "mastersd"])


def test_a_domain_that_vanishes_and_comes_back() -> None:
    told: list[tuple[str, bool]] = []
    with new_root() as root:
        agent = StorageAgent(root, listener=lambda domain_id, well: told.append((domain_id, well)))
        agent.start()
        try:
            disk = Disk(agent)
            other = agent.new_domain(root.path / "other")
            ids = {"storagedomainID": other, "storagepoolID": disk.pool_id}
            agent.call("StorageDomain.attach", **ids)
            agent.call("StorageDomain.activate", **ids)
            wait_until(lambda: set(told) == {(disk.domain_id, True), (other, True)})
            (root.path / "other").rename(root.path / "away")
            wait_until(lambda: told[-1] == (other, False))
            health = agent.call("Host.getStorageRepoStats")
            assert (health[other]["valid"], health[other]["code"]) == (False, 364)
            assert health[disk.domain_id]["valid"]
            (root.path / "away").rename(root.path / "other")
            wait_until(lambda: told[-1] == (other, True))
        finally:
            agent.stop()


class Killed(BaseException):
    """Stands for kill -9: nothing of ours runs after it."""


@pytest.mark.parametrize("last", ["make", "create", "link", "first-link", "settle"])
def test_a_half_made_volume_is_taken_back(agent: StorageAgent, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    disk = Disk(agent)
    base = disk.create()
    work = agent.storage.work
    new = NewVolume(
        ref=disk.ref(str(uuid4())), capacity_bytes=MIB, format=ImageFormat.QCOW2, allocation=Allocation.SPARSE,
        disk_type="DATA", description="", parent=disk.ref(base),
    )  # fmt: skip
    params = new.as_params()
    with monkeypatch.context() as patch:
        kill_after(patch, last)
        with pytest.raises(Killed):
            work.run_create(params, Control({}))
    for _ in range(2):
        work.undo_create(params)
        assert agent.call("StorageDomain.getVolumes", storagedomainID=disk.domain_id) == [base]
        check_domain(disk.directory)
    work.run_create(params, Control({}))
    check_domain(disk.directory)
    # Another one's volume of the same name is not taken back.
    again = {**params, "stage": "_covirt_new_other"}
    with pytest.raises(VolumeExists):
        work.run_create(again, Control({}))
    work.undo_create(again)
    assert new.ref.volume_id in agent.call("StorageDomain.getVolumes", storagedomainID=disk.domain_id)


def kill_after(patch: pytest.MonkeyPatch, step: str) -> None:
    """Let this step happen, and nothing after it."""
    name, passing = {
        "make": ("make", 0), "create": ("create", 1), "first-link": ("link", 0), "link": ("link", 1),
        "settle": ("remove", -1),
    }[step]  # fmt: skip
    real = getattr(Directory, name)
    calls = [0]

    def stopping(self: Directory, *args: Any, **keywords: Any) -> Any:
        if passing < 0:
            raise Killed
        result = real(self, *args, **keywords)
        calls[0] += 1
        if calls[0] > passing:
            raise Killed
        return result

    patch.setattr(Directory, name, stopping)


def test_a_deletion_that_was_cut_short_goes_on(agent: StorageAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(agent)
    base = disk.create()
    leaf = disk.create(volFormat=4, srcVolUUID=base)
    params = {"ref": asdict(disk.ref(leaf)), "force": False}
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "replace", _kill_at_second(Directory.replace))
        with pytest.raises(Killed):
            agent.storage.work.run_delete(params, Control({}))
    assert not disk.path(leaf).exists()
    for _ in range(2):
        agent.storage.work.run_delete(params, Control({}))
        check_domain(disk.directory)
        assert agent.call("StorageDomain.getVolumes", storagedomainID=disk.domain_id) == [base]


def _kill_at_second(real: Any) -> Any:
    calls = [0]

    def stopping(self: Directory, *args: Any, **keywords: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise Killed
        return real(self, *args, **keywords)

    return stopping


@pytest.mark.parametrize("step", ["unlink", "replace"])
@pytest.mark.parametrize("passing", range(4))
def test_a_deletion_bears_a_kill_anywhere(
    agent: StorageAgent, monkeypatch: pytest.MonkeyPatch, step: str, passing: int
) -> None:
    disk = Disk(agent)
    base = disk.create()
    leaf = disk.create(volFormat=4, srcVolUUID=base)
    params = {"ref": asdict(disk.ref(leaf)), "force": False}
    with monkeypatch.context() as patch:
        patch.setattr(Directory, step, _killed_after(getattr(Directory, step), passing))
        with contextlib.suppress(Killed):
            agent.storage.work.run_delete(params, Control({}))
    agent.storage.work.run_delete(params, Control({}))
    check_domain(disk.directory)
    assert volume_metadata(disk.path(f"{base}.meta"))["VOLTYPE"] == "LEAF"
    assert {path.name for path in disk.path(base).parent.iterdir()} == {base, f"{base}.meta"}


def _killed_after(real: Any, passing: int) -> Any:
    """Let so many calls happen, and then one more that is the last thing of all."""
    calls = [0]

    def stopping(self: Directory, *args: Any, **keywords: Any) -> Any:
        if calls[0] > passing:
            raise Killed
        calls[0] += 1
        result = real(self, *args, **keywords)
        if calls[0] > passing:
            raise Killed
        return result

    return stopping


def test_zeroing_a_disk_leaves_the_template_it_builds_on(agent: StorageAgent) -> None:
    disk = Disk(agent)
    base = disk.create()
    template_image, template_volume = str(uuid4()), str(uuid4())
    agent.done(
        "Volume.copy", **disk.ids(base), dstSdUUID=BLANK, dstImgUUID=template_image, dstVolUUID=template_volume,
        desc="template", volType=6, volFormat=5, preallocate=2,
    )  # fmt: skip
    template = disk.directory / "images" / template_image / template_volume
    template.write_bytes(b"golden" * 1000)
    images = [disk.image_id, str(uuid4())]
    for image_id in images:
        disk.create(volFormat=4, srcImgUUID=template_image, srcVolUUID=template_volume, imageID=image_id)
    ids = {"storagepoolID": disk.pool_id, "storagedomainID": disk.domain_id, "force": False}
    refused(agent, 223, "Image.delete", imageID=template_image, postZero=False, **ids)
    for image_id in images:
        agent.done("Image.delete", imageID=image_id, postZero=True, **ids)
        assert template.read_bytes().startswith(b"golden"), "the template's data is gone"
    agent.done("Image.delete", imageID=template_image, postZero=True, **ids)
    assert not template.exists()
    check_domain(disk.directory)


@pytest.mark.parametrize("verb", ["Volume.delete", "Image.delete"])
def test_what_is_to_be_wiped_is_overwritten_where_it_has_blocks(agent: StorageAgent, verb: str) -> None:
    """A snapshot's volume goes by itself, and a thin one is not filled: storage may have no room for all of it."""
    disk = Disk(agent)
    volume = disk.create(size=str(64 * MIB))
    with disk.path(volume).open("r+b") as stream:
        for at in (0, 5 * MIB + 17, 64 * MIB - 6):
            stream.seek(at)
            stream.write(b"secret")
    with disk.path(volume).open("rb") as kept:
        agent.done(verb, **disk.ids(volume), postZero="true", force="false")
        assert not disk.path(volume).exists()
        status = os.fstat(kept.fileno())
        assert not kept.read().strip(b"\0")
    assert status.st_blocks * 512 < MIB
    check_domain(disk.directory)


def test_what_waits_for_storage_goes_on_when_it_is_connected(
    agent: StorageAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have been away for less than the monitor's period, which notices nothing then."""
    disk = Disk(agent)

    def torn_off(*_: object, **_more: object) -> None:
        agent.storage.domains.disconnect(LOCALFS, Connection(id=BLANK, path=str(disk.server)))
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(qemu_img, "create_qcow2", torn_off)
    new = {**disk.ids(str(uuid4())), "size": 4096, "volFormat": 4, "preallocate": 2}
    task_id = agent.call("Volume.create", **new)
    wait_until(lambda: "waits to be undone" in caplog.text)
    assert agent.call("Task.getStatus", taskID=task_id)["taskState"] == "cleaning"

    def connected() -> bool:  # again until the worker has put it down
        agent.connect(disk.server)
        return bool(agent.call("Task.getStatus", taskID=task_id)["taskState"] == "finished")

    wait_until(connected)
    assert os.listdir(disk.directory / "images") == []


def test_an_image_is_changed_only_for_the_pool_that_it_is_in(agent: StorageAgent) -> None:
    disk = Disk(agent)
    volume_id = disk.create()
    other, source = str(uuid4()), {"url": "docker://registry.invalid/image", "tlsVerify": True}
    for pool_id in (other, BLANK):
        refused(agent, 309, "Image.delete", **{**disk.ids(), "storagepoolID": pool_id}, postZero=False, force=False)
    new = {**disk.ids(str(uuid4())), "imageID": str(uuid4()), "storagepoolID": other}
    refused(agent, 309, "ContainerImage.import", **new, jobID=str(uuid4()), source=source, description="")
    agent.call("StoragePool.spmStop", storagepoolID=disk.pool_id)
    refused(agent, 654, "Image.delete", **disk.ids(), postZero=False, force=False)
    assert disk.path(volume_id).exists()


@pytest.mark.parametrize("zero", [False, True])
def test_an_image_with_damaged_metadata_can_be_removed(agent: StorageAgent, zero: bool) -> None:
    """getInfo tells an engine that such a volume is invalid, so that its user removes it."""
    disk = Disk(agent)
    volume = disk.create()
    disk.path(f"{volume}.meta").write_bytes(b"")
    assert agent.call("Volume.getInfo", **disk.ids(volume))["status"] == "INVALID"
    agent.done("Image.delete", **disk.ids(), postZero=zero, force=False)
    assert not disk.path(volume).parent.exists()
    refused(agent, 268, "Image.delete", **disk.ids(), postZero=zero, force=False)


def test_what_was_prepared_is_given_back_while_storage_is_away(agent: StorageAgent) -> None:
    """Otherwise the domain would be in use for ever."""
    disk = Disk(agent)
    base = disk.create()
    leaf = disk.create(volFormat=4, srcVolUUID=base)
    for volume_id in (base, leaf):
        agent.call("Image.prepare", **disk.ids(volume_id), allowIllegal=False)
    away = disk.server.with_name("away")
    disk.server.rename(away)
    agent.call("Image.teardown", **disk.ids(leaf))
    assert agent.storage.volumes.users(disk.ref(leaf)) == frozenset()
    assert agent.storage.volumes.users(disk.ref(base)) == {"engine"}
    agent.call("Image.teardown", **disk.ids(), volumeID=None)
    assert agent.storage.volumes.domain_users(disk.domain_id) == frozenset()
    away.rename(disk.server)


def test_a_domain_is_renamed_beside_no_other_change(agent: StorageAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads metadata to write it again loses what another wrote in between."""
    disk = Disk(agent)
    other = agent.new_domain(agent.root.path / "two")
    began, renamed = threading.Event(), threading.Event()
    read = agent.storage.domains.metadata

    def slow(domain_id: str) -> DomainMetadata:
        metadata = read(domain_id)
        if threading.current_thread().name == "rename":
            began.set()
            renamed.wait(0.3)  # as long as the other change could take if nothing held it back
        return metadata

    monkeypatch.setattr(agent.storage.domains, "metadata", slow)
    names = {"storagedomainID": other, "description": "another name"}
    thread = threading.Thread(target=lambda: agent.call("StorageDomain.setDescription", **names), name="rename")
    thread.start()
    assert began.wait(30)
    agent.call("StorageDomain.attach", storagedomainID=other, storagepoolID=disk.pool_id)
    renamed.set()
    thread.join(30)
    found = check_domain(agent.root.path / "two" / other)
    assert (found["DESCRIPTION"], found["POOL_UUID"]) == ("another name", disk.pool_id)
