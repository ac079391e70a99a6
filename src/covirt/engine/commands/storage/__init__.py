# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations on storage domains."""

from typing import Final

from covirt.engine.commands.storage.activate_domain import ActivateStorageDomain, DeactivateStorageDomain
from covirt.engine.commands.storage.add_domain import AddStorageDomain
from covirt.engine.commands.storage.attach_domain import AttachStorageDomain
from covirt.engine.commands.storage.detach_domain import DetachStorageDomain
from covirt.engine.commands.storage.remove_domain import RemoveStorageDomain

STORAGE_COMMANDS: Final = (
    ActivateStorageDomain,
    AddStorageDomain,
    AttachStorageDomain,
    DeactivateStorageDomain,
    DetachStorageDomain,
    RemoveStorageDomain,
)
