# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that the API has, in the order in which its root tells it."""

from typing import Final

from covirt.engine.api.registry import Registry
from covirt.engine.api.resources.absent import AT_TOP
from covirt.engine.api.resources.access import PERMISSIONS, ROLES, groups, users
from covirt.engine.api.resources.affinity import AFFINITY_LABELS, TAGS, tags_of
from covirt.engine.api.resources.catalogue import ICONS, OPERATING_SYSTEMS, OPTIONS, SCHEDULING_POLICIES
from covirt.engine.api.resources.clusters import CLUSTER_LEVELS, CLUSTERS, CPU_PROFILES, DATA_CENTERS
from covirt.engine.api.resources.disks import DISKS
from covirt.engine.api.resources.events import EVENTS, JOBS
from covirt.engine.api.resources.hosts import HOSTS
from covirt.engine.api.resources.networks import MAC_POOLS, NETWORK_FILTERS, NETWORKS, VNIC_PROFILES
from covirt.engine.api.resources.storage_domains import DISK_PROFILES, STORAGE_CONNECTIONS, STORAGE_DOMAINS
from covirt.engine.api.resources.templates import INSTANCE_TYPES, TEMPLATES
from covirt.engine.api.resources.transfers import IMAGE_TRANSFERS
from covirt.engine.api.resources.vms import VMS
from covirt.engine.model.affinity import TaggedType

REGISTRY: Final = Registry(
    sorted(
        (
            *AT_TOP,
            AFFINITY_LABELS,
            CLUSTERS,
            CLUSTER_LEVELS,
            CPU_PROFILES,
            DATA_CENTERS,
            DISKS,
            DISK_PROFILES,
            EVENTS,
            HOSTS,
            ICONS,
            IMAGE_TRANSFERS,
            INSTANCE_TYPES,
            JOBS,
            MAC_POOLS,
            NETWORKS,
            NETWORK_FILTERS,
            OPERATING_SYSTEMS,
            OPTIONS,
            PERMISSIONS,
            ROLES,
            SCHEDULING_POLICIES,
            STORAGE_CONNECTIONS,
            STORAGE_DOMAINS,
            TAGS,
            TEMPLATES,
            VMS,
            VNIC_PROFILES,
            groups(tags_of(TaggedType.GROUP)),
            users(tags_of(TaggedType.USER)),
        ),
        key=lambda collection: collection.path,
    )
)
