# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container as Vdsm holds it: like libvirt's domain object, but it outlives the connection it came from."""

import uuid as uuids
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import libvirt

from covirt_vdsm import domain_xml, errors

if TYPE_CHECKING:
    from covirt_vdsm.link import Link

# Questions. They are given up in time; what changes something is not, for it may go on.
_QUESTIONS: Final = frozenset(
    (
        "state", "info", "controlInfo", "XMLDesc", "metadata", "isActive", "isPersistent", "ID", "maxMemory",
        "schedulerParameters", "vcpus", "vcpusFlags", "jobStats", "jobInfo", "diskErrors", "blockInfo",
        "blockJobInfo",
        "blockIoTune", "guestInfo", "guestVcpus", "interfaceAddresses", "memoryStats", "getCPUStats", "getTime",
    )
)  # fmt: skip


class ContainerDomain:
    """Every method of libvirt's domain object is one here; each looks for the connection that there is."""

    def __init__(self, link: "Link", uuid: str, name: str) -> None:
        self._link = link
        self._uuid = uuid
        self._name = name
        self._held: tuple[int, Any] = (0, None)

    def UUIDString(self) -> str:  # noqa: N802  # libvirt's name, as the next one
        return self._uuid

    def UUID(self) -> bytes:  # noqa: N802
        return uuids.UUID(self._uuid).bytes

    def name(self) -> str:
        return self._name

    def XMLDesc(self, flags: int = 0) -> str:  # noqa: N802
        return domain_xml.with_addresses(self._call("XMLDesc", (flags,), {}))

    def undefineFlags(self, flags: int = 0) -> int:  # noqa: N802
        """As everywhere, and the object is forgotten."""
        return self._ended("undefineFlags", (flags,))

    def undefine(self) -> int:
        return self._ended("undefine", ())

    def live(self) -> Any:
        """libvirt's object on the present connection. Raises errors.away(), and libvirt's NO_DOMAIN."""
        connection, generation = self._link.current()
        held, domain = self._held
        if held != generation:
            domain = connection.lookupByUUIDString(self._uuid)
            self._held = (generation, domain)
        return domain

    @property
    def _o(self) -> Any:
        """What libvirt's C functions take, e.g. those of the guest agent in libvirt_qemu."""
        self._link.check()
        return self.live()._o

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or not callable(getattr(libvirt.virDomain, name, None)):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            return self._call(name, arguments, named)

        call.__name__ = name
        return call

    def __repr__(self) -> str:
        return f"<container {self._name} {self._uuid}>"

    def _call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if name in _QUESTIONS:
            return self._link.ask(
                lambda _connection: getattr(self.live(), name)(*arguments, **named),
                seconds=self._link.settings.call_seconds,
            )
        self._link.check()
        try:
            return getattr(self.live(), name)(*arguments, **named)
        except libvirt.libvirtError as error:
            if errors.means_broken(error):
                raise errors.away() from error
            raise

    def _ended(self, name: str, arguments: tuple[Any, ...]) -> int:
        answer = int(self._call(name, arguments, {}))
        self._link.forget(self._uuid)
        return answer
