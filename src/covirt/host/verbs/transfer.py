# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets for uploads and downloads."""

from collections.abc import Mapping
from typing import cast

from covirt.host.storage.transfers import Transfers
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.hostapi.json import JsonValue
from covirt.hostapi.transfer import AddTicketParams, ExtendTicketParams, TicketParams


class TicketVerbs:
    """Host's verbs about tickets."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "Host.add_image_ticket": self.add,
            "Host.get_image_ticket": self.get,
            "Host.extend_image_ticket": self.extend,
            "Host.remove_image_ticket": self.remove,
        }

    def add(self, params: AddTicketParams, _context: CallContext) -> JsonValue:
        self._transfers.add(params.ticket.model_dump(mode="json", exclude_none=True))
        return None

    def get(self, params: TicketParams, _context: CallContext) -> JsonValue:
        return cast(JsonValue, self._transfers.get(params.uuid))

    def extend(self, params: ExtendTicketParams, _context: CallContext) -> JsonValue:
        self._transfers.extend(params.uuid, timeout_seconds=params.timeout)
        return None

    def remove(self, params: TicketParams, _context: CallContext) -> JsonValue:
        self._transfers.remove(params.uuid)
        return None
