# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What may be done, one permit a thing, with oVirt's names and numbers (clients make roles of them by number)."""

from enum import StrEnum
from typing import Final, Self

from covirt.engine.model.access import Permit

_ADMIN: Final = "admin"
_ALONE: Final = "alone"


class Right(StrEnum):
    """A permit by oVirt's name. ``administrative``: only roles of administrators may have it. ``shows_contents``: who
    has it on an object sees what lies in the object."""

    number: int
    administrative: bool
    shows_contents: bool

    def __new__(cls, name: str, number: int, *words: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.number = number
        member.administrative = _ADMIN in words
        member.shows_contents = _ALONE not in words
        return member

    CREATE_VM = "create_vm", 1, _ALONE
    DELETE_VM = "delete_vm", 2
    EDIT_VM_PROPERTIES = "edit_vm_properties", 3
    REBOOT_VM = "reboot_vm", 17
    RESET_VM = "reset_vm", 23
    STOP_VM = "stop_vm", 18
    SHUT_DOWN_VM = "shut_down_vm", 19
    HIBERNATE_VM = "hibernate_vm", 21
    RUN_VM = "run_vm", 22
    CHANGE_VM_CD = "change_vm_cd", 5
    MIGRATE_VM = "migrate_vm", 6
    CONNECT_TO_SERIAL_CONSOLE = "connect_to_serial_console", 1664
    CONNECT_TO_VM = "connect_to_vm", 7
    IMPORT_EXPORT_VM = "import_export_vm", 8, _ADMIN
    CONFIGURE_VM_NETWORK = "configure_vm_network", 9
    CONFIGURE_VM_STORAGE = "configure_vm_storage", 10
    MOVE_VM = "move_vm", 11
    MANIPULATE_VM_SNAPSHOTS = "manipulate_vm_snapshots", 12
    RECONNECT_TO_VM = "reconnect_to_vm", 13
    CHANGE_VM_CUSTOM_PROPERTIES = "change_vm_custom_properties", 14, _ADMIN
    EDIT_ADMIN_VM_PROPERTIES = "edit_admin_vm_properties", 15, _ADMIN
    CREATE_INSTANCE = "create_instance", 16, _ALONE
    CREATE_HOST = "create_host", 100, _ADMIN
    EDIT_HOST_CONFIGURATION = "edit_host_configuration", 101, _ADMIN
    DELETE_HOST = "delete_host", 102, _ADMIN
    MANIPULATE_HOST = "manipulate_host", 103, _ADMIN
    CONFIGURE_HOST_NETWORK = "configure_host_network", 104, _ADMIN
    CREATE_TEMPLATE = "create_template", 200, _ALONE
    EDIT_TEMPLATE_PROPERTIES = "edit_template_properties", 201
    DELETE_TEMPLATE = "delete_template", 202
    COPY_TEMPLATE = "copy_template", 203
    CONFIGURE_TEMPLATE_NETWORK = "configure_template_network", 204
    EDIT_ADMIN_TEMPLATE_PROPERTIES = "edit_admin_template_properties", 205, _ADMIN
    CREATE_VM_POOL = "create_vm_pool", 300, _ALONE
    EDIT_VM_POOL_CONFIGURATION = "edit_vm_pool_configuration", 301
    DELETE_VM_POOL = "delete_vm_pool", 302
    VM_POOL_BASIC_OPERATIONS = "vm_pool_basic_operations", 303
    CREATE_CLUSTER = "create_cluster", 400, _ADMIN
    EDIT_CLUSTER_CONFIGURATION = "edit_cluster_configuration", 401, _ADMIN
    DELETE_CLUSTER = "delete_cluster", 402, _ADMIN
    CONFIGURE_CLUSTER_NETWORK = "configure_cluster_network", 403, _ADMIN
    ASSIGN_CLUSTER_NETWORK = "assign_cluster_network", 404, _ADMIN
    MANIPULATE_USERS = "manipulate_users", 500, _ADMIN
    MANIPULATE_ROLES = "manipulate_roles", 501, _ADMIN
    MANIPULATE_PERMISSIONS = "manipulate_permissions", 502
    ADD_USERS_AND_GROUPS_FROM_DIRECTORY = "add_users_and_groups_from_directory", 503
    EDIT_PROFILE = "edit_profile", 504
    CREATE_STORAGE_DOMAIN = "create_storage_domain", 600, _ADMIN
    EDIT_STORAGE_DOMAIN_CONFIGURATION = "edit_storage_domain_configuration", 601, _ADMIN
    DELETE_STORAGE_DOMAIN = "delete_storage_domain", 602, _ADMIN
    MANIPULATE_STORAGE_DOMAIN = "manipulate_storage_domain", 603, _ADMIN
    CREATE_STORAGE_POOL = "create_storage_pool", 700, _ADMIN
    DELETE_STORAGE_POOL = "delete_storage_pool", 701, _ADMIN
    EDIT_STORAGE_POOL_CONFIGURATION = "edit_storage_pool_configuration", 702, _ADMIN
    CONFIGURE_STORAGE_POOL_NETWORK = "configure_storage_pool_network", 703, _ADMIN
    CREATE_STORAGE_POOL_NETWORK = "create_storage_pool_network", 704, _ADMIN
    DELETE_STORAGE_POOL_NETWORK = "delete_storage_pool_network", 705, _ADMIN
    CONFIGURE_ENGINE = "configure_engine", 800, _ADMIN
    CONFIGURE_QUOTA = "configure_quota", 900, _ADMIN
    CONSUME_QUOTA = "consume_quota", 901
    CREATE_GLUSTER_VOLUME = "create_gluster_volume", 1000, _ADMIN
    MANIPULATE_GLUSTER_VOLUME = "manipulate_gluster_volume", 1001, _ADMIN
    DELETE_GLUSTER_VOLUME = "delete_gluster_volume", 1002, _ADMIN
    MANIPULATE_GLUSTER_HOOK = "manipulate_gluster_hook", 1003, _ADMIN
    MANIPULATE_GLUSTER_SERVICE = "manipulate_gluster_service", 1004, _ADMIN
    CREATE_DISK = "create_disk", 1100, _ALONE
    ATTACH_DISK = "attach_disk", 1101
    EDIT_DISK_PROPERTIES = "edit_disk_properties", 1102
    CONFIGURE_DISK_STORAGE = "configure_disk_storage", 1103
    DELETE_DISK = "delete_disk", 1104
    CONFIGURE_SCSI_GENERIC_IO = "configure_scsi_generic_io", 1105, _ADMIN
    ACCESS_IMAGE_STORAGE = "access_image_storage", 1106, _ALONE
    DISK_LIVE_STORAGE_MIGRATION = "disk_live_storage_migration", 1107
    SPARSIFY_DISK = "sparsify_disk", 1108
    REDUCE_DISK = "reduce_disk", 1109, _ADMIN
    BACKUP_DISK = "backup_disk", 1110, _ADMIN
    CONFIGURE_NETWORK_VNIC_PROFILE = "configure_network_vnic_profile", 1203, _ADMIN
    CREATE_NETWORK_VNIC_PROFILE = "create_network_vnic_profile", 1204, _ADMIN
    DELETE_NETWORK_VNIC_PROFILE = "delete_network_vnic_profile", 1205, _ADMIN
    LOGIN = "login", 1300, _ALONE
    INJECT_EXTERNAL_EVENTS = "inject_external_events", 1400, _ADMIN, _ALONE
    INJECT_EXTERNAL_TASKS = "inject_external_tasks", 1500, _ADMIN, _ALONE
    TAG_MANAGEMENT = "tag_management", 1301, _ADMIN, _ALONE
    BOOKMARK_MANAGEMENT = "bookmark_management", 1302, _ADMIN, _ALONE
    EVENT_NOTIFICATION_MANAGEMENT = "event_notification_management", 1303, _ADMIN, _ALONE
    AUDIT_LOG_MANAGEMENT = "audit_log_management", 1304, _ADMIN, _ALONE
    MANIPULATE_AFFINITY_GROUPS = "manipulate_affinity_groups", 1550, _ADMIN
    CONFIGURE_STORAGE_DISK_PROFILE = "configure_storage_disk_profile", 1560, _ADMIN
    CREATE_STORAGE_DISK_PROFILE = "create_storage_disk_profile", 1561, _ADMIN
    DELETE_STORAGE_DISK_PROFILE = "delete_storage_disk_profile", 1562, _ADMIN
    ATTACH_DISK_PROFILE = "attach_disk_profile", 1563
    CREATE_MAC_POOL = "create_mac_pool", 1660, _ADMIN
    EDIT_MAC_POOL = "edit_mac_pool", 1661, _ADMIN
    DELETE_MAC_POOL = "delete_mac_pool", 1662, _ADMIN
    CONFIGURE_MAC_POOL = "configure_mac_pool", 1663, _ADMIN
    DELETE_CPU_PROFILE = "delete_cpu_profile", 1665, _ADMIN
    UPDATE_CPU_PROFILE = "update_cpu_profile", 1666, _ADMIN
    CREATE_CPU_PROFILE = "create_cpu_profile", 1667, _ADMIN
    ASSIGN_CPU_PROFILE = "assign_cpu_profile", 1668, _ADMIN
    # covirt's own, far from oVirt's numbers.
    CREATE_SECRET = "create_secret", 20001, _ALONE
    USE_SECRET = "use_secret", 20002
    EDIT_SECRET = "edit_secret", 20003


PERMITS: Final = tuple(
    Permit(id=str(right.number), name=right.value, administrative=right.administrative) for right in Right
)
