# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A vault for tests: what one of them seals, each opens."""

import os

from covirt.engine.vault.vault import Vault

_KEYS = {"spoon": os.urandom(32)}


def new_vault() -> Vault:
    return Vault(_KEYS, current="spoon")
