# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A vault that lives as long as the test."""

import os

from covirt.engine.vault.vault import Vault


def new_vault() -> Vault:
    return Vault({"spoon": os.urandom(32)}, current="spoon")
