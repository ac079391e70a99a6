# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Host, answered."""

from collections.abc import Mapping

from covirt.host.stats.capabilities import Capabilities
from covirt.host.stats.hardware import hardware_info
from covirt.host.stats.statistics import Statistics
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.hostapi.json import JsonValue
from covirt.hostapi.verb import Params


class HostVerbs:
    def __init__(self, capabilities: Capabilities, statistics: Statistics) -> None:
        self._capabilities = capabilities
        self._statistics = statistics

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "Host.ping": self.ping,
            "Host.ping2": self.ping,
            "Host.getCapabilities": lambda _params, _context: self._capabilities.answer(),
            "Host.getStats": lambda _params, _context: self._statistics.answer(),
            "Host.getHardwareInfo": lambda _params, _context: hardware_info(),
        }

    def ping(self, _params: Params, _context: CallContext) -> JsonValue:
        return True
