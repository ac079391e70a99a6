# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Host.getHardwareInfo: what the machine's maker wrote into its firmware."""

from typing import Final

from covirt.host.stats.kernel_files import KernelFiles
from covirt.hostapi.json import JsonValue

# Vdsm's key -> the kernel's file in sys/class/dmi/id.
_FILES: Final = {
    "systemManufacturer": "sys_vendor",
    "systemProductName": "product_name",
    "systemVersion": "product_version",
    "systemSerialNumber": "product_serial",
    "systemUUID": "product_uuid",
    "systemFamily": "product_family",
}


def hardware_info(files: KernelFiles | None = None) -> dict[str, JsonValue]:
    """Only what there is: a machine may have no such firmware."""
    texts = {key: (files or KernelFiles()).text(f"sys/class/dmi/id/{name}") for key, name in _FILES.items()}
    return {key: text for key, text in texts.items() if text}
