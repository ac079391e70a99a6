# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that tell who and what the container is."""

import time
from typing import Final

from covirt.oci.inside import Inside, Names
from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.command import Call, Command, Commands, Json
from covirt.virtocid.driver.agent.guest import container_process
from covirt.virtocid.driver.agent.texts import os_release, shown
from covirt.virtocid.driver.agent.utmp import logged_in

_OS_RELEASE: Final = ("/etc/os-release", "/usr/lib/os-release")
_OS_RELEASE_BYTES: Final = 64 * 1024
_UTMP: Final = ("/run/utmp", "/var/run/utmp")
_UTMP_BYTES: Final = 1024 * 1024


def os_facts(inside: Inside, *, seconds: float) -> dict[str, str]:
    """The fields of GuestOSInfo: the kernel is the host's, the rest is what the container's image says."""
    names = inside.names(seconds=seconds)
    facts = {"kernel-release": names.release, "kernel-version": names.version, "machine": names.machine}
    release = os_release(_first(inside, _OS_RELEASE, _OS_RELEASE_BYTES, seconds))
    return facts | {name.lower().replace("_", "-"): value for name, value in release.items()}


def host_name(names: Names) -> str:
    """What the container calls itself; it may call itself anything."""
    return shown(names.hostname) or "localhost"


def time_zone(call: Call, inside: Inside) -> tuple[str | None, int]:
    """Name and offset from UTC in seconds: by TZ in the container's environment, else by its /etc/localtime."""
    environment = dict(entry.partition("=")[::2] for entry in container_process(call.run).get("env", ()))
    zone, offset = inside.timezone(environment.get("TZ") or None, seconds=call.seconds)
    return shown(zone) or None, offset


def users(inside: Inside, *, seconds: float) -> dict[str, float]:
    """Who is logged in since when (seconds since the epoch); nobody in a container that keeps no utmp."""
    machine = inside.names(seconds=seconds).machine
    return logged_in(_first(inside, _UTMP, _UTMP_BYTES, seconds), machine)


def _first(inside: Inside, paths: tuple[str, ...], limit_bytes: int, seconds: float) -> bytes:
    for path in paths:
        data = inside.text(path, limit_bytes=limit_bytes, seconds=seconds)
        if data is not None:
            return data
    return b""


def _ping(_call: Call, _arguments: Arguments) -> Json:
    return {}


def _sync(_call: Call, arguments: Arguments) -> Json:
    return arguments.integer("id")


def _os_info(call: Call, _arguments: Arguments) -> Json:
    with call.guest.inside(seconds=call.seconds) as inside:
        return os_facts(inside, seconds=call.seconds)


def _host_name(call: Call, _arguments: Arguments) -> Json:
    with call.guest.inside(seconds=call.seconds) as inside:
        return {"host-name": host_name(inside.names(seconds=call.seconds))}


def _time(_call: Call, _arguments: Arguments) -> Json:
    return time.time_ns()


def _time_zone(call: Call, _arguments: Arguments) -> Json:
    with call.guest.inside(seconds=call.seconds) as inside:
        zone, offset = time_zone(call, inside)
    return {"offset": offset} if zone is None else {"zone": zone, "offset": offset}


def _users(call: Call, _arguments: Arguments) -> Json:
    with call.guest.inside(seconds=call.seconds) as inside:
        found = users(inside, seconds=call.seconds)
    return [{"user": name, "login-time": when} for name, when in found.items()]


def _vcpus(call: Call, _arguments: Arguments) -> Json:
    config = call.run.config
    return [
        {"logical-id": number, "online": number < config.current_vcpus, "can-offline": False}
        for number in range(config.vcpus)
    ]


def _disks(_call: Call, _arguments: Arguments) -> Json:
    """A container sees file systems, and no block devices."""
    return []


COMMANDS: Final[Commands] = {
    "guest-ping": Command(run=_ping),
    "guest-sync": Command(run=_sync, arguments=("id",)),
    "guest-sync-delimited": Command(run=_sync, arguments=("id",)),
    "guest-get-osinfo": Command(run=_os_info),
    "guest-get-host-name": Command(run=_host_name),
    "guest-get-time": Command(run=_time),
    "guest-get-timezone": Command(run=_time_zone),
    "guest-get-users": Command(run=_users),
    "guest-get-vcpus": Command(run=_vcpus),
    "guest-get-disks": Command(run=_disks),
}
