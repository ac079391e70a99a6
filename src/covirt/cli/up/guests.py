# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Ending what runs, before everything is taken down."""

import time
from collections.abc import Callable
from typing import Final

from covirt.client.engine import EngineApi
from covirt.client.errors import EngineRefused

_GRACE_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.3


def shut_down_guests(api: EngineApi, tell: Callable[[str], object]) -> None:
    """Ask each to end, and stop those that have not within a minute."""
    for action, seconds in (("shutdown", _GRACE_SECONDS), ("stop", _STOP_SECONDS)):
        running = _running(api)
        for vm_id, name in running.items():
            tell(f"{action}: {name}")
            try:
                api.post(f"vms/{vm_id}/{action}", {})
            except EngineRefused as error:
                tell(str(error))
        deadline = time.monotonic() + seconds
        while running and _running(api) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


def _running(api: EngineApi) -> dict[str, str]:
    listed = api.get("vms").get("vm", [])
    return {vm["id"]: vm["name"] for vm in listed if vm["status"] not in ("down", "image_locked")}
