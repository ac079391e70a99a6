# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The procedures of libvirt's remote protocol that covirt's daemon may answer: a typed constant for each.

Where the facts come from: numbers, field names, types and limits are those of the interface description
``src/remote/remote_protocol.x`` of libvirt 9.0.0, whose comments also tell which permission each procedure needs and
which are quick ("priority: high"; not so here: defining a domain, which may read a whole image, and a graceful
destroy); READ here means that only read, getattr and search permissions are asked for.
Upstream only ever adds procedures (444 to 453 came by 11.3). The table itself is our own, and the integration tests
compare it with stock clients and a stock server.
"""

from types import NoneType
from typing import Final

from covirt.wire import (
    procedures_absent,
    procedures_agent,
    procedures_devices,
    procedures_secret,
    procedures_storage,
    procedures_tuning,
)
from covirt.wire import structs as s
from covirt.wire import structs_connect as c
from covirt.wire import structs_domain as d
from covirt.wire import structs_events as e
from covirt.wire import structs_host as h
from covirt.wire.declare import read as _read
from covirt.wire.declare import write as _write
from covirt.wire.protocol import AnyMessage, AnyProcedure, Message, Procedure

_XML_SECURE: Final = 1  # VIR_DOMAIN_XML_SECURE
_XML_MIGRATABLE: Final = 8  # VIR_DOMAIN_XML_MIGRATABLE
_VCPU_GUEST: Final = 8  # VIR_DOMAIN_VCPU_GUEST
_DESTROY_GRACEFUL: Final = 1  # VIR_DOMAIN_DESTROY_GRACEFUL
_SOURCE_AGENT: Final = 1  # VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT


def _asks_secrets(args: s.DomainFlagsArgs) -> bool:
    return bool(args.flags & (_XML_SECURE | _XML_MIGRATABLE))


def _asks_guest(args: s.DomainFlagsArgs) -> bool:
    return bool(args.flags & _VCPU_GUEST)


def _waits_for_the_guest(args: s.DomainFlagsArgs) -> bool:
    return bool(args.flags & _DESTROY_GRACEFUL)


def _asks_agent(args: d.DomainInterfaceAddressesArgs) -> bool:
    return args.source == _SOURCE_AGENT


CONNECT_OPEN: Final = _read(1, "connect_open", c.ConnectOpenArgs, NoneType, priority=True)
CONNECT_CLOSE: Final = _read(2, "connect_close", NoneType, NoneType, priority=True)
CONNECT_GET_TYPE: Final = _read(3, "connect_get_type", NoneType, s.TypeRet, priority=True)
CONNECT_GET_VERSION: Final = _read(4, "connect_get_version", NoneType, c.ConnectGetVersionRet, priority=True)
CONNECT_GET_MAX_VCPUS: Final = _read(
    5, "connect_get_max_vcpus", c.ConnectGetMaxVcpusArgs, c.ConnectGetMaxVcpusRet, priority=True
)
NODE_GET_INFO: Final = _read(6, "node_get_info", NoneType, c.NodeGetInfoRet, priority=True)
CONNECT_GET_CAPABILITIES: Final = _read(7, "connect_get_capabilities", NoneType, s.CapabilitiesRet)
DOMAIN_ATTACH_DEVICE: Final = _write(8, "domain_attach_device", s.DomainXmlArgs, NoneType)
DOMAIN_CREATE: Final = _write(9, "domain_create", s.DomainArgs, NoneType)
DOMAIN_CREATE_XML: Final = _write(10, "domain_create_xml", s.XmlFlagsArgs, s.DomainRet)
DOMAIN_DEFINE_XML: Final = _write(11, "domain_define_xml", s.XmlArgs, s.DomainRet)
DOMAIN_DESTROY: Final = _write(12, "domain_destroy", s.DomainArgs, NoneType, priority=True)
DOMAIN_DETACH_DEVICE: Final = _write(13, "domain_detach_device", s.DomainXmlArgs, NoneType)
DOMAIN_GET_XML_DESC: Final = _read(14, "domain_get_xml_desc", s.DomainFlagsArgs, s.XmlRet, write_if=_asks_secrets)
DOMAIN_GET_AUTOSTART: Final = _read(15, "domain_get_autostart", s.DomainArgs, s.AutostartRet, priority=True)
DOMAIN_GET_INFO: Final = _read(16, "domain_get_info", s.DomainArgs, d.DomainGetInfoRet)
DOMAIN_GET_MAX_MEMORY: Final = _read(
    17, "domain_get_max_memory", s.DomainArgs, d.DomainGetMaxMemoryRet, priority=True
)
DOMAIN_GET_MAX_VCPUS: Final = _read(18, "domain_get_max_vcpus", s.DomainArgs, s.NumRet, priority=True)
DOMAIN_GET_OS_TYPE: Final = _read(19, "domain_get_os_type", s.DomainArgs, s.TypeRet, priority=True)
DOMAIN_GET_VCPUS: Final = _read(20, "domain_get_vcpus", d.DomainGetVcpusArgs, d.DomainGetVcpusRet, priority=True)
CONNECT_LIST_DEFINED_DOMAINS: Final = _read(
    21, "connect_list_defined_domains", s.MaxNamesArgs, s.NamesRet, priority=True
)
DOMAIN_LOOKUP_BY_ID: Final = _read(22, "domain_lookup_by_id", d.DomainLookupByIdArgs, s.DomainRet, priority=True)
DOMAIN_LOOKUP_BY_NAME: Final = _read(23, "domain_lookup_by_name", s.NameArgs, s.DomainRet, priority=True)
DOMAIN_LOOKUP_BY_UUID: Final = _read(24, "domain_lookup_by_uuid", s.UuidArgs, s.DomainRet, priority=True)
CONNECT_NUM_OF_DEFINED_DOMAINS: Final = _read(25, "connect_num_of_defined_domains", NoneType, s.NumRet, priority=True)
DOMAIN_PIN_VCPU: Final = _write(26, "domain_pin_vcpu", d.DomainPinVcpuArgs, NoneType)
DOMAIN_REBOOT: Final = _write(27, "domain_reboot", s.DomainFlagsArgs, NoneType)
DOMAIN_RESUME: Final = _write(28, "domain_resume", s.DomainArgs, NoneType)
DOMAIN_SET_AUTOSTART: Final = _write(29, "domain_set_autostart", d.DomainSetAutostartArgs, NoneType, priority=True)
DOMAIN_SET_MAX_MEMORY: Final = _write(30, "domain_set_max_memory", d.DomainSetMemoryArgs, NoneType, priority=True)
DOMAIN_SET_MEMORY: Final = _write(31, "domain_set_memory", d.DomainSetMemoryArgs, NoneType)
DOMAIN_SET_VCPUS: Final = _write(32, "domain_set_vcpus", d.DomainSetVcpusArgs, NoneType)
DOMAIN_SHUTDOWN: Final = _write(33, "domain_shutdown", s.DomainArgs, NoneType)
DOMAIN_SUSPEND: Final = _write(34, "domain_suspend", s.DomainArgs, NoneType)
DOMAIN_UNDEFINE: Final = _write(35, "domain_undefine", s.DomainArgs, NoneType, priority=True)
CONNECT_LIST_DEFINED_NETWORKS: Final = _read(
    36, "connect_list_defined_networks", s.MaxNamesArgs, s.NamesRet, priority=True
)
CONNECT_LIST_DOMAINS: Final = _read(
    37, "connect_list_domains", c.ConnectListDomainsArgs, c.ConnectListDomainsRet, priority=True
)
CONNECT_LIST_NETWORKS: Final = _read(38, "connect_list_networks", s.MaxNamesArgs, s.NamesRet, priority=True)
NETWORK_GET_XML_DESC: Final = _read(43, "network_get_xml_desc", h.NetworkFlagsArgs, s.XmlRet, priority=True)
NETWORK_GET_AUTOSTART: Final = _read(44, "network_get_autostart", h.NetworkArgs, s.AutostartRet, priority=True)
NETWORK_GET_BRIDGE_NAME: Final = _read(45, "network_get_bridge_name", h.NetworkArgs, s.NameRet, priority=True)
NETWORK_LOOKUP_BY_NAME: Final = _read(46, "network_lookup_by_name", s.NameArgs, h.NetworkRet, priority=True)
NETWORK_LOOKUP_BY_UUID: Final = _read(47, "network_lookup_by_uuid", s.UuidArgs, h.NetworkRet, priority=True)
CONNECT_NUM_OF_DEFINED_NETWORKS: Final = _read(
    50, "connect_num_of_defined_networks", NoneType, s.NumRet, priority=True
)
CONNECT_NUM_OF_DOMAINS: Final = _read(51, "connect_num_of_domains", NoneType, s.NumRet, priority=True)
CONNECT_NUM_OF_NETWORKS: Final = _read(52, "connect_num_of_networks", NoneType, s.NumRet, priority=True)
DOMAIN_GET_SCHEDULER_TYPE: Final = _read(56, "domain_get_scheduler_type", s.DomainArgs, d.DomainGetSchedulerTypeRet)
DOMAIN_GET_SCHEDULER_PARAMETERS: Final = _read(
    57, "domain_get_scheduler_parameters", d.DomainGetSchedulerParametersArgs, s.Params16Ret
)
# Upstream asks only for the read permission here, which its own newer variant (219) corrects.
DOMAIN_SET_SCHEDULER_PARAMETERS: Final = _write(
    58, "domain_set_scheduler_parameters", d.DomainSetSchedulerParametersArgs, NoneType
)
CONNECT_GET_HOSTNAME: Final = _read(59, "connect_get_hostname", NoneType, s.HostnameRet, priority=True)
CONNECT_SUPPORTS_FEATURE: Final = _read(
    60, "connect_supports_feature", c.ConnectSupportsFeatureArgs, c.ConnectSupportsFeatureRet, priority=True
)
DOMAIN_BLOCK_STATS: Final = _read(64, "domain_block_stats", d.DomainBlockStatsArgs, d.DomainBlockStatsRet)
DOMAIN_INTERFACE_STATS: Final = _read(
    65, "domain_interface_stats", d.DomainInterfaceStatsArgs, d.DomainInterfaceStatsRet, priority=True
)
AUTH_LIST: Final = _read(66, "auth_list", NoneType, c.AuthListRet, priority=True)
AUTH_POLKIT: Final = _read(70, "auth_polkit", NoneType, c.AuthPolkitRet, priority=True)
CONNECT_NUM_OF_STORAGE_POOLS: Final = _read(71, "connect_num_of_storage_pools", NoneType, s.NumRet, priority=True)
CONNECT_LIST_STORAGE_POOLS: Final = _read(72, "connect_list_storage_pools", s.MaxNamesArgs, s.NamesRet, priority=True)
CONNECT_NUM_OF_DEFINED_STORAGE_POOLS: Final = _read(
    73, "connect_num_of_defined_storage_pools", NoneType, s.NumRet, priority=True
)
CONNECT_LIST_DEFINED_STORAGE_POOLS: Final = _read(
    74, "connect_list_defined_storage_pools", s.MaxNamesArgs, s.NamesRet, priority=True
)
STORAGE_POOL_CREATE_XML: Final = _write(76, "storage_pool_create_xml", s.XmlFlagsArgs, h.StoragePoolRet)
STORAGE_POOL_DEFINE_XML: Final = _write(
    77, "storage_pool_define_xml", s.XmlFlagsArgs, h.StoragePoolRet, priority=True
)
STORAGE_POOL_REFRESH: Final = _write(83, "storage_pool_refresh", h.StoragePoolFlagsArgs, NoneType)
STORAGE_POOL_LOOKUP_BY_NAME: Final = _read(
    84, "storage_pool_lookup_by_name", s.NameArgs, h.StoragePoolRet, priority=True
)
STORAGE_POOL_LOOKUP_BY_UUID: Final = _read(
    85, "storage_pool_lookup_by_uuid", s.UuidArgs, h.StoragePoolRet, priority=True
)
STORAGE_POOL_GET_INFO: Final = _read(
    87, "storage_pool_get_info", h.StoragePoolArgs, h.StoragePoolGetInfoRet, priority=True
)
STORAGE_POOL_GET_XML_DESC: Final = _read(
    88, "storage_pool_get_xml_desc", h.StoragePoolFlagsArgs, s.XmlRet, priority=True
)
STORAGE_POOL_GET_AUTOSTART: Final = _read(
    89, "storage_pool_get_autostart", h.StoragePoolArgs, s.AutostartRet, priority=True
)
STORAGE_POOL_NUM_OF_VOLUMES: Final = _read(
    91, "storage_pool_num_of_volumes", h.StoragePoolArgs, s.NumRet, priority=True
)
STORAGE_VOL_LOOKUP_BY_NAME: Final = _read(
    95, "storage_vol_lookup_by_name", h.StorageVolLookupByNameArgs, h.StorageVolRet, priority=True
)
STORAGE_VOL_LOOKUP_BY_KEY: Final = _read(
    96, "storage_vol_lookup_by_key", h.StorageVolLookupByKeyArgs, h.StorageVolRet, priority=True
)
STORAGE_VOL_LOOKUP_BY_PATH: Final = _read(
    97, "storage_vol_lookup_by_path", h.StorageVolLookupByPathArgs, h.StorageVolRet, priority=True
)
STORAGE_VOL_GET_INFO: Final = _read(
    98, "storage_vol_get_info", h.StorageVolArgs, h.StorageVolGetInfoRet, priority=True
)
STORAGE_VOL_GET_XML_DESC: Final = _read(
    99, "storage_vol_get_xml_desc", h.StorageVolFlagsArgs, s.XmlRet, priority=True
)
STORAGE_VOL_GET_PATH: Final = _read(100, "storage_vol_get_path", h.StorageVolArgs, s.NameRet, priority=True)
NODE_GET_CELLS_FREE_MEMORY: Final = _read(
    101, "node_get_cells_free_memory", c.NodeGetCellsFreeMemoryArgs, c.NodeGetCellsFreeMemoryRet, priority=True
)
NODE_GET_FREE_MEMORY: Final = _read(102, "node_get_free_memory", NoneType, c.NodeGetFreeMemoryRet, priority=True)
CONNECT_GET_URI: Final = _read(110, "connect_get_uri", NoneType, c.ConnectGetUriRet, priority=True)
NODE_NUM_OF_DEVICES: Final = _read(111, "node_num_of_devices", h.NodeNumOfDevicesArgs, s.NumRet, priority=True)
NODE_LIST_DEVICES: Final = _read(112, "node_list_devices", h.NodeListDevicesArgs, h.NodeDeviceNamesRet, priority=True)
NODE_DEVICE_LOOKUP_BY_NAME: Final = _read(
    113, "node_device_lookup_by_name", s.NameArgs, h.NodeDeviceRet, priority=True
)
NODE_DEVICE_GET_XML_DESC: Final = _read(114, "node_device_get_xml_desc", s.NameFlagsArgs, s.XmlRet)
NODE_DEVICE_GET_PARENT: Final = _read(
    115, "node_device_get_parent", s.NameArgs, h.NodeDeviceGetParentRet, priority=True
)
DOMAIN_GET_SECURITY_LABEL: Final = _read(
    121, "domain_get_security_label", s.DomainArgs, d.DomainGetSecurityLabelRet, priority=True
)
NODE_GET_SECURITY_MODEL: Final = _read(
    122, "node_get_security_model", NoneType, c.NodeGetSecurityModelRet, priority=True
)
CONNECT_NUM_OF_INTERFACES: Final = _read(126, "connect_num_of_interfaces", NoneType, s.NumRet, priority=True)
CONNECT_LIST_INTERFACES: Final = _read(127, "connect_list_interfaces", s.MaxNamesArgs, s.NamesRet, priority=True)
INTERFACE_LOOKUP_BY_NAME: Final = _read(128, "interface_lookup_by_name", s.NameArgs, h.InterfaceRet, priority=True)
CONNECT_DOMAIN_XML_FROM_NATIVE: Final = _write(
    135, "connect_domain_xml_from_native", c.ConnectDomainXmlFromNativeArgs, c.ConnectDomainXmlFromNativeRet
)
CONNECT_DOMAIN_XML_TO_NATIVE: Final = _write(
    136, "connect_domain_xml_to_native", c.ConnectDomainXmlToNativeArgs, c.ConnectDomainXmlToNativeRet
)
CONNECT_NUM_OF_DEFINED_INTERFACES: Final = _read(
    137, "connect_num_of_defined_interfaces", NoneType, s.NumRet, priority=True
)
CONNECT_LIST_DEFINED_INTERFACES: Final = _read(
    138, "connect_list_defined_interfaces", s.MaxNamesArgs, s.NamesRet, priority=True
)
CONNECT_NUM_OF_SECRETS: Final = _read(139, "connect_num_of_secrets", NoneType, s.NumRet, priority=True)
CONNECT_LIST_SECRETS: Final = _read(
    140, "connect_list_secrets", c.ConnectListSecretsArgs, c.ConnectListSecretsRet, priority=True
)
SECRET_LOOKUP_BY_UUID: Final = _read(141, "secret_lookup_by_uuid", s.UuidArgs, h.SecretRet, priority=True)
CONNECT_IS_SECURE: Final = _read(149, "connect_is_secure", NoneType, c.ConnectIsSecureRet, priority=True)
DOMAIN_IS_ACTIVE: Final = _read(150, "domain_is_active", s.DomainArgs, s.ActiveRet, priority=True)
DOMAIN_IS_PERSISTENT: Final = _read(151, "domain_is_persistent", s.DomainArgs, s.PersistentRet, priority=True)
NETWORK_IS_ACTIVE: Final = _read(152, "network_is_active", h.NetworkArgs, s.ActiveRet, priority=True)
NETWORK_IS_PERSISTENT: Final = _read(153, "network_is_persistent", h.NetworkArgs, s.PersistentRet, priority=True)
STORAGE_POOL_IS_ACTIVE: Final = _read(154, "storage_pool_is_active", h.StoragePoolArgs, s.ActiveRet, priority=True)
STORAGE_POOL_IS_PERSISTENT: Final = _read(
    155, "storage_pool_is_persistent", h.StoragePoolArgs, s.PersistentRet, priority=True
)
CONNECT_GET_LIB_VERSION: Final = _read(
    157, "connect_get_lib_version", NoneType, c.ConnectGetLibVersionRet, priority=True
)
CONNECT_COMPARE_CPU: Final = _read(158, "connect_compare_cpu", s.XmlFlagsArgs, s.ResultRet, priority=True)
DOMAIN_MEMORY_STATS: Final = _read(159, "domain_memory_stats", d.DomainMemoryStatsArgs, d.DomainMemoryStatsRet)
DOMAIN_ATTACH_DEVICE_FLAGS: Final = _write(160, "domain_attach_device_flags", s.DomainXmlFlagsArgs, NoneType)
DOMAIN_DETACH_DEVICE_FLAGS: Final = _write(161, "domain_detach_device_flags", s.DomainXmlFlagsArgs, NoneType)
DOMAIN_GET_JOB_INFO: Final = _read(163, "domain_get_job_info", s.DomainArgs, d.DomainGetJobInfoRet)
DOMAIN_UPDATE_DEVICE_FLAGS: Final = _write(174, "domain_update_device_flags", s.DomainXmlFlagsArgs, NoneType)
NWFILTER_LOOKUP_BY_NAME: Final = _read(175, "nwfilter_lookup_by_name", s.NameArgs, h.NwfilterRet, priority=True)
NWFILTER_LOOKUP_BY_UUID: Final = _read(176, "nwfilter_lookup_by_uuid", s.UuidArgs, h.NwfilterRet, priority=True)
CONNECT_NUM_OF_NWFILTERS: Final = _read(178, "connect_num_of_nwfilters", NoneType, s.NumRet, priority=True)
DOMAIN_MANAGED_SAVE: Final = _write(182, "domain_managed_save", s.DomainFlagsArgs, NoneType)
DOMAIN_HAS_MANAGED_SAVE_IMAGE: Final = _read(183, "domain_has_managed_save_image", s.DomainFlagsArgs, s.ResultRet)
DOMAIN_MANAGED_SAVE_REMOVE: Final = _write(184, "domain_managed_save_remove", s.DomainFlagsArgs, NoneType)
DOMAIN_SNAPSHOT_NUM: Final = _read(187, "domain_snapshot_num", s.DomainFlagsArgs, s.NumRet, priority=True)
DOMAIN_HAS_CURRENT_SNAPSHOT: Final = _read(190, "domain_has_current_snapshot", s.DomainFlagsArgs, s.ResultRet)
DOMAIN_GET_BLOCK_INFO: Final = _read(194, "domain_get_block_info", d.DomainGetBlockInfoArgs, d.DomainGetBlockInfoRet)
DOMAIN_CREATE_WITH_FLAGS: Final = _write(196, "domain_create_with_flags", s.DomainFlagsArgs, s.DomainRet)
DOMAIN_SET_MEMORY_PARAMETERS: Final = _write(197, "domain_set_memory_parameters", s.DomainParams16FlagsArgs, NoneType)
DOMAIN_GET_MEMORY_PARAMETERS: Final = _read(
    198, "domain_get_memory_parameters", s.DomainNparamsFlagsArgs, s.Params16NparamsRet
)
DOMAIN_SET_VCPUS_FLAGS: Final = _write(199, "domain_set_vcpus_flags", d.DomainSetVcpusFlagsArgs, NoneType)
DOMAIN_GET_VCPUS_FLAGS: Final = _read(
    200, "domain_get_vcpus_flags", s.DomainFlagsArgs, s.NumRet, write_if=_asks_guest
)
DOMAIN_OPEN_CONSOLE: Final = _write(201, "domain_open_console", d.DomainOpenConsoleArgs, NoneType, stream=True)
DOMAIN_IS_UPDATED: Final = _read(202, "domain_is_updated", s.DomainArgs, d.DomainIsUpdatedRet, priority=True)
CONNECT_GET_SYSINFO: Final = _read(203, "connect_get_sysinfo", s.FlagsArgs, c.ConnectGetSysinfoRet, priority=True)
DOMAIN_SET_MEMORY_FLAGS: Final = _write(204, "domain_set_memory_flags", d.DomainSetMemoryFlagsArgs, NoneType)
DOMAIN_SET_BLKIO_PARAMETERS: Final = _write(205, "domain_set_blkio_parameters", s.DomainParams16FlagsArgs, NoneType)
DOMAIN_GET_BLKIO_PARAMETERS: Final = _read(
    206, "domain_get_blkio_parameters", s.DomainNparamsFlagsArgs, s.Params16NparamsRet
)
DOMAIN_GET_STATE: Final = _read(212, "domain_get_state", s.DomainFlagsArgs, d.DomainGetStateRet, priority=True)
DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS: Final = _write(
    219, "domain_set_scheduler_parameters_flags", s.DomainParams16FlagsArgs, NoneType
)
DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS: Final = _read(
    223, "domain_get_scheduler_parameters_flags", s.DomainNparamsFlagsArgs, s.Params16Ret
)
NODE_GET_CPU_STATS: Final = _read(
    227, "node_get_cpu_stats", c.NodeGetCpuStatsArgs, c.NodeGetCpuStatsRet, priority=True
)
NODE_GET_MEMORY_STATS: Final = _read(
    228, "node_get_memory_stats", c.NodeGetMemoryStatsArgs, c.NodeGetMemoryStatsRet, priority=True
)
DOMAIN_GET_CONTROL_INFO: Final = _read(
    229, "domain_get_control_info", s.DomainFlagsArgs, d.DomainGetControlInfoRet, priority=True
)
DOMAIN_GET_VCPU_PIN_INFO: Final = _read(
    230, "domain_get_vcpu_pin_info", d.DomainGetVcpuPinInfoArgs, d.DomainGetVcpuPinInfoRet
)
DOMAIN_UNDEFINE_FLAGS: Final = _write(231, "domain_undefine_flags", s.DomainFlagsArgs, NoneType, priority=True)
DOMAIN_DESTROY_FLAGS: Final = _write(
    234, "domain_destroy_flags", s.DomainFlagsArgs, NoneType, priority=True, slow_if=_waits_for_the_guest
)
DOMAIN_BLOCK_STATS_FLAGS: Final = _read(
    243, "domain_block_stats_flags", d.DomainBlockStatsFlagsArgs, s.Params16NparamsRet
)
DOMAIN_RESET: Final = _write(245, "domain_reset", s.DomainFlagsArgs, NoneType)
DOMAIN_GET_NUMA_PARAMETERS: Final = _read(
    255, "domain_get_numa_parameters", s.DomainNparamsFlagsArgs, s.Params16NparamsRet
)
DOMAIN_GET_INTERFACE_PARAMETERS: Final = _read(
    257, "domain_get_interface_parameters", d.DomainGetInterfaceParametersArgs, s.Params16NparamsRet
)
DOMAIN_SHUTDOWN_FLAGS: Final = _write(258, "domain_shutdown_flags", s.DomainFlagsArgs, NoneType)
DOMAIN_GET_CPU_STATS: Final = _read(262, "domain_get_cpu_stats", d.DomainGetCpuStatsArgs, d.DomainGetCpuStatsRet)
DOMAIN_GET_DISK_ERRORS: Final = _read(
    263, "domain_get_disk_errors", d.DomainGetDiskErrorsArgs, d.DomainGetDiskErrorsRet
)
DOMAIN_SET_METADATA: Final = _write(264, "domain_set_metadata", d.DomainSetMetadataArgs, NoneType)
DOMAIN_GET_METADATA: Final = _read(265, "domain_get_metadata", d.DomainGetMetadataArgs, d.DomainGetMetadataRet)
CONNECT_LIST_ALL_DOMAINS: Final = _read(
    273, "connect_list_all_domains", s.ListArgs, c.ConnectListAllDomainsRet, priority=True
)
DOMAIN_LIST_ALL_SNAPSHOTS: Final = _read(
    274, "domain_list_all_snapshots", s.DomainListArgs, d.DomainListAllSnapshotsRet, priority=True
)
DOMAIN_GET_HOSTNAME: Final = _write(277, "domain_get_hostname", s.DomainFlagsArgs, s.HostnameRet)
DOMAIN_GET_SECURITY_LABEL_LIST: Final = _read(
    278, "domain_get_security_label_list", s.DomainArgs, d.DomainGetSecurityLabelListRet, priority=True
)
DOMAIN_GET_EMULATOR_PIN_INFO: Final = _read(
    280, "domain_get_emulator_pin_info", d.DomainGetEmulatorPinInfoArgs, d.DomainGetEmulatorPinInfoRet
)
CONNECT_LIST_ALL_STORAGE_POOLS: Final = _read(
    281, "connect_list_all_storage_pools", s.ListArgs, c.ConnectListAllStoragePoolsRet, priority=True
)
STORAGE_POOL_LIST_ALL_VOLUMES: Final = _read(
    282,
    "storage_pool_list_all_volumes",
    h.StoragePoolListAllVolumesArgs,
    h.StoragePoolListAllVolumesRet,
    priority=True,
)
CONNECT_LIST_ALL_NETWORKS: Final = _read(
    283, "connect_list_all_networks", s.ListArgs, c.ConnectListAllNetworksRet, priority=True
)
CONNECT_LIST_ALL_INTERFACES: Final = _read(
    284, "connect_list_all_interfaces", s.ListArgs, c.ConnectListAllInterfacesRet, priority=True
)
CONNECT_LIST_ALL_NODE_DEVICES: Final = _read(
    285, "connect_list_all_node_devices", s.ListArgs, c.ConnectListAllNodeDevicesRet, priority=True
)
CONNECT_LIST_ALL_NWFILTERS: Final = _read(
    286, "connect_list_all_nwfilters", s.ListArgs, c.ConnectListAllNwfiltersRet, priority=True
)
CONNECT_LIST_ALL_SECRETS: Final = _read(
    287, "connect_list_all_secrets", s.ListArgs, c.ConnectListAllSecretsRet, priority=True
)
NODE_GET_MEMORY_PARAMETERS: Final = _read(289, "node_get_memory_parameters", s.NparamsFlagsArgs, s.Params64NparamsRet)
NODE_GET_CPU_MAP: Final = _read(293, "node_get_cpu_map", c.NodeGetCpuMapArgs, c.NodeGetCpuMapRet)
DOMAIN_SEND_PROCESS_SIGNAL: Final = _write(295, "domain_send_process_signal", d.DomainSendProcessSignalArgs, NoneType)
DOMAIN_OPEN_CHANNEL: Final = _write(296, "domain_open_channel", d.DomainOpenChannelArgs, NoneType, stream=True)
DOMAIN_GET_JOB_STATS: Final = _read(298, "domain_get_job_stats", s.DomainFlagsArgs, d.DomainGetJobStatsRet)
CONNECT_GET_CPU_MODEL_NAMES: Final = _read(
    312, "connect_get_cpu_model_names", c.ConnectGetCpuModelNamesArgs, c.ConnectGetCpuModelNamesRet
)
CONNECT_NETWORK_EVENT_REGISTER_ANY: Final = _read(
    313, "connect_network_event_register_any", c.ConnectNetworkEventRegisterAnyArgs, s.CallbackIdRet, priority=True
)
CONNECT_NETWORK_EVENT_DEREGISTER_ANY: Final = _read(
    314, "connect_network_event_deregister_any", s.CallbackIdArgs, NoneType, priority=True
)
CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: Final = _read(
    316,
    "connect_domain_event_callback_register_any",
    c.ConnectDomainEventRegisterAnyArgs,
    s.CallbackIdRet,
    priority=True,
)
CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: Final = _read(
    317, "connect_domain_event_callback_deregister_any", s.CallbackIdArgs, NoneType, priority=True
)
DOMAIN_GET_TIME: Final = _write(337, "domain_get_time", s.DomainFlagsArgs, d.DomainGetTimeRet)
NODE_GET_FREE_PAGES: Final = _read(
    340, "node_get_free_pages", c.NodeGetFreePagesArgs, c.NodeGetFreePagesRet, priority=True
)
NETWORK_GET_DHCP_LEASES: Final = _read(
    341, "network_get_dhcp_leases", h.NetworkGetDhcpLeasesArgs, h.NetworkGetDhcpLeasesRet
)
CONNECT_GET_DOMAIN_CAPABILITIES: Final = _write(
    342, "connect_get_domain_capabilities", c.ConnectGetDomainCapabilitiesArgs, s.CapabilitiesRet
)
CONNECT_GET_ALL_DOMAIN_STATS: Final = _read(
    344, "connect_get_all_domain_stats", c.ConnectGetAllDomainStatsArgs, c.ConnectGetAllDomainStatsRet
)
DOMAIN_GET_FSINFO: Final = _write(349, "domain_get_fsinfo", s.DomainFlagsArgs, d.DomainGetFsinfoRet)
DOMAIN_DEFINE_XML_FLAGS: Final = _write(350, "domain_define_xml_flags", s.XmlFlagsArgs, s.DomainRet)
DOMAIN_GET_IOTHREAD_INFO: Final = _read(
    351, "domain_get_iothread_info", s.DomainFlagsArgs, d.DomainGetIothreadInfoRet
)
DOMAIN_INTERFACE_ADDRESSES: Final = _read(
    353,
    "domain_interface_addresses",
    d.DomainInterfaceAddressesArgs,
    d.DomainInterfaceAddressesRet,
    write_if=_asks_agent,
)
DOMAIN_RENAME: Final = _write(358, "domain_rename", d.DomainRenameArgs, d.DomainRenameRet)
CONNECT_REGISTER_CLOSE_CALLBACK: Final = _read(
    360, "connect_register_close_callback", NoneType, NoneType, priority=True
)
CONNECT_UNREGISTER_CLOSE_CALLBACK: Final = _read(
    361, "connect_unregister_close_callback", NoneType, NoneType, priority=True
)
DOMAIN_GET_PERF_EVENTS: Final = _read(365, "domain_get_perf_events", s.DomainFlagsArgs, s.Params64Ret)
CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY: Final = _read(
    368,
    "connect_storage_pool_event_register_any",
    c.ConnectStoragePoolEventRegisterAnyArgs,
    s.CallbackIdRet,
    priority=True,
)
CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY: Final = _read(
    369, "connect_storage_pool_event_deregister_any", s.CallbackIdArgs, NoneType, priority=True
)
CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY: Final = _read(
    374,
    "connect_node_device_event_register_any",
    c.ConnectNodeDeviceEventRegisterAnyArgs,
    s.CallbackIdRet,
    priority=True,
)
CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY: Final = _read(
    375, "connect_node_device_event_deregister_any", s.CallbackIdArgs, NoneType, priority=True
)
STORAGE_VOL_GET_INFO_FLAGS: Final = _read(
    378, "storage_vol_get_info_flags", h.StorageVolFlagsArgs, h.StorageVolGetInfoRet, priority=True
)
CONNECT_SECRET_EVENT_REGISTER_ANY: Final = _read(
    380, "connect_secret_event_register_any", c.ConnectSecretEventRegisterAnyArgs, s.CallbackIdRet, priority=True
)
CONNECT_SECRET_EVENT_DEREGISTER_ANY: Final = _read(
    381, "connect_secret_event_deregister_any", s.CallbackIdArgs, NoneType, priority=True
)
DOMAIN_MANAGED_SAVE_GET_XML_DESC: Final = _read(
    388, "domain_managed_save_get_xml_desc", s.DomainFlagsArgs, s.XmlRet, write_if=_asks_secrets
)
CONNECT_GET_STORAGE_POOL_CAPABILITIES: Final = _read(
    403, "connect_get_storage_pool_capabilities", s.FlagsArgs, s.CapabilitiesRet
)
DOMAIN_LIST_ALL_CHECKPOINTS: Final = _read(
    413, "domain_list_all_checkpoints", s.DomainListArgs, d.DomainListAllCheckpointsRet, priority=True
)
DOMAIN_GET_GUEST_INFO: Final = _write(418, "domain_get_guest_info", d.DomainGetGuestInfoArgs, d.DomainGetGuestInfoRet)
CONNECT_SET_IDENTITY: Final = _write(419, "connect_set_identity", c.ConnectSetIdentityArgs, NoneType)
DOMAIN_GET_MESSAGES: Final = _read(426, "domain_get_messages", s.DomainFlagsArgs, d.DomainGetMessagesRet)

CONNECTION_CLOSED: Final = Message(number=362, name="connect_event_connection_closed", body=e.ConnectionClosedMsg)
EVENT_LIFECYCLE: Final = Message(number=318, name="domain_event_callback_lifecycle", body=e.LifecycleMsg)
EVENT_REBOOT: Final = Message(number=319, name="domain_event_callback_reboot", body=e.DomainMsg)
EVENT_CONTROL_ERROR: Final = Message(number=325, name="domain_event_callback_control_error", body=e.DomainMsg)
EVENT_BALLOON_CHANGE: Final = Message(
    number=331, name="domain_event_callback_balloon_change", body=e.BalloonChangeMsg
)
EVENT_DEVICE_REMOVED: Final = Message(number=333, name="domain_event_callback_device_removed", body=e.DeviceAliasMsg)
EVENT_TUNABLE: Final = Message(number=346, name="domain_event_callback_tunable", body=e.TunableMsg)
EVENT_AGENT_LIFECYCLE: Final = Message(
    number=348, name="domain_event_callback_agent_lifecycle", body=e.AgentLifecycleMsg
)
EVENT_DEVICE_ADDED: Final = Message(number=354, name="domain_event_callback_device_added", body=e.DeviceAliasMsg)
EVENT_METADATA_CHANGE: Final = Message(
    number=379, name="domain_event_callback_metadata_change", body=e.MetadataChangeMsg
)

_TABLES: Final = (
    *globals().values(),
    *vars(procedures_absent).values(),
    *vars(procedures_agent).values(),
    *vars(procedures_devices).values(),
    *vars(procedures_secret).values(),
    *vars(procedures_storage).values(),
    *vars(procedures_tuning).values(),
)

# By (program, number), for whoever has only a frame.
PROCEDURES: Final[dict[tuple[int, int], AnyProcedure]] = {
    (value.program, value.number): value for value in _TABLES if isinstance(value, Procedure)
}
MESSAGES: Final[dict[int, AnyMessage]] = {value.number: value for value in _TABLES if isinstance(value, Message)}
