# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One request, as handlers see it."""

from dataclasses import dataclass
from typing import Any

from covirt.engine.api.params import Params
from covirt.engine.api.services import ApiServices, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """``session`` is the store's, open as long as the call lasts; ``viewer`` is what lists are limited to."""

    services: ApiServices
    principal: Principal
    params: Params
    correlation_id: str
    session: Any
    viewer: Any
