# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A stock client with an event loop, as a process of its own: prints what it hears, a line a fact, until stdin ends.

``python -m tests.support.libvirt_events URI [KEEPALIVE_SECONDS [agent] [secrets]]``. Lines: ``ready``,
``lifecycle NAME ID EVENT DETAIL``, ``reboot NAME``, ``control-error NAME``, ``metadata NAME TYPE URI``,
``device-added NAME ALIAS``, ``device-removed NAME ALIAS``, ``device-removal-failed NAME ALIAS``,
``tunable NAME PARAMETER=VALUE,…``, ``balloon NAME KIB``, ``closed REASON``,
and where it is asked for ``agent NAME STATE REASON``, or ``secret UUID EVENT`` and ``secret-value UUID``.
"""

import os
import sys
from typing import Any

import libvirt


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def register_devices(connection: Any) -> None:
    def device(_connection: Any, domain: Any, alias: str, what: str) -> None:
        say(f"device-{what}", domain.name(), alias)

    for event, what in (
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, "added"),
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, "removed"),
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, "removal-failed"),
    ):
        connection.domainEventRegisterAny(None, event, device, what)


def lifecycle(_connection: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
    say("lifecycle", domain.name(), domain.ID(), event, detail)


def reboot(_connection: Any, domain: Any, _opaque: Any) -> None:
    say("reboot", domain.name())


def control_error(_connection: Any, domain: Any, _opaque: Any) -> None:
    say("control-error", domain.name())


def metadata(_connection: Any, domain: Any, kind: int, nsuri: str | None, _opaque: Any) -> None:
    say("metadata", domain.name(), kind, nsuri)


def tunable(_connection: Any, domain: Any, params: dict[str, object], _opaque: Any) -> None:
    say("tunable", domain.name(), ",".join(f"{name}={params[name]}" for name in sorted(params)))


def balloon(_connection: Any, domain: Any, actual_kib: int, _opaque: Any) -> None:
    say("balloon", domain.name(), actual_kib)


def main() -> None:
    uri, keepalive_seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    connection = libvirt.open(uri)
    over = False

    def closed(_connection: Any, reason: int, _opaque: Any) -> None:
        nonlocal over
        say("closed", reason)
        over = True

    def ended(*_args: Any) -> None:
        nonlocal over
        over = not os.read(0, 1024)

    connection.registerCloseCallback(closed, None)
    register_more(connection, sys.argv[3:])
    if keepalive_seconds:
        connection.setKeepAlive(keepalive_seconds, 3)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, reboot, None)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, control_error, None)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, metadata, None)
    register_devices(connection)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE, tunable, None)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, balloon, None)
    libvirt.virEventAddHandle(0, libvirt.VIR_EVENT_HANDLE_READABLE | libvirt.VIR_EVENT_HANDLE_HANGUP, ended, None)
    say("ready")
    while not over:
        libvirt.virEventRunDefaultImpl()


def register_more(connection: "libvirt.virConnect", words: list[str]) -> None:
    def agent(_connection: Any, domain: Any, state: int, reason: int, _opaque: Any) -> None:
        say("agent", domain.name(), state, reason)

    if "agent" in words:
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, agent, None)
    if "secrets" in words:
        register_secrets(connection)


def register_secrets(connection: "libvirt.virConnect") -> None:
    def lifecycle(_connection: Any, secret: Any, event: int, _detail: int, _opaque: Any) -> None:
        say("secret", secret.UUIDString(), event)

    def value_changed(_connection: Any, secret: Any, _opaque: Any) -> None:
        say("secret-value", secret.UUIDString())

    connection.secretEventRegisterAny(None, libvirt.VIR_SECRET_EVENT_ID_LIFECYCLE, lifecycle, None)
    connection.secretEventRegisterAny(None, libvirt.VIR_SECRET_EVENT_ID_VALUE_CHANGED, value_changed, None)


if __name__ == "__main__":
    main()
