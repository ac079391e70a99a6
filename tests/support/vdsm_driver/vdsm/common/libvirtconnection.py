# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the add-on expects of Vdsm's module of this name: a function that opens, and one that keeps and wraps."""

import functools
import threading
import weakref
from collections.abc import Callable
from typing import Any

import libvirt

EVENTS = (
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT,
    libvirt.VIR_DOMAIN_EVENT_ID_RTC_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
    libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS,
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
    libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG,
    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
)
_connections: dict[int, Any] = {}


def start_event_loop() -> None:
    libvirt.virEventRegisterDefaultImpl()

    def serve() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=serve, name="libvirt/events", daemon=True).start()


def open_connection(uri: Any = None, username: Any = None, passwd: Any = None) -> Any:
    """A new connection, not wrapped."""
    wanted = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]
    return libvirt.openAuth(uri, [wanted, lambda _credentials, _data: 0, (username, passwd)], 0)


def get(target: Any = None) -> Any:
    """The connection of a target, every method of it replaced, as Vdsm does to notice a loss."""
    found = _connections.get(id(target))
    if found is None:
        found = _connections[id(target)] = open_connection("qemu:///system", "vdsm@ovirt", "secret")
        for name in dir(libvirt.virConnect):
            method = getattr(found, name)
            if callable(method) and not name.startswith("_"):
                setattr(found, name, _wrapped(method))
        if target is not None:
            for event in EVENTS:
                found.domainEventRegisterAny(None, event, target.heard, event)
    return found


def _wrapped(method: Any) -> Callable[..., Any]:
    function, owner = method.__func__, weakref.ref(method.__self__)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        alive = owner()
        assert alive is not None, "the object behind a method is gone"
        return function(alive, *arguments, **named)

    return call
