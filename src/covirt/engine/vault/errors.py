# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a sealed value cannot be had."""

from covirt.common.errors import InvalidRequest, Unavailable


class LooseKeys(InvalidRequest):
    """Fields: path."""

    template = "the keys of secrets in {path} are open to other users: chmod 600 it, and set the secrets anew"


class NoSuchKey(Unavailable):
    """Fields: name."""

    template = (
        "The value of secret {name} cannot be read: the engine does not have the key that it was sealed with. Put "
        "secret-keys.json back from a backup, or set the value anew."
    )


class BrokenSeal(Unavailable):
    """Fields: name."""

    template = "The value of secret {name} in the database is not the one that the engine sealed; set the value anew."
