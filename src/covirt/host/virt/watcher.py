# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who wants to know whether a libvirt answers."""

from typing import Any, Protocol

from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.kinds import Kind


class Watcher(Protocol):
    """Called in the connections' threads, so it has to be quick."""

    def connected(self, kind: Kind, connection: Any) -> None:
        """A libvirt answers. A libvirtError closes the connection again."""
        ...

    def disconnected(self, kind: Kind, reason: str) -> None:
        """It does not, or not any more."""
        ...


class ContainerWatcher:
    """Tells ``support`` what virtocid has, and that it is away."""

    def __init__(self, support: ContainerSupport) -> None:
        self._support = support

    def connected(self, kind: Kind, connection: Any) -> None:
        if kind is Kind.CONTAINER:
            self._support.set_present(connection.getCapabilities())

    def disconnected(self, kind: Kind, reason: str) -> None:
        if kind is Kind.CONTAINER:
            self._support.set_absent(f"virtocid does not answer: {reason}")
