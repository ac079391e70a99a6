# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Many clients who want different things of the same few domains at once: each gets a plain answer, all ends well."""

import random
import threading
from collections.abc import Callable
from typing import Any

import libvirt

from tests.support.network import LinuxBridge
from tests.support.traces import traces_of_runs
from tests.support.virtocid import Virtocid, bridge_device, domain_xml

_NAMES = ("one", "two", "three")
_CLIENTS, _WISHES = 5, 30
# What may be answered to a wish that another client has overtaken.
_PLAIN = {
    libvirt.VIR_ERR_OPERATION_INVALID,
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_OPERATION_FAILED,
    libvirt.VIR_ERR_INTERNAL_ERROR,
}
_WISH: dict[str, Callable[[Any], object]] = {
    "create": lambda domain: domain.create(),
    "create paused": lambda domain: domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED),
    "destroy": lambda domain: domain.destroy(),
    "destroy gracefully": lambda domain: domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL),
    "shutdown": lambda domain: domain.shutdown(),
    "reboot": lambda domain: domain.reboot(),
    "reset": lambda domain: domain.reset(),
    "suspend": lambda domain: domain.suspend(),
    "resume": lambda domain: domain.resume(),
    "undefine": lambda domain: domain.undefine(),
    "look": lambda domain: (domain.XMLDesc(), domain.info(), domain.state()),
    "note": lambda domain: domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "x", None, None),
}


def test_many_wishes(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    devices = f"<console/>{bridge_device(linux_bridge.name)}"
    surprises: list[str] = []

    def client(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
        with virtocid.connect() as connection:
            for _ in range(_WISHES):
                name, wish = dice.choice(_NAMES), dice.choice(list(_WISH))
                try:
                    _WISH[wish](connection.lookupByName(name))
                except libvirt.libvirtError as error:
                    if error.get_error_code() not in _PLAIN or "incident" in str(error):
                        surprises.append(f"{wish}: {error}")
                    if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                        define_unless_another_did(connection, domain_xml(name, devices=devices))

    clients = [threading.Thread(target=client, args=(seed,), name=f"client-{seed}") for seed in range(_CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert surprises == []
    assert "Traceback" not in virtocid.log
    virtocid.remove_domains()
    assert traces_of_runs(virtocid.root) == []
    assert virtocid.image_users() == []


def define_unless_another_did(connection: "libvirt.virConnect", xml: str) -> None:
    try:
        connection.defineXML(xml)
    except libvirt.libvirtError as error:
        if "already exists" not in str(error):
            raise
