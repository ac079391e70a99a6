# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The two of the demo, and a third that ends badly, as one hands them to oVirt's SDK."""

from typing import Any, Final

from ovirtsdk4 import types

from covirt.common.units import KIB
from tests.support.guest import MEMORY_MIB, TinyGuest

CONTAINER: Final = "web"
GUEST: Final = "guest"
GUEST_PAGE: Final = "hello from a virtual machine"
JOB: Final = "job"
_CONTAINER_MIB: Final = 64


def container(name: str, image: str, *, command: str = "") -> types.Vm:
    """``command`` in the place of the image's."""
    values = {"containerType": "docker", "containerImage": image, "containerCommand": command}
    properties = [types.CustomProperty(name=key, value=value) for key, value in values.items() if value]
    return _vm(name, _CONTAINER_MIB, custom_properties=properties)


def guest(name: str, files: TinyGuest) -> types.Vm:
    """Debian's kernel and an initramfs; it asks for its address by DHCP."""
    words = f"console=ttyS0 quiet panic=-1 guest.name={name} guest.dhcp=1"
    system = types.OperatingSystem(kernel=str(files.kernel), initrd=str(files.initramfs), cmdline=words)
    return _vm(name, MEMORY_MIB, os=system)


def _vm(name: str, memory_mib: int, **fields: Any) -> types.Vm:
    memory = memory_mib * KIB * KIB
    return types.Vm(
        name=name,
        cluster=types.Cluster(name="Default"),
        template=types.Template(name="Blank"),
        memory=memory,
        memory_policy=types.MemoryPolicy(guaranteed=memory),
        **fields,
    )
