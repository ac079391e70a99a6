# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The roles that an engine has from its first start, as oVirt's: ids, names and permits are what clients know."""

from typing import Final

from covirt.engine.auth.permits import Right
from covirt.engine.model.access import Role

# What often goes together.
_EVERY_ADMINISTRATOR: Final = (
    "login tag_management bookmark_management event_notification_management audit_log_management"
)
_SWITCH: Final = "reboot_vm stop_vm shut_down_vm hibernate_vm run_vm reset_vm"
_GIVE: Final = "manipulate_permissions add_users_and_groups_from_directory"
_HOST: Final = "create_host edit_host_configuration delete_host manipulate_host configure_host_network"
_CLUSTER: Final = "create_cluster edit_cluster_configuration delete_cluster configure_cluster_network"
_DATA_CENTER: Final = "create_storage_pool delete_storage_pool edit_storage_pool_configuration"
_NETWORK: Final = (
    "configure_storage_pool_network create_storage_pool_network delete_storage_pool_network "
    "configure_network_vnic_profile create_network_vnic_profile delete_network_vnic_profile "
    "assign_cluster_network"
)
_TEMPLATE: Final = "edit_template_properties delete_template copy_template configure_template_network"
_POOL: Final = "create_vm_pool edit_vm_pool_configuration delete_vm_pool vm_pool_basic_operations"
_DISK: Final = "create_disk attach_disk edit_disk_properties delete_disk"
_DISK_CARE: Final = "sparsify_disk reduce_disk backup_disk"
_STORAGE_DOMAIN: Final = (
    "create_storage_domain edit_storage_domain_configuration delete_storage_domain manipulate_storage_domain"
)
_DISK_PROFILE: Final = (
    "configure_storage_disk_profile create_storage_disk_profile delete_storage_disk_profile attach_disk_profile"
)
_CPU_PROFILE: Final = "delete_cpu_profile update_cpu_profile create_cpu_profile assign_cpu_profile"
_MAC_POOL: Final = "create_mac_pool edit_mac_pool delete_mac_pool configure_mac_pool"
_USE_VM: Final = "delete_vm edit_vm_properties change_vm_cd connect_to_vm configure_vm_storage"
_ADMIN_VM: Final = (
    "create_vm migrate_vm import_export_vm configure_vm_network move_vm manipulate_vm_snapshots "
    "change_vm_custom_properties edit_admin_vm_properties"
)
_ADMINISTRATIVE: Final = {
    "SuperUser",
    "ClusterAdmin",
    "DataCenterAdmin",
    "StorageAdmin",
    "HostAdmin",
    "NetworkAdmin",
    "VmPoolAdmin",
    "TemplateAdmin",
    "GlusterAdmin",
    "ReadOnlyAdmin",
    "TagManager",
    "BookmarkManager",
    "EventNotificationManager",
    "AuditLogManager",
    "MacPoolAdmin",
    "VmImporterExporter",
    "CpuProfileCreator",
}
_RIGHTS: Final = {right.value: right for right in Right}


def _role(role_id: str, name: str, description: str, *permits: str, alone: bool = False) -> Role:
    """``alone``: it does not show what lies in the object."""
    rights = [_RIGHTS[word] for permit in permits for word in permit.split()]
    return Role(
        id=role_id,
        name=name,
        description=description,
        administrative=name in _ADMINISTRATIVE,
        mutable=False,
        shows_contents=not alone,
        permit_ids=frozenset(str(right.number) for right in rights),
    )


