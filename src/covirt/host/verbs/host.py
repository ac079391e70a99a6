# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Host, answered."""

from collections.abc import Mapping

from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.hostapi.json import JsonValue
from covirt.hostapi.verb import Params


class HostVerbs:
    def handlers(self) -> Mapping[str, Handler]:
        return {"Host.ping": self.ping, "Host.ping2": self.ping}

    def ping(self, _params: Params, _context: CallContext) -> JsonValue:
        return True
