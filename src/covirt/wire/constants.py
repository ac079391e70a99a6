# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of libvirt's public API that a server needs (source: libvirt 9.0's public headers; they never change).

Reasons and details are numbered per state and per event: ``ShutoffReason.CRASHED`` only means something beside
``DomainState.SHUTOFF``.
"""

from enum import IntEnum, IntFlag


class ErrorCode(IntEnum):
    """VIR_ERR_*. NO_DOMAIN, NO_DOMAIN_METADATA and NO_SUPPORT change what clients do next."""

    INTERNAL_ERROR = 1
    NO_MEMORY = 2
    NO_SUPPORT = 3
    NO_CONNECT = 5
    INVALID_ARG = 8
    OPERATION_FAILED = 9
    XML_ERROR = 27
    DOM_EXIST = 28
    OPERATION_DENIED = 29
    SYSTEM_ERROR = 38
    RPC = 39
    NO_DOMAIN = 42
    NO_NETWORK = 43
    AUTH_FAILED = 45
    NO_STORAGE_POOL = 49
    NO_STORAGE_VOL = 50
    NO_NODE_DEVICE = 53
    OPERATION_INVALID = 55
    NO_INTERFACE = 57
    NO_NWFILTER = 62
    INVALID_SECRET = 65
    NO_SECRET = 66
    CONFIG_UNSUPPORTED = 67
    OPERATION_TIMEOUT = 68
    NO_DOMAIN_SNAPSHOT = 72
    INVALID_STREAM = 73
    ARGUMENT_UNSUPPORTED = 74
    OPERATION_ABORTED = 78
    NO_DOMAIN_METADATA = 80
    OVERFLOW = 82
    OPERATION_UNSUPPORTED = 84
    AGENT_UNRESPONSIVE = 86
    RESOURCE_BUSY = 87
    ACCESS_DENIED = 88
    XML_INVALID_SCHEMA = 92
    DEVICE_MISSING = 99
    NO_DOMAIN_CHECKPOINT = 103
    NO_DOMAIN_BACKUP = 104
    NO_HOSTNAME = 108


class ErrorDomain(IntEnum):
    """VIR_FROM_*: only chooses the words in front of the message."""

    NONE = 0
    XML = 5
    DOM = 6
    RPC = 7
    CONF = 9
    NETWORK = 19
    DOMAIN = 20
    SECURITY = 24
    INTERFACE = 26
    SECRET = 30
    NWFILTER = 33
    STREAMS = 38
    EVENT = 40
    CAPABILITIES = 44
    AUTH = 46
    DEVICE = 49
    CGROUP = 54
    ACCESS = 55


class ConnectFlag(IntFlag):
    READ_ONLY = 1
    NO_ALIASES = 2


class Feature(IntEnum):
    """Features a client may ask a server for (VIR_DRV_FEATURE_*) and that this server has."""

    TYPED_PARAM_STRING = 9
    PROGRAM_KEEPALIVE = 10
    REMOTE_EVENT_CALLBACK = 14
    REMOTE_CLOSE_CALLBACK = 15


class DomainState(IntEnum):
    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


class RunningReason(IntEnum):
    UNKNOWN = 0
    BOOTED = 1
    MIGRATED = 2
    RESTORED = 3
    UNPAUSED = 5
    CRASHED = 9


class PausedReason(IntEnum):
    UNKNOWN = 0
    USER = 1
    IOERROR = 5
    SHUTTING_DOWN = 8
    CRASHED = 10
    STARTING_UP = 11


class ShutdownReason(IntEnum):
    UNKNOWN = 0
    USER = 1


class ShutoffReason(IntEnum):
    UNKNOWN = 0
    SHUTDOWN = 1
    DESTROYED = 2
    CRASHED = 3
    MIGRATED = 4
    SAVED = 5
    FAILED = 6
    FROM_SNAPSHOT = 7
    DAEMON = 8


class CrashedReason(IntEnum):
    UNKNOWN = 0
    PANICKED = 1


class ControlState(IntEnum):
    OK = 0
    JOB = 1
    OCCUPIED = 2
    ERROR = 3


class VcpuState(IntEnum):
    OFFLINE = 0
    RUNNING = 1
    BLOCKED = 2


class JobType(IntEnum):
    NONE = 0


class EventId(IntEnum):
    """What a client can register for. Clients register for all of them, also those never sent here."""

    LIFECYCLE = 0
    REBOOT = 1
    CONTROL_ERROR = 7
    BALLOON_CHANGE = 13
    DEVICE_REMOVED = 15
    TUNABLE = 17
    AGENT_LIFECYCLE = 18
    DEVICE_ADDED = 19
    DEVICE_REMOVAL_FAILED = 22
    METADATA_CHANGE = 23
    MEMORY_DEVICE_SIZE_CHANGE = 26


class SecretEventId(IntEnum):
    """What a client can register for about secrets."""

    LIFECYCLE = 0
    VALUE_CHANGED = 1


class SecretEvent(IntEnum):
    DEFINED = 0
    UNDEFINED = 1


class SecretUsage(IntEnum):
    """VIR_SECRET_USAGE_TYPE_*."""

    NONE = 0
    VOLUME = 1
    CEPH = 2
    ISCSI = 3
    TLS = 4
    VTPM = 5


EVENT_ID_LAST = 27  # one past the highest that libvirt 9.0 to 11.3 know


class LifecycleEvent(IntEnum):
    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5
    SHUTDOWN = 6
    PMSUSPENDED = 7
    CRASHED = 8


class DefinedDetail(IntEnum):
    ADDED = 0
    UPDATED = 1
    RENAMED = 2


class UndefinedDetail(IntEnum):
    REMOVED = 0
    RENAMED = 1


class StartedDetail(IntEnum):
    BOOTED = 0
    MIGRATED = 1
    RESTORED = 2


class SuspendedDetail(IntEnum):
    PAUSED = 0
    MIGRATED = 1
    IOERROR = 2
    API_ERROR = 6


class ResumedDetail(IntEnum):
    UNPAUSED = 0
    MIGRATED = 1


class StoppedDetail(IntEnum):
    SHUTDOWN = 0
    DESTROYED = 1
    CRASHED = 2
    MIGRATED = 3
    SAVED = 4
    FAILED = 5


class ShutdownDetail(IntEnum):
    FINISHED = 0
    GUEST = 1
    HOST = 2


class CrashedDetail(IntEnum):
    PANICKED = 0


class ListDomainsFlag(IntFlag):
    """Groups of filters; a group with no bit set does not filter."""

    ACTIVE = 1 << 0
    INACTIVE = 1 << 1
    PERSISTENT = 1 << 2
    TRANSIENT = 1 << 3
    RUNNING = 1 << 4
    PAUSED = 1 << 5
    SHUTOFF = 1 << 6
    OTHER = 1 << 7
    MANAGEDSAVE = 1 << 8
    NO_MANAGEDSAVE = 1 << 9
    AUTOSTART = 1 << 10
    NO_AUTOSTART = 1 << 11
    HAS_SNAPSHOT = 1 << 12
    NO_SNAPSHOT = 1 << 13
    HAS_CHECKPOINT = 1 << 14
    NO_CHECKPOINT = 1 << 15


class StatsGroup(IntFlag):
    """Groups of getAllDomainStats; none means all."""

    STATE = 1 << 0
    CPU_TOTAL = 1 << 1
    BALLOON = 1 << 2
    VCPU = 1 << 3
    INTERFACE = 1 << 4
    BLOCK = 1 << 5
    PERF = 1 << 6
    IOTHREAD = 1 << 7
    MEMORY = 1 << 8
    DIRTYRATE = 1 << 9
    VM = 1 << 10


class StatsFlag(IntFlag):
    """Beside the filter bits of ListDomainsFlag."""

    NOWAIT = 1 << 29
    BACKING = 1 << 30
    ENFORCE_STATS = 1 << 31


class XmlFlag(IntFlag):
    SECURE = 1
    INACTIVE = 2
    UPDATE_CPU = 4
    MIGRATABLE = 8


class AffectFlag(IntFlag):
    """None of them means the current state: live when running."""

    LIVE = 1
    CONFIG = 2
    MAXIMUM = 4  # of memory and vCPUs only


TYPED_PARAM_STRING_OKAY = 4  # flag of procedures with typed parameters: the client can take strings


class CreateFlag(IntFlag):
    PAUSED = 1
    AUTODESTROY = 2
    BYPASS_CACHE = 4
    FORCE_BOOT = 8
    VALIDATE = 16
    RESET_NVRAM = 32


class DefineFlag(IntFlag):
    VALIDATE = 1


class UndefineFlag(IntFlag):
    MANAGED_SAVE = 1
    SNAPSHOTS_METADATA = 2
    NVRAM = 4
    KEEP_NVRAM = 8
    CHECKPOINTS_METADATA = 16
    TPM = 32
    KEEP_TPM = 64


class AgentState(IntEnum):
    """virConnectDomainEventAgentLifecycleState."""

    CONNECTED = 1
    DISCONNECTED = 2


class AgentReason(IntEnum):
    """virConnectDomainEventAgentLifecycleReason."""

    UNKNOWN = 0
    DOMAIN_STARTED = 1
    CHANNEL = 2


class ShutdownFlag(IntFlag):
    """Ways to shut down or reboot; none means the server's choice."""

    ACPI_POWER_BTN = 1
    GUEST_AGENT = 2
    INITCTL = 4
    SIGNAL = 8
    PARAVIRT = 16


class DestroyFlag(IntFlag):
    GRACEFUL = 1
    REMOVE_LOGS = 2


class MetadataType(IntEnum):
    DESCRIPTION = 0
    TITLE = 1
    ELEMENT = 2


class ConsoleFlag(IntFlag):
    FORCE = 1
    SAFE = 2


class AddressSource(IntEnum):
    LEASE = 0
    AGENT = 1
    ARP = 2


class AddressType(IntEnum):
    IPV4 = 0
    IPV6 = 1


class MemoryStat(IntEnum):
    """Tags of domain_memory_stats; sizes in KiB."""

    SWAP_IN = 0
    SWAP_OUT = 1
    MAJOR_FAULT = 2
    MINOR_FAULT = 3
    UNUSED = 4
    AVAILABLE = 5
    ACTUAL_BALLOON = 6
    RSS = 7
    USABLE = 8
    LAST_UPDATE = 9
    DISK_CACHES = 10


class CloseReason(IntEnum):
    ERROR = 0
    EOF = 1
    KEEPALIVE = 2
    CLIENT = 3


class AuthType(IntEnum):
    NONE = 0
    SASL = 1
    POLKIT = 2
