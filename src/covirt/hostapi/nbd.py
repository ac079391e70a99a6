# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class NBD: volumes served over NBD, for the imageio daemon."""

from typing import Final

from covirt.hostapi.verb import Params, Verb


class NbdServerConfig(Params):
    """The volume to serve, and how."""

    sd_id: str
    img_id: str
    vol_id: str
    readonly: bool | None = False
    discard: bool | None = False
    detect_zeroes: bool | None = False
    backing_chain: bool = True
    bitmap: str | None = None


class StartServerParams(Params):
    server_id: str
    config: NbdServerConfig


class StopServerParams(Params):
    server_id: str


VERBS: Final = (
    Verb(
        name="NBD.start_server",
        summary="Serves a volume over NBD on a unix socket; gives its address.",
        params=StartServerParams,
        result=str,
        changes=True,
    ),
    Verb(
        name="NBD.stop_server",
        summary="Ends an NBD server; one that does not run is fine.",
        params=StopServerParams,
        changes=True,
    ),
)
