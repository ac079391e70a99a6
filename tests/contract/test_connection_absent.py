# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection: what a domain has none of is answered as nothing, and not as something that is wrong."""

import libvirt
import pytest

from tests.support.connections import Ability, Client, refused

OPERATION_INVALID = libvirt.VIR_ERR_OPERATION_INVALID


def test_no_snapshots(client: Client) -> None:
    domain = client.define("one")
    assert domain.snapshotNum() == 0
    assert domain.snapshotListNames() == []
    assert domain.listAllSnapshots() == []
    assert domain.hasCurrentSnapshot() == 0
    with refused(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
        domain.snapshotLookupByName("never")
    with refused(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
        domain.snapshotCurrent()


def test_no_checkpoints(client: Client) -> None:
    domain = client.define("one")
    assert domain.listAllCheckpoints() == []
    with refused(libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT):
        domain.checkpointLookupByName("never")


def test_no_saved_state(client: Client) -> None:
    domain = client.define("one")
    assert domain.hasManagedSaveImage() == 0
    if client.implementation.name != "qemu":  # which fails to remove the file that is not there
        assert domain.managedSaveRemove() == 0


def test_no_job(client: Client) -> None:
    client.require(Ability.JOB_INFO)
    domain = client.run("one")
    assert domain.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_NONE
    assert domain.jobStats()["type"] == libvirt.VIR_DOMAIN_JOB_NONE
    with refused(OPERATION_INVALID):
        domain.abortJob()
    with refused(libvirt.VIR_ERR_NO_DOMAIN_BACKUP):
        domain.backupGetXMLDesc()
    with refused(libvirt.VIR_ERR_INVALID_ARG):
        domain.blockJobInfo("never", 0)


def test_no_disk_errors(client: Client) -> None:
    domain = client.define("one")
    if client.implementation.name != "test":  # where every disk of a domain that is on has an error
        with refused(OPERATION_INVALID):
            domain.diskErrors()
        domain.create()
        assert domain.diskErrors() == {}


def test_no_filters(client: Client) -> None:
    if client.implementation.name in ("test", "qemu"):
        pytest.skip(f"{client.implementation.name} differs, it may have some")
    connection = client.connection
    assert (connection.numOfNWFilters(), connection.listNWFilters(), connection.listAllNWFilters()) == (0, [], [])
    with refused(libvirt.VIR_ERR_NO_NWFILTER):
        connection.nwfilterLookupByName("never")


def test_free_pages(client: Client) -> None:
    if client.implementation.name in ("test", "qemu"):
        pytest.skip(f"{client.implementation.name} differs, it has NUMA nodes of its own")
    assert list(client.connection.getFreePages([4], 0, 1)) == [0]
    assert client.connection.getFreePages([4], 0, 1)[0][4] > 0
    with refused(libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_OPERATION_FAILED):
        client.connection.getFreePages([3], 0, 1)
