# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in the server itself, whatever it serves."""

from covirt.common.errors import Error, InvalidRequest
from covirt.wire.structs import RemoteError


class SocketPathTooLong(InvalidRequest):
    template = "the socket path {path} is longer than the {limit} bytes a socket address holds; use a shorter --root"


class UnknownSocketGroup(InvalidRequest):
    template = "the group {group!r} that shall own the socket does not exist; create it or configure another"


class RemoteFailure(Error):
    """An answer that is already in libvirt's words, for code that must choose number and domain itself."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__(message=error.message or "", error=error)
        self.error = error
