# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's errors as ours, by their numbers (include/libvirt/virterror.h): the only place that knows both."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final

import libvirt

from covirt.common.errors import Error
from covirt.host.virt.device_errors import AgentSilent, GuestCannot
from covirt.host.virt.errors import HypervisorUnavailable, LibvirtFailed, VmIsDown

# Not VIR_ERR_CONFIG_UNSUPPORTED and VIR_ERR_ARGUMENT_UNSUPPORTED: those are about one device, definition or agent,
# and what was wanted of it has failed.
_UNSUPPORTED: Final = (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_OPERATION_UNSUPPORTED)
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
def told_as(failure: Callable[..., Error], *, name: str) -> Iterator[None]:
    """What libvirt refuses in this block, or its binding cannot tell it. Raises HypervisorUnavailable, VmIsDown,
    AgentSilent, GuestCannot, and for anything else ``failure``, which takes a ``reason``."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise _error(error, name, failure) from error
    except OverflowError as error:  # of libvirt's binding, which takes C's numbers
        raise failure(reason="a number is beyond what libvirt takes; give a smaller one") from error


def translated(
    action: str, name: str, *, failure: type[LibvirtFailed] = LibvirtFailed
) -> AbstractContextManager[None]:
    """told_as() for ``action``: what libvirt was asked to do, as in "pause"."""
    return told_as(partial(failure, action=action, name=name), name=name)


def _error(error: libvirt.libvirtError, name: str, failure: Callable[..., Error]) -> Error:
    reason = error.get_error_message() or str(error)
    if is_connection_loss(error):
        return HypervisorUnavailable(name="libvirt", reason=reason)
    if is_missing(error):
        return VmIsDown(name=name)
    if error.get_error_code() == libvirt.VIR_ERR_AGENT_UNRESPONSIVE:
        return AgentSilent(reason=reason)
    if error.get_error_code() in _UNSUPPORTED:
        return GuestCannot(reason=reason)
    return failure(reason=reason)
