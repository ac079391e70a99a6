# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What commands work with; the composition root makes it."""

from dataclasses import dataclass

from covirt.engine.hosts.connections import Hosts
from covirt.engine.store.store import Store
from covirt.engine.vault.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandServices:
    store: Store
    hosts: Hosts
    vault: Vault
