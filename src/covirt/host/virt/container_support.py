# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this host runs containers, with which runtimes, and why not: told to engines, and asked before a start."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.host.virt.container_config import ContainersConfig
from covirt.host.virt.container_errors import ContainersUnavailable, RuntimeRefused
from covirt.host.virt.document import BadXml, read_xml
from covirt.hostapi.json import JsonValue

# An engine with this additional feature in a cluster sends containers only to hosts that have it.
FEATURE: Final = "CONTAINERS"

_RUNTIMES: Final = f"{{{COVIRT_NAMESPACE}}}runtimes"
_RUNTIME: Final = f"{{{COVIRT_NAMESPACE}}}runtime"
_OFF: Final = 'they are not enabled; set "enabled = true" under [containers] in the configuration of covirt-host'
_NOT_SEEN: Final = "virtocid has not answered yet"
# Known and never coming: a clear word instead of "no such runtime".
_REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rkt": "rkt is archived since 2020; its images (.aci) can be imported and run with another runtime",
        "lxc": "libvirt's LXC driver is no OCI runtime",
        "systemd-nspawn": "systemd-nspawn is no OCI runtime",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """An OCI runtime as virtocid tells of it."""

    name: str
    version: str = ""
    usable: bool = False
    default: bool = False
    reason: str = ""


class ContainerSupport:
    """What was last heard of virtocid; thread-safe, for what it holds is replaced and never changed."""

    def __init__(self, config: ContainersConfig) -> None:
        self._config = config
        self._runtimes: tuple[Runtime, ...] = ()
        self._absence = _NOT_SEEN

    def set_present(self, capabilities_xml: str) -> None:
        """virtocid answers, with these capabilities."""
        try:
            self._runtimes = _read_runtimes(capabilities_xml)
            self._absence = ""
        except BadXml as error:
            self.set_absent(f"virtocid's capabilities cannot be read: {error}")

    def set_absent(self, reason: str) -> None:
        """The connection is lost, or could not be made; ``reason`` in words."""
        self._runtimes = ()
        self._absence = reason or _NOT_SEEN

    @property
    def obstacle(self) -> str:
        """Why there are no containers here; empty when there are."""
        if not self._config.enabled:
            return _OFF
        runtimes, absence = self._runtimes, self._absence
        if absence:
            return absence
        if any(runtime.usable for runtime in runtimes):
            return ""
        reasons = [f"{runtime.name}: {runtime.reason}" for runtime in runtimes if runtime.reason]
        return "no container runtime works" + (f" ({'; '.join(reasons)})" if reasons else "")

    def check(self, runtime: str | None) -> None:
        """Whether a container can be started with this runtime; None is the default one.

        Raises ContainersUnavailable and RuntimeRefused.
        """
        if runtime is not None and runtime in _REFUSED:
            raise RuntimeRefused(name=runtime, reason=_REFUSED[runtime])
        if self.obstacle:
            raise ContainersUnavailable(reason=self.obstacle)
        found = next(
            (one for one in self._runtimes if one.name == runtime or (runtime is None and one.default)), None
        )
        if found is None:
            names = ", ".join(one.name for one in self._runtimes if one.usable)
            raise RuntimeRefused(name=runtime or "(default)", reason=f"this host has {names or 'none'}")
        if not found.usable:
            raise RuntimeRefused(name=found.name, reason=found.reason or "it does not work")

    def capabilities(self) -> Mapping[str, JsonValue]:
        """Keys of Host.getCapabilities."""
        obstacle = self.obstacle
        runtimes = self._runtimes if self._config.enabled else ()
        facts: dict[str, JsonValue] = {
            "containers": not obstacle,
            "containerRuntimes": {
                one.name: {"version": one.version, "usable": one.usable, "default": one.default, "reason": one.reason}
                for one in runtimes
            },
            "additionalFeatures": [] if obstacle else [FEATURE],
        }
        return {**facts, "containersReason": obstacle} if obstacle else facts

    def statistics(self) -> Mapping[str, JsonValue]:
        return {}


def _read_runtimes(xml: str) -> tuple[Runtime, ...]:
    elements = read_xml(xml).iterfind(f"{_RUNTIMES}/{_RUNTIME}")
    return tuple(
        Runtime(
            name=element.get("name", ""),
            version=element.get("version", ""),
            usable=element.get("usable") == "yes",
            default=element.get("default") == "yes",
            reason=element.get("reason", ""),
        )
        for element in elements
    )
