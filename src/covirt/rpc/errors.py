# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with what a peer sends, and with the way to it."""

from covirt.common.errors import Error, InvalidRequest, Unavailable


class BadFrame(InvalidRequest):
    template = "this is not a STOMP 1.2 frame: {reason}"


class FrameTooLarge(BadFrame):
    template = "this STOMP frame is too large: {reason}"


class BadMessage(InvalidRequest):
    """Not a JSON-RPC message. ``code``: JSON-RPC's for it."""

    template = "this is not a JSON-RPC 2.0 message: {reason}"

    def __init__(self, *, reason: str, code: int) -> None:
        super().__init__(reason=reason, code=code)
        self.code = code


class PortNotServed(Unavailable):
    template = "port {port} of {address} cannot be listened on: {reason}; see what else does, or configure another"


class PeerUnreachable(Unavailable):
    template = "{peer} cannot be reached: {reason}; see whether it runs and whether the network lets us through"


class PeerSilent(Unavailable):
    template = "{peer} has not answered {method} within {seconds} s; ask again when it has less to do"


class CallTooLarge(InvalidRequest):
    template = (
        "{method} would be a message of {size_bytes} bytes, and {peer} takes {most_bytes} at most; ask for less"
    )


class PeerLost(Unavailable):
    template = "the connection to {peer} ended before it answered {method}: {reason}"


class CallFailed(Error):
    """The peer has answered with an error: ``code`` and ``text`` are its own."""

    template = "{peer} answered {method} with error {code}: {text}"

    def __init__(self, *, peer: str, method: str, code: int, text: str) -> None:
        super().__init__(peer=peer, method=method, code=code, text=text)
        self.code = code
        self.text = text


class TooManyTickets(Unavailable):
    template = "{count} tickets for streams wait to be used: use them, or ask again in {seconds:.0f} s"


class StreamRefused(Unavailable):
    template = "{peer} has not opened the stream: {reason}"


class BadTls(InvalidRequest):
    template = "{path} cannot be used for TLS: {reason}"
