# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a host's networks are not changed."""

from covirt.common.errors import CommandFailed, Conflict, Denied, InvalidRequest, Unavailable, Unsupported


class BadNetworkSetting(InvalidRequest):
    template = "{name}: {reason}"


class BadAddress(InvalidRequest):
    template = "network {network}: {value!r} cannot be used as its {what}: {reason}"


class NoSuchNic(InvalidRequest):
    template = "there is no NIC {nic!r}; this host has {nics}"


class NicInUse(Conflict):
    template = "{nic} is used by {users}; take it from there first"


class BadBonding(InvalidRequest):
    template = "bond {bond}: {reason}"


class BondInUse(Conflict):
    template = "bond {bond} is used by the networks {networks}; remove them first"


class BadVlan(InvalidRequest):
    template = "network {network}: the VLAN {vlan!r} cannot be used: {reason}"


class BadBridge(InvalidRequest):
    template = "network {network}: {reason}"


class ForeignLink(Denied):
    template = (
        "there is an interface {name} already that covirt did not make, and it is left alone; rename or remove it"
    )


class GuestsOnNetwork(Conflict):
    template = "network {network} carries {ports}; stop these guests, or move them to another network, first"


class LinkKindUnsupported(Unsupported):
    template = "this host's kernel cannot make a {kind} ({name}); load its module or leave it out"


class LinkChangeFailed(CommandFailed):
    template = "{what} failed: {reason}"


class ConnectionLost(Unavailable):
    template = (
        "nobody confirmed within {seconds} seconds that the host is still reachable; the networks are as before"
    )


class NetworkChangeRuns(Unavailable):
    template = "another change of the host's networks is under way; try again when it is done"
