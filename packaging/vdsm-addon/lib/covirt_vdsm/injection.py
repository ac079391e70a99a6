# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Gets between Vdsm and libvirt at one function, or steps aside and says why.

``vdsm.common.libvirtconnection.open_connection`` has had this shape since 2016. It is looked at when Vdsm's program
has imported it; when anything is different, nothing is touched and Vdsm runs machines as ever.
"""

import inspect
import os
import sys
import syslog
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from covirt_vdsm import settings
from covirt_vdsm.finder import MODULE

_FUNCTION: Final = "open_connection"
_PARAMETERS: Final = ("uri", "username", "passwd")
_MACHINES_URI: Final = "qemu:///system"
_PROGRAM: Final = "vdsmd"


def take_part(module: ModuleType) -> None:
    """Replace the function in Vdsm's daemon, when containers are wanted. Never raises."""
    try:
        if os.path.basename(sys.argv[0]) != _PROGRAM:  # Vdsm's tools need no containers
            return
        reason = why_not(module)
        if reason:
            say(f"Vdsm runs without containers: {reason}")
            return
        wanted = settings.load()
        setattr(module, _FUNCTION, _replacement(getattr(module, _FUNCTION), wanted))
        os.environ[settings.ACTIVE] = "1"
    except settings.BadSettings as error:
        say(f"Vdsm runs without containers: {error}")
    except Exception as error:  # noqa: BLE001  # whatever it is, Vdsm has to start
        say(f"Vdsm runs without containers: {type(error).__name__}: {error}")


def why_not(module: ModuleType) -> str:
    """Why the function is left alone; empty when it is what it should be."""
    try:
        if not settings.load().enabled:
            return "they are not enabled in /etc/covirt/vdsm-addon.conf"
    except settings.BadSettings as error:
        return str(error)
    function = getattr(module, _FUNCTION, None)
    if not inspect.isfunction(function):
        return f"{MODULE} has no function {_FUNCTION}"
    parameters = inspect.signature(function).parameters
    if tuple(parameters) != _PARAMETERS or any(each.default is not None for each in parameters.values()):
        return f"{_FUNCTION}{inspect.signature(function)} has other parameters than {', '.join(_PARAMETERS)}"
    getter = getattr(module, "get", None)
    if not inspect.isfunction(getter) or _FUNCTION not in getter.__code__.co_names:
        return f"{MODULE}.get does not call {_FUNCTION}"
    return ""


def _replacement(original: Callable[..., Any], wanted: settings.Settings) -> Callable[..., Any]:
    shared = _SharedLink(wanted)

    def open_connection(uri: Any = None, username: Any = None, passwd: Any = None) -> Any:
        machines = original(uri, username, passwd)
        if uri != _MACHINES_URI:  # e.g. another hypervisor, to import machines from
            return machines
        return shared.with_containers(machines)

    return open_connection


class _SharedLink:
    """All of a process's connections share the one to virtocid."""

    def __init__(self, wanted: settings.Settings) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()
        self._link: Any = None

    def with_containers(self, machines: Any) -> Any:
        try:
            from covirt_vdsm import composite, link

            with self._lock:
                if self._link is None:
                    self._link = link.Link(self._wanted)
                    self._link.start()
            return composite.Composite(machines, self._link)
        except Exception as error:  # noqa: BLE001  # whatever it is, Vdsm has to get its machines
            os.environ.pop(settings.ACTIVE, None)
            say(f"Vdsm runs without containers: {type(error).__name__}: {error}")
            return machines


def say(text: str) -> None:
    """To the system's log: Vdsm's own is not open yet."""
    syslog.openlog("covirt-vdsm-addon")
    syslog.syslog(syslog.LOG_WARNING, text)
    syslog.closelog()
