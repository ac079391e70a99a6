# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of the agent in a guest: facts, and to hold its file systems still."""

from typing import Final

import libvirt

from covirt.host.virt.agent_facts import cpu_facts, guest_facts, interface_facts
from covirt.host.virt.device_errors import AgentSilent, NotFrozen, NotThawed
from covirt.host.virt.guest import Guest
from covirt.host.virt.libvirt_errors import told_as
from covirt.hostapi.json import JsonValue

# So long a guest may think about one question.
_ANSWER_SECONDS: Final = 5
_EVERYTHING: Final = 0
_AGENT: Final = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT


def freeze(guest: Guest) -> int:
    """The number of file systems that stand still now. Raises NotFrozen, AgentSilent, GuestCannot."""
    with told_as(NotFrozen, name=guest.vm_id):
        count: int = guest.domain().fsFreeze()
        return count


def thaw(guest: Guest) -> int:
    """Raises NotThawed, AgentSilent, GuestCannot."""
    with told_as(NotThawed, name=guest.vm_id):
        count: int = guest.domain().fsThaw()
        return count


def ask(guest: Guest) -> dict[str, JsonValue]:
    """All facts for VM.getStats that the agent has. Raises AgentSilent when there is none."""
    domain = guest.domain()
    with told_as(AgentSilent, name=guest.vm_id):
        domain.agentSetResponseTimeout(_ANSWER_SECONDS, 0)
        facts = interface_facts(domain.interfaceAddresses(_AGENT))
        facts |= guest_facts(domain.guestInfo(_EVERYTHING, 0))
        facts |= cpu_facts(domain.guestVcpus())
    return facts
