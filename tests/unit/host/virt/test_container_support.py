# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host tells whether it runs containers, and why not."""

import pytest

from covirt.host.virt.container_config import ContainersConfig
from covirt.host.virt.container_errors import ContainersUnavailable, RuntimeRefused
from covirt.host.virt.container_support import ContainerSupport

CAPABILITIES = """<capabilities><host/><covirt:runtimes xmlns:covirt='https://covirt.org/xmlns/container/1.0'>
<covirt:runtime name='runc' version='1.1.5' usable='yes' default='yes'/>
<covirt:runtime name='crun' usable='no' reason='it is not installed'/></covirt:runtimes></capabilities>"""


def support(*, enabled: bool = True, xml: str = CAPABILITIES) -> ContainerSupport:
    made = ContainerSupport(ContainersConfig(enabled=enabled))
    if xml:
        made.set_present(xml)
    return made


def test_a_host_with_containers() -> None:
    facts = support().capabilities()
    assert (facts["containers"], facts["additionalFeatures"]) == (True, ["CONTAINERS"])
    assert "containersReason" not in facts
    assert facts["containerRuntimes"] == {
        "runc": {"version": "1.1.5", "usable": True, "default": True, "reason": ""},
        "crun": {"version": "", "usable": False, "default": False, "reason": "it is not installed"},
    }


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (support(enabled=False), "not enabled"),
        (support(xml=""), "has not answered"),
        (support(xml="<capabilities/>"), "no container runtime works"),
        (support(xml=CAPABILITIES.replace("usable='yes'", "usable='no' reason='broken'")), "runc: broken"),
        (support(xml="<oops"), "cannot be read"),
    ],
)
def test_a_host_without(host: ContainerSupport, reason: str) -> None:
    facts = host.capabilities()
    assert (facts["containers"], facts["additionalFeatures"]) == (False, [])
    assert reason in str(facts["containersReason"])
    with pytest.raises(ContainersUnavailable, match=reason):
        host.check(None)


def test_what_goes_away_is_told() -> None:
    host = support()
    host.check(None)
    host.set_absent("virtocid's socket is gone")
    assert host.capabilities()["containers"] is False
    with pytest.raises(ContainersUnavailable, match="socket is gone"):
        host.check("runc")
    host.set_present(CAPABILITIES)
    host.check("runc")


@pytest.mark.parametrize(
    ("runtime", "words"), [("crun", "not installed"), ("youki", "this host has runc"), ("rkt", "archived since 2020")]
)
def test_runtimes_that_are_refused(runtime: str, words: str) -> None:
    with pytest.raises(RuntimeRefused, match=words):
        support().check(runtime)
