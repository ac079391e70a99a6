# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a host tells of its machine types, with libvirtd and without."""

from typing import Any, cast

import pytest

from covirt.host.virt.kinds import Kind
from covirt.host.virt.kvm_probe import KvmAnswer, KvmProbe
from covirt.host.virt.machine_support import MachineSupport

_SEEN = """<capabilities><host><cpu><arch>x86_64</arch></cpu></host><guest><os_type>hvm</os_type>
<arch name='x86_64'><machine>pc-q35-7.2</machine></arch></guest></capabilities>"""


class _Probe:
    answer = KvmAnswer(works=True)


class _Connection:
    def __init__(self, xml: str) -> None:
        self._xml = xml

    def getCapabilities(self) -> str:  # noqa: N802 - libvirt's name
        return self._xml


@pytest.fixture
def support() -> MachineSupport:
    return MachineSupport(cast(KvmProbe, _Probe()), display_address="localhost")


def _reason(support: MachineSupport) -> Any:
    return support.capabilities().get("emulatedMachinesReason")


def test_an_absence_has_its_reason(support: MachineSupport) -> None:
    assert _reason(support) == "libvirtd has not answered yet"
    support.disconnected(Kind.CONTAINER, "virtocid is away")
    assert _reason(support) == "libvirtd has not answered yet"
    support.disconnected(Kind.MACHINE, "connection refused")
    assert _reason(support) == "libvirtd does not answer: connection refused"
    support.connected(Kind.MACHINE, _Connection("<capabilities/>"))
    assert _reason(support) == "libvirtd knows no QEMU for this architecture"


def test_machine_types_once_seen_need_no_reason(support: MachineSupport) -> None:
    support.connected(Kind.MACHINE, _Connection(_SEEN))
    support.disconnected(Kind.MACHINE, "it was killed")
    assert support.capabilities()["emulatedMachines"] == ["pc-q35-7.2"]
    assert _reason(support) is None
