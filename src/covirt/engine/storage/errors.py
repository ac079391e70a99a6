# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps storage from being used."""

from covirt.common.errors import CommandFailed, Conflict, InvalidRequest, Unavailable


class StorageTypeNotServed(InvalidRequest):
    template = "Cannot {action} Storage. Type '{type}' is not served; covirt has localfs and nfs."


class ServerNotConnected(Conflict):
    """Fields: path, code."""

    template = (
        "The host cannot connect to {path} (code {code}). The directory must be there, belong to 36:36, and lie where"
        " others can pass."
    )


class ServerInUse(Conflict):
    """Fields: path."""

    template = (
        "The host cannot disconnect from {path}: somebody uses what is on it. End guests, transfers and copies"
        " there, then try again."
    )


class NoHostForStorage(Conflict):
    template = "Cannot {action} Storage. There is no active Host in the Data Center {data_center}."


class ChainTooLong(CommandFailed):
    """Fields: disk."""

    template = "the volumes of disk {disk} do not lead to the snapshot's"


class HostTaskFailed(CommandFailed):
    """Of a task of Vdsm's kind. Fields: verb, reason."""

    template = "{verb} has failed on the host: {reason}"


class HostTaskSlow(Unavailable):
    template = "{verb} has not ended on the host within {seconds:g} s."


class HostNotPrepared(Unavailable):
    """It has done nothing yet, and will when it manages its storage again. Fields: verb, reason."""

    template = "The host does not manage its storage yet, and has refused {verb}: {reason}. Try again in a minute."


class HostJobFailed(Conflict):
    """Fields: verb, reason."""

    template = "{verb} has failed on the host: {reason}."
