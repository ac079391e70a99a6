# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong when everything is brought up, a sentence each."""

from covirt.common.errors import Conflict, Denied, InvalidRequest, NotFound, Unavailable


class NeedsRoot(Denied):
    template = "covirt {command} needs root, because {why}; run it with sudo"


class ClosedDirectory(InvalidRequest):
    template = (
        "others may not pass {path}, and containers and virtual machines run as other users; chmod a+x {path}, or "
        "choose another --root"
    )


class PortTaken(Conflict):
    template = "something else listens on port {port} already; choose another one with {option}"


class RunsElsewhere(Conflict):
    template = "{program} runs on port {port}; covirt down, then covirt up with {option}"


class EngineKnowsPort(Conflict):
    template = (
        "the engine knows the port {port} of this machine's agent, and is the one to tell of another: host to "
        "maintenance, its port changed, [rpc] port in etc/covirt/host.d/90-port.toml, covirt-host restarted"
    )


class AnotherEnginesHost(Conflict):
    template = (
        "this machine is a host of another engine, whose authority is {path}; take it out there and remove "
        "{directory}, or use another --root"
    )


class NotReady(Unavailable):
    template = "{what} was not ready within {seconds:.0f} seconds; {hint}"


class UnitNotStarted(Unavailable):
    template = "systemd cannot start {unit}; journalctl -u {unit} says why"


class PasswordChanged(Conflict):
    template = (
        "the set-up is not complete, and {user} has another password than the one in {path}; write the present one "
        "there (mode 0600), then repeat covirt up"
    )


class NoPostgres(Unavailable):
    template = (
        "this machine's PostgreSQL cannot be used: {reason}; apt-get install postgresql, or name another server with "
        "--database"
    )


class HasDatabase(Conflict):
    template = (
        "this installation keeps everything in {path}, and would begin anew in PostgreSQL; use another --root, or "
        "move that file away"
    )


class NoEngineHere(NotFound):
    template = (
        "no engine has its data below {root}; log in to one by covirt login, or name it by --url and --ca-file, or by"
        " its --root"
    )


class NoPassword(InvalidRequest):
    template = "the password of {user} is needed; put it into the environment variable {variable}"


class NoFreeNetwork(Conflict):
    template = "none of the networks {networks} is free on this machine; name another one with --subnet"
