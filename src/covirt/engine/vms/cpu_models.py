# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's names of the processors that clusters may ask for, as oVirt has them in ServerCPUList."""

from collections.abc import Mapping
from typing import Final

_MODELS: Final[Mapping[str, str]] = {
    "Intel Nehalem Family": "Nehalem",
    "Intel Westmere Family": "Westmere",
    "Intel SandyBridge Family": "SandyBridge",
    "Intel IvyBridge Family": "IvyBridge",
    "Intel Haswell Family": "Haswell-noTSX",
    "Intel Broadwell Family": "Broadwell-noTSX",
    "Intel Skylake Client Family": "Skylake-Client-noTSX-IBRS",
    "Intel Skylake Server Family": "Skylake-Server-noTSX-IBRS",
    "Intel Cascadelake Server Family": "Cascadelake-Server-noTSX",
    "Intel Icelake Server Family": "Icelake-Server-noTSX",
    "AMD Opteron G4": "Opteron_G4",
    "AMD Opteron G5": "Opteron_G5",
    "AMD EPYC": "EPYC",
}


def libvirt_model(cpu_type: str) -> str:
    """Empty for what names no processor: the host's own is taken then."""
    return _MODELS.get(cpu_type.removeprefix("Secure "), "")
