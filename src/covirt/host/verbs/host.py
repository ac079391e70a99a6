# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Host, answered."""

from collections.abc import Callable, Mapping

from covirt.host.stats.capabilities import Capabilities
from covirt.host.stats.hardware import hardware_info
from covirt.host.stats.statistics import Statistics
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.hostapi.json import JsonValue
from covirt.hostapi.verb import Params


class HostVerbs:
    def __init__(self, capabilities: Capabilities, statistics: Statistics, *, confirm: Callable[[], None]) -> None:
        """``confirm``: called when a client has reached the host."""
        self._capabilities = capabilities
        self._statistics = statistics
        self._confirm = confirm

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "Host.ping": self.ping,
            "Host.ping2": lambda _params, _context: True,
            "Host.getCapabilities": lambda _params, _context: self._capabilities.answer(),
            "Host.getStats": lambda _params, _context: self._statistics.answer(),
            "Host.getHardwareInfo": lambda _params, _context: hardware_info(),
        }

    def ping(self, _params: Params, _context: CallContext) -> JsonValue:
        self._confirm()  # as Vdsm's does, for engines that know no other way
        return True
