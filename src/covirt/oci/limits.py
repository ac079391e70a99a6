# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of a process, brought down to what this host can give.

A runtime sets them without CAP_SYS_RESOURCE (crun inside the user namespace, and in some hosts we lack it ourselves):
a resource limit above our own hard limit, or an oom_score_adj below our own, would make every start fail.
"""

import logging
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.oci.isolation_errors import BadSpecRequest

log = logging.getLogger(__name__)

_NAMES: Final = (
    "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice",
    "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
_NO_LIMIT: Final = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlimit:
    """``name`` as in ulimit and systemd, lower case (``nofile``); None is no limit."""

    name: str
    soft: int | None
    hard: int | None


# Enough for servers; a soft limit of a million makes programs that close every descriptor slow.
DEFAULT_RLIMITS: Final = (Rlimit(name="nofile", soft=65_536, hard=1_048_576),)


def spec_rlimit(wanted: Rlimit, *, owner: str, by_default: bool) -> dict[str, object]:
    """One entry of process.rlimits. A limit that was asked for and had to be lowered is logged as a warning."""
    if wanted.name not in _NAMES:
        raise BadSpecRequest(what="limit", value=wanted.name, reason=f"there is one of {', '.join(_NAMES)}")
    if _plain(wanted.soft) > _plain(wanted.hard):
        raise BadSpecRequest(what="limit", value=wanted.name, reason="its soft value is above its hard value")
    highest = _host_hard_limit(wanted.name)
    soft, hard = min(_plain(wanted.soft), highest), min(_plain(wanted.hard), highest)
    if hard != _plain(wanted.hard) or soft != _plain(wanted.soft):
        level = logging.DEBUG if by_default else logging.WARNING
        log.log(level, "A limit was lowered to the host's owner=%s limit=%s hard=%d", owner, wanted.name, highest)
    return {"type": f"RLIMIT_{wanted.name.upper()}", "soft": soft, "hard": hard}


def clamped_oom_score_adj(wanted: int, *, owner: str) -> int:
    """``wanted``, or our own value when that is higher. Raises BadSpecRequest outside of -1000 to 1000."""
    if not -1000 <= wanted <= 1000:
        raise BadSpecRequest(what="oom_score_adj", value=wanted, reason="it is between -1000 and 1000")
    lowest = int(Path("/proc/self/oom_score_adj").read_text())
    if wanted < lowest:
        level = logging.DEBUG if wanted == 0 else logging.WARNING  # 0 is what nobody had to ask for
        log.log(level, "oom_score_adj was raised to the daemon's own owner=%s asked=%d set=%d", owner, wanted, lowest)
    return max(wanted, lowest)


def _plain(value: int | None) -> int:
    return _NO_LIMIT if value is None else value


def _host_hard_limit(name: str) -> int:
    _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
    return _NO_LIMIT if hard == resource.RLIM_INFINITY else hard
