# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The one table from the engine's facts to HTTP's statuses and oVirt's faults."""

import logging
from typing import Final
from uuid import uuid4

from covirt.common.errors import (
    CommandFailed,
    Conflict,
    Denied,
    Error,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unsupported,
)
from covirt.engine.api import errors
from covirt.engine.api.node import Node
from covirt.engine.auth.errors import Unauthenticated

log = logging.getLogger(__name__)

_FAILED: Final = "Operation Failed"
_SYNTAX: Final = "Request syntactically incorrect."
_INCOMPLETE: Final = "Incomplete parameters"

# The first class that an error is of decides; what is more precise stands before what is more general.
_STATUSES: Final[tuple[tuple[type[Error], int, str], ...]] = (
    (errors.Incomplete, 400, _INCOMPLETE),
    (errors.BadBody, 400, _SYNTAX),
    (errors.WrongElement, 400, _SYNTAX),
    (errors.BadValue, 400, _SYNTAX),
    (errors.BodyTooLarge, 413, _SYNTAX),
    (errors.NotAcceptable, 406, _FAILED),
    (errors.WrongMediaType, 415, _FAILED),
    (errors.MethodNotAllowed, 405, _FAILED),
    (Unauthenticated, 401, _FAILED),
    (NotFound, 404, _FAILED),
    (Conflict, 409, _FAILED),
    (Unsupported, 409, _FAILED),
    (InvalidRequest, 400, _FAILED),
    (Denied, 403, _FAILED),
    (Unavailable, 503, _FAILED),
    (CommandFailed, 500, _FAILED),
)


def fault(error: Exception) -> tuple[int, Node]:
    """The status and the body. What is no fact of ours is a bug: it is logged in full, and the client gets an id that
    finds it in the log."""
    for kind, status, reason in _STATUSES:
        if isinstance(error, kind):
            detail = str(error) if reason is _INCOMPLETE else f"[{error}]"
            return status, fault_node(reason, detail)
    incident = str(uuid4())
    log.error("A request failed for a reason that is a bug incident=%s", incident, exc_info=error)
    return 500, fault_node(
        _FAILED, f"[Internal Engine Error. Incident {incident} in the engine's log has the reason.]"
    )


def fault_node(reason: str, detail: str) -> Node:
    return Node(type="Fault", values={"reason": reason, "detail": detail})
