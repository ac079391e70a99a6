# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Error codes and texts as Vdsm's clients know them (reference: Vdsm, lib/vdsm/common/exception.py and
lib/vdsm/storage/exception.py; the first ones are JSON-RPC's)."""

from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """``error.code`` of a JSON-RPC answer."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    NO_SUCH_METHOD = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    NO_SUCH_VM = 1
    ACCESS_TIMEOUT = 3
    VM_EXISTS = 4
    VM_IS_DOWN = 6
    CANNOT_CREATE_VM = 9
    NETWORK_CONNECTION_LOST = 10
    MISSING_PARAMETER = 11
    MIGRATION_ERROR = 12
    IMAGE_FILE = 13
    OUT_OF_MEMORY = 14
    UNEXPECTED = 16
    TICKET = 18
    NON_RESPONSIVE_GUEST_AGENT = 19
    NETWORK_PARAMETERS = 21
    NETWORK_ADDRESS = 22
    NO_SUCH_NIC = 23
    NIC_IN_USE = 24
    BONDING = 25
    VLAN = 26
    BRIDGE = 27
    LINK_CHANGE = 29
    BOND_IN_USE = 31
    RESOURCE_UNAVAILABLE = 40
    CHANGE_DISK = 41
    VM_DESTROY_FAILED = 42
    NOT_IMPLEMENTED = 44
    HOT_PLUG_DISK = 45
    HOT_UNPLUG_DISK = 46
    MIGRATION_CANCEL = 47
    SNAPSHOT = 48
    HOT_PLUG_NIC = 49
    HOT_UNPLUG_NIC = 50
    MERGE = 52
    BALLOON = 53
    UPDATE_DEVICE = 56
    SET_CPUS = 60
    UPDATE_POLICY = 63
    NO_SUCH_JOB = 66
    JOB_NOT_DONE = 68
    JOB_EXISTS = 69
    UNSUPPORTED = 75
    FREEZE = 76
    THAW = 77
    HOOK_FAILED = 78
    MIGRATION_NOT_IN_PROGRESS = 81
    JOB_NOT_ACTIVE = 84
    RESET_FAILED = 90
    INVALID_PARAMETER = 91
    RECOVERING = 99
    GENERAL = 100
    RESOURCE_EXHAUSTED = 1100
    STORAGE_GENERAL = 200
    NO_SUCH_VOLUME = 201
    WRONG_VOLUME_FORMAT = 202
    VOLUME_BUSY = 203
    VOLUME_HAS_CHILDREN = 204
    VOLUME_METADATA = 207
    VOLUME_EXISTS = 212
    VOLUME_NOT_WRITABLE = 213
    VOLUME_NOT_SHARED = 214
    SHARED_VOLUME = 219
    SHARED_VOLUME_KEPT = 223
    VOLUME_ILLEGAL = 227
    WRONG_VOLUME_TYPE = 231
    VOLUME_WOULD_SHRINK = 232
    IMAGE_PATH = 254
    ILLEGAL_CHAIN = 262
    NO_SUCH_IMAGE = 268
    MASTER_MISSING = 304
    NO_SUCH_POOL = 309
    POOL_NOT_CONNECTED = 313
    POOL_EXISTS = 316
    ANOTHER_POOL = 323
    WRONG_MASTER = 324
    POOL_NAME_TOO_LONG = 327
    BLOCK_SIZE_DIFFERS = 348
    STORAGE_DOMAIN_NOT_IN_POOL = 353
    NO_SUCH_STORAGE_DOMAIN = 358
    STORAGE_DOMAIN_NOT_EMPTY = 361
    STORAGE_METADATA_NOT_FOUND = 364
    STORAGE_DOMAIN_EXISTS = 365
    STORAGE_DOMAIN_NOT_ACTIVE = 369
    STORAGE_TYPE = 372
    STORAGE_DOMAIN_ACCESS = 379
    STORAGE_DOMAIN_ATTACHED = 380
    STORAGE_DOMAIN_ACTIVE = 382
    MASTER_CANNOT_LEAVE = 383
    STORAGE_DOMAIN_CLASS = 386
    STORAGE_DOMAIN_NAME_TOO_LONG = 387
    STORAGE_PATH = 390
    FORMAT_ATTACHED = 391
    FORMAT_IN_POOL = 392
    STORAGE_DOMAIN_VERSION = 394
    NO_SPACE = 397
    NO_SUCH_TASK = 401
    TASK_NOT_FINISHED = 403
    TASK_STATE = 410
    STOPPED = 443
    STORAGE_CONNECTION = 451
    STORAGE_ACCESS = 469
    STORAGE_MOUNT = 477
    IMAGE_DAEMON_SILENT = 481
    IMAGE_DAEMON_REFUSED = 482
    NO_IMAGE_DAEMON = 483
    IMAGE_VERIFICATION = 484
    ACQUIRE_LOCK = 651
    NOT_SPM = 654
    IS_SPM = 656
    HOST_ID = 661
    METADATA_KEY = 751
    METADATA_SEAL = 752
    METADATA_TOO_LONG = 756
    WRONG_GENERATION = 911
    WRONG_PARENT_VOLUME = 921
    STORAGE_PARAMETER = 1000
    STORAGE_UNSUPPORTED = 2009


# What Vdsm puts before the details in error.message.
TEXTS: Final = {
    Code.NO_SUCH_VM: "Virtual machine does not exist",
    Code.VM_EXISTS: "Virtual machine already exists",
    Code.VM_IS_DOWN: "Virtual machine is down",
    Code.UNSUPPORTED: "Operation not supported",
    Code.GENERAL: "General Exception",
    Code.RECOVERING: "Recovering from crash or Initializing",
    Code.NO_SUCH_METHOD: "The method does not exist or is not available",
    Code.INVALID_PARAMS: "Invalid method parameter(s)",
    Code.INTERNAL_ERROR: "Internal JSON-RPC error",
    Code.RESOURCE_UNAVAILABLE: "Resource unavailable",
    Code.NO_SUCH_VOLUME: "Volume does not exist",
    Code.VOLUME_EXISTS: "Volume already exists",
    Code.NO_SUCH_POOL: "Unknown pool id, pool not connected",
    Code.WRONG_MASTER: "Wrong Master domain or its version",
    Code.POOL_NAME_TOO_LONG: "Storage pool description is too long",
    Code.MASTER_MISSING: "Cannot find master domain",
    Code.NO_SUCH_STORAGE_DOMAIN: "Storage domain does not exist",
    Code.STORAGE_DOMAIN_EXISTS: "Storage domain already exists",
    Code.STORAGE_DOMAIN_NOT_ACTIVE: "Storage domain not active",
    Code.STORAGE_DOMAIN_NAME_TOO_LONG: "Storage domain description is too long",
    Code.STORAGE_PARAMETER: "Invalid parameter",
    Code.VOLUME_HAS_CHILDREN: "Cannot delete volume which has children (non-ethical)",
    Code.VOLUME_BUSY: "Volume is busy",
    Code.STORAGE_DOMAIN_ACCESS: "Domain is either partially accessible or entirely inaccessible",
    Code.NO_SUCH_JOB: "Job Id does not exists",
    Code.JOB_NOT_DONE: "Job status is not done",
    Code.JOB_EXISTS: "Job id already exists",
    Code.JOB_NOT_ACTIVE: "Job is not active",
    Code.NO_SUCH_TASK: "Task id unknown",
    Code.TASK_NOT_FINISHED: "Task not finished",
    Code.TASK_STATE: "Operation is not allowed in this task state",
    Code.STOPPED: "Action was stopped",
    Code.IMAGE_DAEMON_SILENT: "Cannot communicate with image daemon",
    Code.IMAGE_DAEMON_REFUSED: "Image daemon request failed",
    Code.NO_IMAGE_DAEMON: "Image daemon is unsupported",
}


class CallRefused(Exception):
    """The error of an answer: a code, and a message for people."""

    def __init__(self, code: int, message: str) -> None:
        self.code = int(code)
        self.message = message
        super().__init__(message)
