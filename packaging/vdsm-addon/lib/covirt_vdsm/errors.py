# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's errors as Vdsm expects them, made here where no libvirt made one."""

from typing import Final

import libvirt

_BROKEN_DOMAINS: Final = (libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_RPC)
_BROKEN_CODES: Final = (
    libvirt.VIR_ERR_SYSTEM_ERROR,
    libvirt.VIR_ERR_INTERNAL_ERROR,
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
)


def made(code: int, message: str) -> "libvirt.libvirtError":
    """An error with this code."""
    libvirt.virResetLastError()  # else the constructor takes this thread's last one
    error = libvirt.libvirtError(message)
    error.err = (code, libvirt.VIR_FROM_NONE, message, libvirt.VIR_ERR_ERROR, message, None, None, -1, -1)
    return error


def away() -> "libvirt.libvirtError":
    """virtocid is not there or does not answer: Vdsm shows the container as not responding, and nothing else."""
    return made(
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
        "virtocid does not answer, so nothing can be done with containers: look at its log on the host",
    )


def means_broken(error: "libvirt.libvirtError") -> bool:
    """Whether the connection failed, and not the call."""
    return error.get_error_domain() in _BROKEN_DOMAINS and error.get_error_code() in _BROKEN_CODES


def means_absent(error: "libvirt.libvirtError") -> bool:
    return bool(error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN)
