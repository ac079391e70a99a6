# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A verb of the contract: its name, its parameters, and what it answers."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from covirt.hostapi.errors import Code


class Params(BaseModel):
    """Parameters of a verb, under their names on the wire (aliases). What a verb does not know is ignored, as Vdsm
    does: engines of later versions send more."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )


class NoParams(Params):
    """Of a verb without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """``result``: a type, for the document. ``extension``: the name of covirt's own addition that has it, which a
    client finds in getCapabilities; None for Vdsm's verbs.

    ``quick`` verbs wait for nothing slow and have workers of their own, so that a busy host still answers them.
    ``inline`` ones compute nothing at all. ``malformed``: the code of parameters of another shape.
    """

    name: str
    summary: str
    params: type[Params] = NoParams
    result: object = bool
    extension: str | None = None
    changes: bool = False
    quick: bool = False
    inline: bool = False
    malformed: Code = Code.INVALID_PARAMS
