# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What operations on container images need to know."""

from covirt.common.errors import Conflict
from covirt.engine.hosts.connections import Hosts
from covirt.engine.model.disk import Disk
from covirt.engine.model.storage_domain import StorageDomain, StorageDomainStatus
from covirt.engine.store.session import Session
from covirt.rpc.jsonrpc import Json


class NoManager(Conflict):
    """Fields: action, domain."""

    template = "Cannot {action} the container image. No host manages Storage Domain {domain} now; activate it first."


def manager_of(session: Session, hosts: Hosts, domain: StorageDomain, action: str) -> str:
    """The id of the host that works on the domain. Raises NoManager."""
    center = session.data_centers.find(id=domain.data_center_id) if domain.data_center_id else None
    manager = center.spm_host_id if center else None
    if manager is None or domain.status is not StorageDomainStatus.ACTIVE or not hosts.is_up(manager):
        raise NoManager(action=action, domain=domain.name)
    return manager


def volume_ids(session: Session, disk: Disk) -> dict[str, Json]:
    """The disk's volume, as verbs of storage name it."""
    domain = session.storage_domains.get(disk.storage_domain_id)
    return {
        "storagepoolID": domain.data_center_id,
        "storagedomainID": domain.id,
        "imageID": disk.id,
        "volumeID": disk.image_id,
    }
