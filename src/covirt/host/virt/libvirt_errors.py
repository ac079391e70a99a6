# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's errors as ours, by their numbers (include/libvirt/virterror.h)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import libvirt

from covirt.common.errors import Error
from covirt.host.virt.errors import HypervisorUnavailable, LibvirtFailed, LibvirtRefused, VmIsDown

_UNSUPPORTED: Final = (
    libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
)  # fmt: skip
_LOST_DOMAINS: Final = (libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_RPC)
_LOST_CODES: Final = (
    libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
)  # fmt: skip


def is_gone(error: libvirt.libvirtError) -> bool:
    """There is no such domain, or it does not run (any more)."""
    return error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)


def is_missing(error: libvirt.libvirtError) -> bool:
    return bool(error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN)


def is_connection_loss(error: libvirt.libvirtError) -> bool:
    return error.get_error_domain() in _LOST_DOMAINS and error.get_error_code() in _LOST_CODES


@contextmanager
def translated(action: str, name: str, *, failure: type[LibvirtFailed] = LibvirtFailed) -> Iterator[None]:
    """``action``: what libvirt was asked to do, as in "pause". Raises VmIsDown, LibvirtRefused,
    HypervisorUnavailable, and ``failure`` for anything else."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise _error(error, action, name, failure) from error


def _error(error: libvirt.libvirtError, action: str, name: str, failure: type[LibvirtFailed]) -> Error:
    reason = error.get_error_message()
    if is_connection_loss(error):
        return HypervisorUnavailable(name="libvirt", reason=reason)
    if is_missing(error):
        return VmIsDown(name=name)
    if error.get_error_code() in _UNSUPPORTED:
        return LibvirtRefused(action=action, name=name, reason=reason)
    return failure(action=action, name=name, reason=reason)
