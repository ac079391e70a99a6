# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with bytes of libvirt's remote protocol."""

from covirt.common.errors import InvalidRequest


class WireError(InvalidRequest):
    """The bytes, or the value to become bytes, do not fit libvirt's remote protocol."""


class MalformedMessage(WireError):
    template = "a message of libvirt's remote protocol cannot be decoded: {reason}"


class MalformedFrame(WireError):
    """The stream of frames is lost; nothing after this point can be trusted, so the connection must end."""

    template = "the connection does not speak libvirt's remote protocol: {reason}"


class Unencodable(WireError):
    template = "the answer does not fit libvirt's remote protocol: {reason}; ask for less at a time"
