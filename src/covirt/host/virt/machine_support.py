# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What this host has for virtual machines: KVM if it works, and the machine types of its QEMU."""

import functools
import logging
import platform
import pwd
import secrets
from collections.abc import Mapping
from typing import Any, Final

from covirt.host.virt.document import BadXml, read_xml
from covirt.host.virt.kinds import Kind
from covirt.host.virt.kvm_probe import KvmProbe
from covirt.host.virt.machine_xml import MachineHost
from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

# Whom Debian's and Red Hat's libvirt run QEMU as.
_QEMU_USERS: Final = ("libvirt-qemu", "qemu")
# Files in storage domains belong to 36:36, and their group may write.
_STORAGE_GROUP: Final = 36
_PROBE_SECONDS: Final = 15.0
_PASSWORD_LETTERS: Final = 8  # VNC compares no more
_NOT_SEEN: Final = "libvirtd has not answered yet"
_NONE_FOUND: Final = "libvirtd knows no QEMU for this architecture"


class MachineSupport:
    """A Watcher of the connections, and a source of facts."""

    def __init__(self, probe: KvmProbe, *, display_address: str) -> None:
        self._probe = probe
        self._display_address = display_address
        self._closed_password = secrets.token_hex(_PASSWORD_LETTERS // 2)
        self._machine_types: tuple[str, ...] = ()
        self._absence = _NOT_SEEN

    def machine_host(self) -> MachineHost:
        """The first start waits until the probe knows: what is emulated once is so until its end."""
        return MachineHost(
            kvm_works=self._probe.wait(timeout_seconds=_PROBE_SECONDS).works,
            display_address=self._display_address,
            closed_password=self._closed_password,
            storage_label=_storage_label(),
        )

    def connected(self, kind: Kind, connection: Any) -> None:
        if kind is Kind.MACHINE:
            self._machine_types = _machine_types(connection.getCapabilities())
            self._absence = _NONE_FOUND

    def disconnected(self, kind: Kind, reason: str) -> None:
        """What QEMU has stays as it was; that nothing starts without libvirtd is told elsewhere."""
        if kind is Kind.MACHINE:
            self._absence = f"libvirtd does not answer: {reason}"

    def capabilities(self) -> Mapping[str, JsonValue]:
        """``emulatedMachinesReason``: why there are none. Those that were seen once are told from then on."""
        answer = self._probe.answer
        facts: dict[str, JsonValue] = {
            "kvmEnabled": "true" if answer.works else "false",
            "emulatedMachines": list(self._machine_types),
        }
        if not answer.works:
            facts["kvmReason"] = answer.reason
        if not self._machine_types:
            facts["emulatedMachinesReason"] = self._absence
        return facts

    def statistics(self) -> Mapping[str, JsonValue]:
        return {}


def _machine_types(capabilities_xml: str) -> tuple[str, ...]:
    """Of the host's own architecture, in libvirt's order, each once."""
    try:
        root = read_xml(capabilities_xml)
    except BadXml as error:
        log.warning("libvirt's capabilities cannot be read: %s", error)
        return ()
    own = (arch for arch in root.iterfind("guest/arch") if arch.get("name") == platform.machine())
    names = (machine.text or "" for arch in own for machine in arch.iterfind(".//machine"))
    return tuple(dict.fromkeys(filter(None, names)))


@functools.cache
def _storage_label() -> str | None:
    """QEMU's own user with the group of storage files, which needs no name here; None where there is no such user."""
    for name in _QEMU_USERS:
        try:
            return f"+{pwd.getpwnam(name).pw_uid}:+{_STORAGE_GROUP}"
        except KeyError:
            continue
    return None
