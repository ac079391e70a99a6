# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The two kinds of a Vm, and what each cannot do: data with reasons, asked before anything is changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lxml import etree

from covirt.common.dialect import OVIRT_CONTAINER_NAMESPACE
from covirt.host.virt.container_properties import Property
from covirt.host.virt.errors import NotForThisKind
from covirt.host.virt.ovirt_metadata import VmFacts

_OCI_TYPES: Final = ("oci",)


class Kind(StrEnum):
    """What the value says is what people read."""

    MACHINE = "virtual machine"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFacts:
    """``up_at_once``: it has no guest to wait for after its start."""

    up_at_once: bool
    refused: Mapping[str, str]  # verb -> why


_NO_MOVE: Final = "it cannot be moved to another host while it runs: shut it down and start it there"
_NO_DISPLAY: Final = "it has no display; its console shows what it prints"
_NO_SNAPSHOT: Final = "its volumes are raw, and nothing of them is kept aside: copy those of one that is down"

_BOTH: Final = {
    "VM.migrate": _NO_MOVE,
    "VM.migrateCancel": _NO_MOVE,
}

_NO_INSIDE: Final = "nothing is run inside it from here: use its console, or log in over its network"

KINDS: Final[Mapping[Kind, KindFacts]] = MappingProxyType(
    {
        Kind.MACHINE: KindFacts(
            up_at_once=False,
            refused=MappingProxyType(
                {
                    **_BOTH,
                    "VM.openExec": _NO_INSIDE,
                    "VM.openLog": "nobody keeps what it writes: its console shows it while it is open",
                }
            ),
        ),
        Kind.CONTAINER: KindFacts(
            up_at_once=True,
            refused=MappingProxyType(
                {
                    **_BOTH,
                    "VM.hibernate": "its state cannot be kept while it is off: stop it, or pause it",
                    "VM.snapshot": _NO_SNAPSHOT,
                    "VM.merge": _NO_SNAPSHOT,
                    "VM.setTicket": _NO_DISPLAY,
                    "VM.openDisplay": _NO_DISPLAY,
                    "VM.diskSizeExtend": "its volumes keep their sizes while it runs: extend them while it is down",
                    "VM.changeCD": "it has no drive for discs: give it a volume",
                    "VM.freeze": "nothing in it freezes file systems: pause it instead",
                    "VM.thaw": "nothing in it froze file systems",
                }
            ),
        ),
    }
)


def kind_of(root: etree._Element, facts: VmFacts) -> Kind:
    """By the custom property ``containerType``, oVirt's element for containers, or a domain of type oci.

    The property's presence counts, as for Vdsm: an empty one was to be a container's, and is refused as such.
    """
    if (
        Property.TYPE in facts.custom
        or root.find(f"metadata/{{{OVIRT_CONTAINER_NAMESPACE}}}container") is not None
        or root.get("type") in _OCI_TYPES
    ):
        return Kind.CONTAINER
    return Kind.MACHINE


def require_allowed(verb: str, kind: Kind, *, name: str) -> None:
    """Raises NotForThisKind."""
    reason = KINDS[kind].refused.get(verb)
    if reason is not None:
        raise NotForThisKind(verb=verb, name=name, kind=kind.value, reason=reason)
