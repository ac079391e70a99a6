# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Taking the host's /dev/null back from a container.

crun up to 1.8 (Debian 12's) gives its standard streams to the container's root, and with a terminal conmon hands it
/dev/null: the host's device would belong to a user of the container, who could close it to everybody. Between create
and start no program of the container runs, so taking it back there leaves no moment to use it.
"""

import logging
import os
from typing import Final

log = logging.getLogger(__name__)

_PATH: Final = "/dev/null"
_NUMBER: Final = os.makedev(1, 3)
_MODE: Final = 0o666


def reclaim_null_device() -> None:
    """Give /dev/null back to root unless it is root's; to be called after every create."""
    descriptor = os.open(_PATH, os.O_RDWR | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_rdev != _NUMBER or (status.st_uid, status.st_gid) == (0, 0):
            return
        os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, _MODE)
    finally:
        os.close(descriptor)
    log.debug("/dev/null was given to a container and taken back owner=%d", status.st_uid)
