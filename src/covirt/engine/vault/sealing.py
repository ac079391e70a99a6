# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is secret of a machine's first settings: its password, and a script, which often holds one.

Sealed, they are text again, so that they stand wherever the others do: in the machine's hardware, and in what a
durable operation was asked.
"""

import base64
from dataclasses import replace
from typing import Final

from covirt.engine.model.hardware import Initialization
from covirt.engine.vault.errors import BrokenSeal
from covirt.engine.vault.vault import Vault

SEALED: Final = "covirt-sealed:"  # what a sealed text begins with
_BOUND_TO: Final = "initialization"  # no secret has this id
_NAME: Final = "initialization"


def seal_initialization(vault: Vault, value: Initialization) -> Initialization:
    """What is sealed already stays as it is."""
    return replace(
        value,
        root_password=_sealed(vault, value.root_password),
        custom_script=_sealed(vault, value.custom_script),
    )


def open_initialization(vault: Vault, value: Initialization) -> Initialization:
    """For the moment of a call to a host. Raises NoSuchKey, BrokenSeal."""
    return replace(
        value,
        root_password=_opened(vault, value.root_password),
        custom_script=_opened(vault, value.custom_script),
    )


def reseal_initialization(vault: Vault, value: Initialization) -> Initialization:
    """With the current key. Raises NoSuchKey, BrokenSeal."""
    texts = (value.root_password, value.custom_script)
    if all(not text or text.startswith(f"{SEALED}{vault.current}:") for text in texts):
        return value
    return seal_initialization(vault, open_initialization(vault, value))


def _sealed(vault: Vault, text: str) -> str:
    if not text or text.startswith(SEALED):
        return text
    sealed = base64.b64encode(vault.seal(_BOUND_TO, text.encode())).decode()
    return f"{SEALED}{vault.current}:{sealed}"


def _opened(vault: Vault, text: str) -> str:
    if not text.startswith(SEALED):
        return text
    key_id, _, sealed = text.removeprefix(SEALED).rpartition(":")
    try:
        data = base64.b64decode(sealed, validate=True)
    except ValueError:
        raise BrokenSeal(name=_NAME) from None
    return vault.open_sealed(data, key_id=key_id, bound_to=_BOUND_TO, name=_NAME).decode()
