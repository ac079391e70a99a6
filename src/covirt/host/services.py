# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the agent, as they are seen by verbs and by what asks all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.events import Events
from covirt.hostapi.json import JsonValue


class Part(Protocol):
    """Something with threads or state: started in the order of the composition root, stopped in the opposite one."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class FactSource(Protocol):
    """A part that knows something of the host. Both answer from what they have, at once, and never raise."""

    def capabilities(self) -> Mapping[str, JsonValue]:
        """Its keys of Host.getCapabilities."""
        ...

    def statistics(self) -> Mapping[str, JsonValue]:
        """Its keys of Host.getStats."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every part may use."""

    root: Root
    config: HostConfig
    events: Events
