# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All verbs, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from covirt.hostapi import (
    container_image,
    host,
    image,
    nbd,
    network,
    sdm,
    storage,
    stream,
    task,
    transfer,
    vm,
    vm_devices,
)
from covirt.hostapi.verb import Verb

# A noun a module; each has VERBS.
_MODULES: Final = (
    container_image,
    host,
    image,
    nbd,
    network,
    sdm,
    storage,
    stream,
    task,
    transfer,
    vm,
    vm_devices,
)


def _by_name() -> Mapping[str, Verb]:
    verbs: dict[str, Verb] = {}
    for verb in (verb for module in _MODULES for verb in module.VERBS):
        assert verb.name not in verbs, f"{verb.name} is declared twice"  # noqa: S101 - a mistake in a module
        verbs[verb.name] = verb
    return MappingProxyType(verbs)


VERBS: Final = _by_name()
