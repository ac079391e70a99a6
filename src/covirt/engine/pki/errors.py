# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the engine's keys."""

from covirt.common.errors import InvalidRequest


class UnfitRequest(InvalidRequest):
    template = "the request for a certificate cannot be used: {reason}"


class BrokenKeys(InvalidRequest):
    template = (
        "{path} holds no usable key and certificate: {reason}; put it back from a backup, or remove it and have all "
        "clients and hosts trust the engine anew"
    )
