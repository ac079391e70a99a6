# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of a host's networks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHostConfig:
    """The host's own interfaces: which of them an engine sees and may use."""

    # Virtual interfaces that count as NICs, as patterns of names. Hardware always does; a host that is itself a
    # container or in a network namespace has none.
    virtual_nics: tuple[str, ...] = ("eth*", "en*")
    # NICs that no engine sees.
    hidden_nics: tuple[str, ...] = ("w*", "usb*")
