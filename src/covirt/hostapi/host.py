# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Host that are about the host itself."""

from typing import Any, Final

from pydantic import Field

from covirt.hostapi.verb import Params, Verb


class DevicesParams(Params):
    """``caps``: kinds of devices, as "pci" and "usb_device"; none is all of them."""

    capabilities: list[str] | None = Field(alias="caps", default=None)


VERBS: Final = (
    Verb(name="Host.ping", summary="Tells that the host answers.", inline=True),
    Verb(name="Host.ping2", summary="Tells that the host answers, and confirms nothing.", inline=True),
    Verb(name="Host.getCapabilities", summary="What the host is and can do.", result=dict[str, Any]),
    Verb(name="Host.getStats", summary="How the host does.", result=dict[str, Any], quick=True),
    Verb(name="Host.hostdevListByCaps", summary="The host's own devices, by libvirt's names.", params=DevicesParams,
         result=dict[str, Any]),
    Verb(name="Host.getHardwareInfo", summary="What its maker says of it.", result=dict[str, Any]),
)  # fmt: skip
