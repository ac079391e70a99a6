# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Custom properties of machines: which there are by an installation's options, and whether values are what they say.

As with oVirt, an option's value is a list such as name=regex;name2=regex2, and a value must match its whole regex.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from covirt.engine.model.catalogue import SystemOption
from covirt.engine.model.hardware import CustomProperty
from covirt.engine.vms.errors import BadProperties, BadPropertyValues, DuplicateProperties, UnknownProperties

OPTIONS: Final = ("PredefinedVMProperties", "UserDefinedVMProperties")
_KEY: Final = re.compile("[A-Za-z_0-9]+")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def known_properties(options: Iterable[SystemOption], *, level: str) -> Mapping[str, str]:
    """Name to regex, of the options that define properties, for clusters of the level ("4.8")."""
    texts = [value for option in options for value, version in option.values if version == level]
    pairs = (entry.partition("=") for text in texts for entry in text.split(";") if entry)
    return {name: regex for name, _, regex in pairs}


def check_properties(properties: Sequence[CustomProperty], known: Mapping[str, str], *, action: str) -> None:
    """Raises BadProperties, DuplicateProperties, UnknownProperties and BadPropertyValues."""
    names = [each.name for each in properties]
    if any(not _KEY.fullmatch(each.name) or ";" in each.value for each in properties):
        raise BadProperties(action=action)
    _refuse(DuplicateProperties, action, (name for name in names if names.count(name) > 1))
    _refuse(UnknownProperties, action, (name for name in names if name not in known))
    _refuse(BadPropertyValues, action, (each.name for each in properties if not _fits(each.value, known[each.name])))


def _refuse(error: type[BadPropertyValues | DuplicateProperties | UnknownProperties], action: str,
            names: Iterable[str]) -> None:  # fmt: skip
    found = sorted(set(names))
    if found:
        raise error(action=action, keys=", ".join(found))


def _fits(value: str, regex: str) -> bool:
    """Anchors or not. A regex of an administrator's that is none fits nothing."""
    try:
        return re.fullmatch(regex, value, re.DOTALL) is not None and not _NOT_XML.search(value)
    except re.error:
        return False
