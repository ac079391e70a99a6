# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs with the OCI runtime command line differ: one row each, nothing about them anywhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """The defaults are what an unknown program most likely does: the operations of the runtime-spec and no more."""

    # `events --stats ID` prints one record and ends.
    has_events: bool = False
    # `features` prints JSON (runtime-spec, features.md). It is tried where true, and may still be too new.
    has_features: bool = False
    # Refuses a cgroup v1 tree beside which a v2 tree with controllers is mounted.
    refuses_hybrid_cgroups: bool = False
    # A memory limit above the present memory+swap limit is EINVAL unless swap is set with it.
    memory_limit_needs_swap: bool = False
    # Keeps limits elsewhere than in the cgroup alone (a machine, a kernel of its own), so `update` must be told.
    keeps_limits: bool = True
    # `--version` marks built-in features as +NAME.
    version_lists_features: bool = False
    # A word for what keeps the container in; shown to people.
    isolation: str = "namespaces"


_PLAIN: Final = Differences()

# runc 1.1.5, crun 1.8.1: tried. youki, runsc, kata: from their documentation; they are reached by configuration only.
DIFFERENCES: Final[Mapping[str, Differences]] = {
    "runc": Differences(has_events=True, has_features=True, memory_limit_needs_swap=True, keeps_limits=False),
    # crun src/libcrun/cgroup.c, libcrun_cgroup_preenter: "cgroups in hybrid mode not supported"; 0.x to 1.29.
    # `features` came with 1.9.
    "crun": Differences(
        has_features=True,
        refuses_hybrid_cgroups=True,
        memory_limit_needs_swap=True,
        keeps_limits=False,
        version_lists_features=True,
    ),
    "youki": Differences(has_events=True, has_features=True, memory_limit_needs_swap=True),
    "runsc": Differences(has_events=True, isolation="a kernel in user space"),
    "fake": Differences(has_features=True, isolation="nothing"),
    "kata": Differences(has_events=True, isolation="a virtual machine"),
}

# Refused even when configured: the sentence is the whole answer.
REFUSED_KINDS: Final[Mapping[str, str]] = {
    "rkt": "rkt is archived since 2020 and has no OCI command line; "
    "import its .aci images with virtocid-image and run them on runc or crun",
}


def differences_of(kind: str) -> Differences:
    """The row of a kind; a program we do not know gets the defaults."""
    return DIFFERENCES.get(kind, _PLAIN)