ROLES: Final = (
    _role(
        "00000000-0000-0000-0000-000000000001",
        "SuperUser",
        "Roles management administrator",
        *(right for right in Right if right not in {Right.CREATE_INSTANCE, Right.EDIT_PROFILE}),
    ),
    _role(
        "00000000-0000-0000-0001-000000000001",
        "UserRole",
        "Standard User Role",
        _SWITCH,
        "change_vm_cd connect_to_vm vm_pool_basic_operations access_image_storage login",
    ),
    _role(
        "00000000-0000-0000-0001-000000000002",
        "PowerUserRole",
        "User Role, allowed to create VMs, Templates and Disks",
        _CPU_PROFILE,
        "create_vm create_template create_disk access_image_storage login attach_disk_profile",
        alone=True,
    ),
    _role(
        "def00001-0000-0000-0000-def000000001",
        "ClusterAdmin",
        "Administrator Role, permission for all the objects underneath a specific Cluster",
        _EVERY_ADMINISTRATOR,
        _SWITCH,
        _GIVE,
        _HOST,
        _CLUSTER,
        _POOL,
        _DISK,
        _DISK_CARE,
        _CPU_PROFILE,
        _USE_VM,
        _ADMIN_VM,
        "configure_disk_storage disk_live_storage_migration manipulate_affinity_groups attach_disk_profile",
        "configure_mac_pool",
    ),
    _role(
        "def00002-0000-0000-0000-def000000002",
        "DataCenterAdmin",
        "Administrator Role, permission for all the objects underneath a specific Data Center, except Storage",
        _EVERY_ADMINISTRATOR,
        _SWITCH,
        _GIVE,
        _HOST,
        _CLUSTER,
        _DATA_CENTER,
        _NETWORK,
        _TEMPLATE,
        _POOL,
        _DISK,
        _DISK_CARE,
        _CPU_PROFILE,
        _USE_VM,
        _ADMIN_VM,
        "create_template edit_admin_template_properties configure_quota consume_quota configure_disk_storage",
        "configure_scsi_generic_io disk_live_storage_migration manipulate_affinity_groups attach_disk_profile",
        "configure_mac_pool",
    ),
    _role(
        "def00003-0000-0000-0000-def000000003",
        "StorageAdmin",
        "Administrator Role, permission for all operations on a specific Storage Domain",
        _EVERY_ADMINISTRATOR,
        _DISK,
        _DISK_CARE,
        _STORAGE_DOMAIN,
        _DISK_PROFILE,
        "configure_disk_storage access_image_storage disk_live_storage_migration",
    ),
    _role(
        "def00004-0000-0000-0000-def000000004",
        "HostAdmin",
        "Administrator Role, permission for all operations on a specific Host",
        _EVERY_ADMINISTRATOR,
        _HOST,
        _STORAGE_DOMAIN,
        _DISK_PROFILE,
    ),
    _role(
        "def00005-0000-0000-0000-def000000005",
        "NetworkAdmin",
        "Administrator Role, permission for all operations on a specific Logical Network",
        _EVERY_ADMINISTRATOR,
        _NETWORK,
        "configure_vm_network configure_host_network configure_template_network configure_cluster_network",
    ),
    _role(
        "def00006-0000-0000-0000-def000000006",
        "UserVmManager",
        "User Role, with permission for any operation on VMs",
        _SWITCH,
        _GIVE,
        _DISK,
        _DISK_CARE,
        _USE_VM,
        "create_vm connect_to_serial_console configure_vm_network manipulate_vm_snapshots login",
        "assign_cpu_profile",
    ),
    _role(
        "def00007-0000-0000-0000-def000000007",
        "VmPoolAdmin",
        "Administrator Role, permission for all operations on a specific VM Pool",
        _EVERY_ADMINISTRATOR,
        _POOL,
        "create_vm assign_cpu_profile",
    ),
    _role(
        "def00008-0000-0000-0000-def000000008",
        "TemplateAdmin",
        "Administrator Role, permission for all operations on a specific Template",
        _EVERY_ADMINISTRATOR,
        _GIVE,
        _TEMPLATE,
        "create_template edit_admin_template_properties access_image_storage",
    ),
    _role(
        "def0000a-0000-0000-0000-def00000000a",
        "QuotaConsumer",
        "User Role, permissions to consume the Quota resources",
        "consume_quota",
        alone=True,
    ),
    _role(
        "def0000a-0000-0000-0000-def00000000b",
        "DiskOperator",
        "User Role, permissions for all operations on a specific disk",
        _GIVE,
        _DISK,
        _DISK_CARE,
        "login",
    ),
    _role(
        "def0000a-0000-0000-0000-def00000000c",
        "DiskCreator",
        "User Role, permission to create Disks",
        "create_disk login",
        alone=True,
    ),
    _role(
        "def0000b-0000-0000-0000-def00000000b",
        "GlusterAdmin",
        "Administrator Role, permissions for operations on Gluster objects",
        _EVERY_ADMINISTRATOR,
        _HOST,
        _CLUSTER,
        "assign_cluster_network create_gluster_volume manipulate_gluster_volume delete_gluster_volume",
        "manipulate_gluster_hook manipulate_gluster_service",
    ),
    _role(
        "def0000a-0000-0000-0000-def00000000d",
        "VmCreator",
        "User Role, permission to create VMs",
        "create_vm create_disk login assign_cpu_profile",
        alone=True,
    ),
    _role(
        "def0000a-0000-0000-0000-def00000000e",
        "TemplateCreator",
        "User Role, permission to create Templates",
        "create_template login",
        alone=True,
    ),
    _role(
        "def0000a-0000-0000-0000-def00000000f",
        "TemplateOwner",
        "User Role, permissions for all operations on Templates",
        _GIVE,
        _TEMPLATE,
        "login",
    ),
    _role(
        "def0000c-0000-0000-0000-def000000000",
        "ExternalEventsCreator",
        "External Events Creator",
        "inject_external_events",
        alone=True,
    ),
    _role(
        "def0000d-0000-0000-0000-def000000000",
        "ExternalTasksCreator",
        "External Tasks Creator",
        "inject_external_tasks",
        alone=True,
    ),
    _role(
        "def0000a-0000-0000-0000-def000000010",
        "VnicProfileUser",
        "VM Network Interface Profile User",
        "configure_vm_network configure_template_network login",
    ),
    _role(
        "def00009-0000-0000-0000-def000000009",
        "UserTemplateBasedVm",
        "Template User",
        "create_vm assign_cpu_profile",
        alone=True,
    ),
    _role(
        "def00011-0000-0000-0000-def000000011",
        "InstanceCreator",
        "User Role, permission to create Instances",
        "create_instance create_disk login",
        alone=True,
    ),
    _role(
        "def00012-0000-0000-0000-def000000012",
        "UserInstanceManager",
        "User Role, with permission for any operation on Instances",
        _SWITCH,
        _GIVE,
        _DISK,
        _DISK_CARE,
        _USE_VM,
        "connect_to_serial_console manipulate_vm_snapshots login",
        alone=True,
    ),
    _role(
        "def0000c-0000-0000-0000-def00000000c",
        "ReadOnlyAdmin",
        "Read Only Administrator Role",
        "login",
    ),
    _role(
        "def00011-0000-0000-0000-def000000013",
        "TagManager",
        "Tag Manager",
        "login tag_management audit_log_management",
        alone=True,
    ),
    _role(
        "def00011-0000-0000-0000-def000000014",
        "BookmarkManager",
        "Bookmark Manager",
        "login bookmark_management audit_log_management",
        alone=True,
    ),
    _role(
        "def00011-0000-0000-0000-def000000015",
        "EventNotificationManager",
        "Event Notification Manager",
        "login event_notification_management audit_log_management",
        alone=True,
    ),
    _role(
        "def00011-0000-0000-0000-def000000016",
        "AuditLogManager",
        "Audit Log Manager",
        "login audit_log_management",
        alone=True,
    ),
    _role(
        "def00013-0000-0000-0000-def000000013",
        "MacPoolAdmin",
        "MAC Pool Administrator Role, permission for manipulation with MAC pools",
        _MAC_POOL,
        "login",
    ),
    _role(
        "def00014-0000-0000-0000-def000000014",
        "MacPoolUser",
        "MAC Pool User Role, permission allowing using MAC pools",
        "login configure_mac_pool",
    ),
    _role(
        "def00020-0000-0000-0000-abc000000010",
        "DiskProfileUser",
        "Disk Profile User",
        "attach_disk_profile",
        alone=True,
    ),
    _role(
        "def00006-0000-0000-0000-def000000011",
        "UserVmRunTimeManager",
        "User Role, with permissions for any operations on VMs except snapshot manipulation",
        _SWITCH,
        _GIVE,
        _DISK,
        _DISK_CARE,
        _USE_VM,
        "create_vm configure_vm_network login assign_cpu_profile",
        alone=True,
    ),
    _role(
        "def00021-0000-0000-0000-def000000015",
        "UserProfileEditor",
        "Role that allow users to edit the UserProfile",
        "edit_profile",
        alone=True,
    ),
    _role(
        "def00030-0000-0000-0000-def000000011",
        "VmImporterExporter",
        "Administrator Role, with permission to import or export VMs",
        "import_export_vm login attach_disk_profile assign_cpu_profile",
    ),
    _role(
        "def00017-0000-0000-0000-def000000017",
        "CpuProfileOperator",
        "Cpu Profile Operation",
        "assign_cpu_profile",
        alone=True,
    ),
    _role(
        "def00016-0000-0000-0000-def000000016",
        "CpuProfileCreator",
        "Cpu Profile Creation/Deletion/Updating and Operation",
        _CPU_PROFILE,
        alone=True,
    ),
    # covirt's own
    _role(
        "c0417000-0000-0000-0000-000000000001",
        "SecretCreator",
        "User Role, permission to create Secrets",
        "create_secret login",
        alone=True,
    ),
    _role(
        "c0417000-0000-0000-0000-000000000002",
        "SecretUser",
        "User Role, permission to give a specific Secret to containers and to registries",
        "use_secret",
    ),
    _role(
        "c0417000-0000-0000-0000-000000000003",
        "SecretOwner",
        "User Role, permissions for all operations on a specific Secret",
        "use_secret edit_secret manipulate_permissions",
    ),
    _role(
        "c0417000-0000-0000-0000-000000000004",
        "ContainerImageUser",
        "User Role, permission to make containers of a specific container image",
        "attach_disk",
    ),
)
