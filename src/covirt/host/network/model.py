# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine wants of a host's networks, in covirt's words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TypeVar

from covirt.hostapi.json import JsonObject

DEFAULT_MTU: Final = 1500  # what a network without one has, as in Vdsm

Spec = TypeVar("Spec")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """One network: a bridge of its name, or (not ``bridged``) the interface below itself.

    ``address`` and ``address6`` carry a prefix length. ``default_route``: its gateways are the host's.
    """

    name: str
    nic: str | None = None
    bond: str | None = None
    vlan: int | None = None
    bridged: bool = True
    mtu: int = DEFAULT_MTU
    stp: bool = False
    dhcp: bool = False
    address: str | None = None
    gateway: str | None = None
    address6: str | None = None
    gateway6: str | None = None
    autoconf6: bool = False
    default_route: bool = False

    @property
    def base(self) -> str | None:
        """The NIC or bond below it."""
        return self.nic or self.bond

    @property
    def lower(self) -> str | None:
        """The interface that its frames leave by."""
        return f"{self.base}.{self.vlan}" if self.vlan is not None else self.base

    @property
    def interface(self) -> str:
        """The interface that has its addresses."""
        return self.name if self.bridged else self.lower or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class BondSpec:
    """``options``: as in the kernel's sysfs, mode among them."""

    name: str
    nics: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    hwaddr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """All networks and bonds of a host, by name."""

    networks: Mapping[str, NetworkSpec] = field(default_factory=dict)
    bonds: Mapping[str, BondSpec] = field(default_factory=dict)

    def nics(self) -> frozenset[str]:
        """The NICs that belong to it."""
        below = {spec.nic for spec in self.networks.values() if spec.nic}
        return frozenset(below | {nic for bond in self.bonds.values() for nic in bond.nics})

    def record(self) -> JsonObject:
        return {
            "networks": {name: asdict(spec) for name, spec in self.networks.items()},
            "bonds": {name: asdict(spec) for name, spec in self.bonds.items()},
        }

    @classmethod
    def from_record(cls, value: Mapping[str, Any]) -> "NetworkConfig":
        """Raises KeyError, TypeError for what record() did not write."""
        return cls(
            networks={name: NetworkSpec(**spec) for name, spec in value["networks"].items()},
            bonds={name: BondSpec(**{**spec, "nics": tuple(spec["nics"])}) for name, spec in value["bonds"].items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChange:
    """What one call asks for. ``networks`` and ``bonds``: None removes the one of that name."""

    networks: Mapping[str, NetworkSpec | None] = field(default_factory=dict)
    bonds: Mapping[str, BondSpec | None] = field(default_factory=dict)

    def applied_to(self, config: NetworkConfig) -> NetworkConfig:
        networks = _merged(config.networks, self.networks)
        asked = next((spec.name for spec in self.networks.values() if spec and spec.default_route), None)
        if asked is not None:
            # The role moves: one network alone has the host's default route.
            networks = {
                name: spec if name == asked else replace(spec, default_route=False) for name, spec in networks.items()
            }
        return NetworkConfig(networks=networks, bonds=_merged(config.bonds, self.bonds))


def _merged(present: Mapping[str, Spec], changes: Mapping[str, Spec | None]) -> dict[str, Spec]:
    kept = {name: spec for name, spec in present.items() if name not in changes}
    return {**kept, **{name: spec for name, spec in changes.items() if spec is not None}}
