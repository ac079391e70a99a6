# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A permission for one host to get a certificate, once. No noun of the API."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """``secret_hash`` is the SHA-256 of what the host shows. ``host_id`` is there from the beginning if the host is,
    and otherwise from when it was used. An empty address is what the host calls itself."""

    id: str
    secret_hash: str
    name: str
    address: str
    cluster_id: str
    host_id: str | None = None
    created: datetime
    created_by: str
    expires: datetime
    used: datetime | None = None
