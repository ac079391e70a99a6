# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads and downloads: tickets of the imageio daemon."""

from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from covirt.hostapi.verb import Params, Verb

_LONGEST_SECONDS: Final = 7 * 24 * 3600


class Ticket(Params):
    """What the imageio daemon may do with one volume, and for how long. Whoever knows the uuid may use it."""

    # Newer engines say more, and the daemon knows what of it counts.
    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    uuid: str
    url: str
    size: int = Field(ge=0, description="bytes")
    timeout: int = Field(ge=0, le=_LONGEST_SECONDS, description="seconds")
    ops: tuple[Literal["read", "write"], ...] = Field(min_length=1)
    transfer_id: str | None = None


class AddTicketParams(Params):
    ticket: Ticket


class TicketParams(Params):
    uuid: str


class ExtendTicketParams(Params):
    uuid: str
    timeout: int = Field(ge=0, le=_LONGEST_SECONDS, description="seconds from now")


VERBS: Final = (
    Verb(
        name="Host.add_image_ticket",
        summary="Lets whoever knows the ticket's uuid read or write a volume through the imageio daemon.",
        params=AddTicketParams,
        changes=True,
    ),
    Verb(
        name="Host.get_image_ticket",
        summary="Tells a ticket, and how much was transferred with it.",
        params=TicketParams,
        result=dict[str, Any],
    ),
    Verb(
        name="Host.extend_image_ticket",
        summary="Makes a ticket last until some seconds from now.",
        params=ExtendTicketParams,
        changes=True,
    ),
    Verb(
        name="Host.remove_image_ticket",
        summary="Ends a ticket, and waits for requests under way.",
        params=TicketParams,
        changes=True,
    ),
)
