# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why an image is not transferred."""

from covirt.common.errors import Conflict, InvalidRequest


class BadTransfer(InvalidRequest):
    """Fields: reason."""

    template = "Cannot transfer Virtual Disk. {reason}"


class TransferRefused(Conflict):
    """Fields: reason."""

    template = "Cannot transfer Virtual Disk. {reason}"


class WrongPhase(Conflict):
    """Fields: action, phase."""

    template = "Cannot {action} the image transfer: it is {phase}."
