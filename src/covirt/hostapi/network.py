# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Host that change its networks."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from covirt.hostapi.verb import NoParams, Params, Verb


def _first(value: object) -> object:
    """The schema has a list with one name, and engines send the name."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _none_if_empty(value: object) -> object:
    """Engines of some versions send an empty text for what is not there."""
    return None if value == "" else value


Name = Annotated[str | None, BeforeValidator(_none_if_empty), BeforeValidator(_first)]
Text = Annotated[str | None, BeforeValidator(_none_if_empty)]
Number = Annotated[int | None, BeforeValidator(_none_if_empty)]


class NetworkAttributes(Params):
    """A network as an engine wants it; with ``remove`` nothing else counts. Without ``nic`` and ``bonding`` it is a
    bridge for guests of this host alone."""

    remove: bool = False
    nic: Name = None
    bonding: Name = None
    vlan: Number = None
    bridged: bool = True
    mtu: Number = None
    stp: bool = Field(default=False)
    bootproto: Text = None
    ipaddr: Text = None
    netmask: Text = None
    prefix: Number = None
    gateway: Text = None
    ipv6addr: Text = None
    ipv6gateway: Text = None
    ipv6autoconf: bool = False
    dhcpv6: bool = False
    default_route: bool = Field(default=False, alias="defaultRoute")
    nameservers: tuple[str, ...] | None = None
    switch: Text = None
    custom: dict[str, object] | None = None
    host_qos: dict[str, object] | None = Field(default=None, alias="hostQos")


class BondAttributes(Params):
    """A bond as an engine wants it. ``options``: pairs as in "mode=4 miimon=100"."""

    remove: bool = False
    nics: tuple[str, ...] = ()
    options: Text = None
    hwaddr: Text = None
    switch: Text = None


class SetupOptions(Params):
    """``connectivityCheck``: what is not confirmed within ``connectivityTimeout`` seconds is taken back.

    ``commitOnSuccess``: as if Host.setSafeNetworkConfig followed.
    """

    connectivity_check: bool = Field(default=True, alias="connectivityCheck")
    connectivity_timeout: int = Field(default=4, alias="connectivityTimeout", ge=0, le=600)
    commit_on_success: bool = Field(default=False, alias="commitOnSuccess")


class SetupNetworksParams(Params):
    networks: dict[str, NetworkAttributes] = Field(default_factory=dict)
    bondings: dict[str, BondAttributes] = Field(default_factory=dict)
    options: SetupOptions = Field(default_factory=SetupOptions)


VERBS: Final = (
    Verb(
        name="Host.setupNetworks",
        summary="Changes networks and bonds as one: none of them when one cannot be, or when nobody confirms.",
        params=SetupNetworksParams,
        changes=True,
    ),
    Verb(
        name="Host.confirmConnectivity",
        summary="Tells that the caller reaches the host, so that a change of its networks stays.",
        params=NoParams,
        quick=True,
    ),
    Verb(
        name="Host.setSafeNetworkConfig",
        summary="Makes the networks of now those that are there after a reboot.",
        params=NoParams,
        changes=True,
    ),
)
