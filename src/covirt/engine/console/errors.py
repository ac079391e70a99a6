# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why there is no stream, or no more of it."""

from covirt.common.errors import Conflict, Denied, InvalidRequest, Unavailable, Unsupported


class BadStreamRequest(InvalidRequest):
    """Fields: reason."""

    template = "Cannot open a stream. The request is wrong: {reason}."


class BadTicket(Denied):
    template = "The ticket is not known, used, or too old; ask for another one."


class LoginOver(Denied):
    template = "The login is over, or the account is disabled; log in again."


class TooManyStreamTickets(Unavailable):
    """Fields: count, own, seconds."""

    template = (
        "{count} tickets for streams wait to be used, {own} of them yours; use them, or try again in {seconds} "
        "seconds."
    )


class TooManyStreams(Unavailable):
    """Fields: count, own."""

    template = "{count} streams are open, {own} of them yours, and the engine has no more; close one first."


class NoStreamsOnHost(Unsupported):
    """Fields: host, what."""

    template = "Host {host} cannot show {what}: it is no covirt-host, or too old a one."


class NoLogLeft(Conflict):
    """Fields: name."""

    template = "Cannot read the log of {name}. It is not running, and no host has the log of an earlier run."


class StreamFailed(Unavailable):
    """Fields: host, reason."""

    template = "Host {host} has not opened the stream: {reason}."


class BadStreamInput(InvalidRequest):
    """What a client has sent. Fields: reason."""

    template = "This is not what the stream takes: {reason}."
